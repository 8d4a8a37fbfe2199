package egress

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/proxy"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// ways are the proxies for the hosts. The launcher does not resolve the name of a host
// behind a proxy: the proxy resolves it and chooses the address. The host's name
// servers resolve the proxy's own name. Any goroutine may call its methods.
type ways struct {
	plan.Proxies
	lookup func(ctx context.Context, name string, kind dnsmessage.Type) (dns.Records, error)
	secure func(ctx context.Context, c net.Conn, name string) (net.Conn, error)
	now    func() time.Time

	mu sync.Mutex
	at map[string]located // by the proxy's address in the plan
}

// located holds the addresses of a proxy.
type located struct {
	addrs []netip.AddrPort
	until time.Time
}

func newWays(cfg Config) (*ways, error) {
	w := &ways{Proxies: cfg.Network.Proxies, lookup: cfg.Lookup, secure: cfg.Secure, now: cfg.Now, at: map[string]located{}}
	for _, p := range w.Both() {
		if u, err := url.Parse(p.Via); err != nil || u.Scheme == "https" && w.secure == nil {
			return nil, fmt.Errorf("internal error: nobody can speak to the proxy %s", p.Via)
		}
	}
	return w, nil
}

// by is the proxy for a grant's host; the zero Proxy means a direct connection.
func (w *ways) by(g grant, dst netip.AddrPort) plan.Proxy {
	if len(w.Both()) == 0 {
		return plan.Proxy{}
	}
	host := g.name
	if host == "" {
		host = dst.Addr().String()
	}
	return w.For(host, dst.Port())
}

// any reports whether a name goes through a proxy on one of the ports of its rules.
func (w *ways) any(name string, found []policy.Host) bool {
	if len(w.Both()) == 0 {
		return false
	}
	return slices.ContainsFunc(found, func(h policy.Host) bool {
		for p := int(h.First); p <= int(h.Last) && p > 0; p++ {
			if w.For(name, uint16(p)).Via != "" {
				return true
			}
		}
		return false
	})
}

// tunnel is a connection to the call's host, made by its proxy.
func (e *Egress) tunnel(ctx context.Context, c call) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, fmt.Errorf("the proxy %s (%s): %w", c.via.Via, c.via.At, err)
	}
	u, err := url.Parse(c.via.Via)
	if err != nil {
		return fail(err)
	}
	to, err := e.ways.locate(ctx, u)
	if err != nil {
		return fail(err)
	}
	conn, err := e.first(ctx, to, func(a netip.AddrPort) error {
		if !slices.Contains(to, a) {
			return fmt.Errorf("refused: %s is not where the proxy is", a)
		}
		return nil
	})
	if err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	out, err := e.ways.ask(ctx, conn, u, c)
	if !stop() || err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fail(err)
	}
	return out, nil
}

// ask asks the proxy at the other end of conn for a connection to the call's host.
func (w *ways) ask(ctx context.Context, conn net.Conn, u *url.URL, c call) (_ net.Conn, err error) {
	if u.Scheme == "https" {
		if conn, err = w.secure(ctx, conn, u.Hostname()); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "socks5" {
		return conn, socks(conn, u.Host, c)
	}
	return conn, connectBy(conn, c)
}

// locate returns the addresses of a proxy.
func (w *ways) locate(ctx context.Context, u *url.URL) ([]netip.AddrPort, error) {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(a, uint16(port))}, nil
	}
	w.mu.Lock()
	have := w.at[u.Host]
	w.mu.Unlock()
	if w.now().Before(have.until) {
		return have.addrs, nil
	}
	var found []netip.AddrPort
	var first error
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		said, err := w.lookup(ctx, u.Hostname(), kind)
		if err != nil && first == nil {
			first = err
		}
		for _, a := range said.Addrs {
			found = append(found, netip.AddrPortFrom(a, uint16(port)))
		}
		if len(found) > 0 {
			break
		}
	}
	if len(found) == 0 {
		if first == nil {
			first = errors.New("there is no such name")
		}
		return nil, first
	}
	w.mu.Lock()
	w.at[u.Host] = located{found, w.now().Add(keepFound)}
	w.mu.Unlock()
	return found, nil
}

// connectBy asks an HTTP proxy (RFC 9110, section 9.3.6).
func connectBy(conn net.Conn, c call) error {
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n", c.subject)
	if c.via.Login != "" {
		fmt.Fprintf(&b, "Proxy-Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(c.via.Login)))
	}
	b.WriteString("\r\n")
	if _, err := conn.Write([]byte(b.String())); err != nil {
		return err
	}
	status, err := readHead(conn)
	if err != nil {
		return err
	}
	version, code, _ := strings.Cut(status, " ")
	switch {
	case !strings.HasPrefix(version, "HTTP/1."):
		return errors.New("its answer is not HTTP")
	case strings.HasPrefix(code, "2"):
		return nil
	case strings.HasPrefix(code, "407"):
		return fmt.Errorf("it wants other credentials (it answers %s): HTTPS_PROXY=%s", said(code), strings.Replace(c.via.Via, "://", "://USER:PASSWORD@", 1))
	case strings.HasPrefix(code, "50"):
		return &unreached{"it answers " + said(code), unix.EHOSTUNREACH}
	}
	return fmt.Errorf("it answers %s", said(code))
}

// said formats a proxy's message for a person.
func said(s string) string { return audit.Visible(s[:min(len(s), 100)]) }

// maxHead is the longest head of a proxy's answer, in bytes.
const maxHead = 16 << 10

// readHead reads the head of an answer one byte at a time, and no byte after it: those
// belong to the host.
func readHead(conn net.Conn) (status string, err error) {
	var line []byte
	b := make([]byte, 1)
	for range maxHead {
		if _, err := conn.Read(b); err != nil {
			return "", fmt.Errorf("it ended the connection before it answered (%w)", err)
		}
		if b[0] != '\n' {
			line = append(line, b[0])
			continue
		}
		text := strings.TrimSuffix(string(line), "\r")
		switch {
		case text == "" && status != "":
			return status, nil
		case status == "":
			status = text
		}
		line = line[:0]
	}
	return "", errors.New("its answer is too long")
}

// socks asks a SOCKS 5 proxy (RFC 1928).
func socks(conn net.Conn, at string, c call) error {
	var auth *proxy.Auth
	if c.via.Login != "" {
		auth = &proxy.Auth{}
		auth.User, auth.Password, _ = strings.Cut(string(c.via.Login), ":")
	}
	d, err := proxy.SOCKS5("tcp", at, auth, made{conn})
	if err != nil {
		return err
	}
	if _, err = d.Dial("tcp", c.subject); err == nil {
		return nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // without the addresses, which the message already has
	}
	if errors.As(err, new(syscall.Errno)) {
		return err
	}
	return &unreached{err.Error(), unix.EHOSTUNREACH}
}

// made is a dialer that returns an existing connection.
type made struct{ net.Conn }

func (m made) Dial(string, string) (net.Conn, error) { return m.Conn, nil }

// unreached is a proxy's message that it cannot reach a host, with the errno for the
// program.
type unreached struct {
	why   string
	errno syscall.Errno
}

func (u *unreached) Error() string { return u.why }
func (u *unreached) Unwrap() error { return u.errno }

// standIns maps names that a proxy resolves to stand-in addresses, since a program
// inside needs an address before it connects. As is usual, they belong to a network
// reserved for benchmarks (RFC 2544). The egress never dials them. Any goroutine may
// call its methods.
type standIns struct {
	mu    sync.Mutex
	next  int
	names map[netip.Addr]string
	addrs map[string]netip.Addr
}

// maxStandIns bounds the names with a stand-in. The oldest loses its address. A program
// that still connects there gets a different name: it is refused or, at worst, led to
// another allowed name.
const maxStandIns = 1 << 15

func newStandIns() *standIns {
	return &standIns{names: map[netip.Addr]string{}, addrs: map[string]netip.Addr{}}
}

// of returns the stand-in address of the name.
func (s *standIns) of(name string) netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.addrs[name]; ok {
		return a
	}
	n := s.next%maxStandIns + 1
	s.next++
	a := netip.AddrFrom4([4]byte{198, 19, byte(n >> 8), byte(n)})
	delete(s.addrs, s.names[a])
	s.names[a], s.addrs[name] = name, a
	return a
}

// name returns the name of a stand-in address, or "".
func (s *standIns) name(a netip.Addr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[a]
}
