package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/internal/listeners/nettest"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// withWorld runs f in a network of its own that plays the host's; a second one in it is
// the sandbox's.
func withWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	nettest.In(t, func(t *testing.T) { f(t, newSandbox(t)) })
}

// inWorld is withWorld for a benchmark.
func inWorld(b *testing.B, f func(w *world)) {
	b.Helper()
	nettest.Bench(b, func() { f(newSandbox(b)) })
}

// world is a host with a sandbox, made of two network namespaces.
type world struct {
	t       testing.TB
	sandbox *nettest.Sandbox

	mu     sync.Mutex
	names  map[string][]string
	asked  map[string]int
	events []audit.Event
	told   []string
	grew   *sync.Cond // events or told
	now    time.Time
}

// newQuietWorld has no sandbox: only names, a clock and a log.
func newQuietWorld(t testing.TB) *world {
	w := &world{t: t, names: map[string][]string{}, asked: map[string]int{}, now: time.Unix(1_700_000_000, 0)}
	w.grew = sync.NewCond(&w.mu)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newSandbox is another sandbox on the same host.
func newSandbox(t testing.TB) *world {
	w := newQuietWorld(t)
	w.sandbox = nettest.NewSandbox(t)
	return w
}

// inside runs f on the thread in the sandbox. f must not start goroutines that
// make sockets.
func (w *world) inside(f func()) { w.sandbox.Inside(f) }

// lookup is the host's resolver.
func (w *world) lookup(_ context.Context, name string, kind dnsmessage.Type) (dns.Records, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[name]++
	list, ok := w.names[name]
	if !ok {
		return dns.Records{Missing: true}, nil
	}
	var out dns.Records
	for _, a := range list {
		if addr := netip.MustParseAddr(a); addr.Is4() == (kind == dnsmessage.TypeA) {
			out.Addrs = append(out.Addrs, addr)
		}
	}
	return out, nil
}

func (w *world) name(name string, addrs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = addrs
}

func (w *world) lookups() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.asked {
		n += c
	}
	return n
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) sink(ev audit.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, ev)
	w.grew.Broadcast()
	return nil
}

func (w *world) tell(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, line)
	w.grew.Broadcast()
}

// await waits for the first matching event and returns it.
func (w *world) await(want func(audit.Event) bool) (found audit.Event) {
	w.t.Helper()
	w.until(func() bool {
		i := slices.IndexFunc(w.events, want)
		if i >= 0 {
			found = w.events[i]
		}
		return i >= 0
	})
	return found
}

// awaitTold waits for a line to a person that contains the words.
func (w *world) awaitTold(words string) {
	w.t.Helper()
	w.until(func() bool {
		return slices.ContainsFunc(w.told, func(line string) bool { return strings.Contains(line, words) })
	})
}

// until waits until ok, which looks at events or told, is true, and fails the test if that
// takes too long.
func (w *world) until(ok func() bool) {
	w.t.Helper()
	began := time.Now()
	late := time.AfterFunc(5*patience, w.grew.Broadcast)
	defer late.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !ok() {
		if time.Since(began) >= 5*patience {
			w.t.Fatalf("what was waited for did not come: recorded %+v, told %q", w.events, w.told)
		}
		w.grew.Wait()
	}
}

func is(k audit.Kind, v audit.Verdict, subject string) func(audit.Event) bool {
	return func(ev audit.Event) bool { return ev.Kind == k && ev.Verdict == v && ev.Subject == subject }
}

// network is the plan for hosts.
func network(t testing.TB, hosts ...string) plan.Network {
	t.Helper()
	n := plan.Network{Ports: []plan.Span{{First: 80, Last: 80}, {First: 443, Last: 443}}}
	for i, s := range hosts {
		s, private := strings.CutSuffix(s, " private")
		s, never := strings.CutSuffix(s, " tls=false")
		s, always := strings.CutSuffix(s, " tls=true")
		h, err := policy.ParseHost(s)
		must(t, err)
		h.Private = private
		switch {
		case never:
			h.TLS = policy.TLSNever
		case always:
			h.TLS = policy.TLSAlways
		}
		h.At = policy.Pos{File: "p.toml", Line: i + 1, Col: 1}
		n.Hosts = append(n.Hosts, h)
		for p := h.First; h.Kind != policy.HostLocal && p <= h.Last; p++ {
			if p != 80 && p != 443 {
				n.Ports = append(n.Ports, plan.Span{First: p, Last: p})
			}
		}
	}
	return n
}

// config is a world's configuration of an egress.
func (w *world) config(n plan.Network) Config {
	return Config{Network: n, Lookup: w.lookup, Now: w.clock, Sink: w.sink, Warn: w.tell}
}

// serve starts an egress for the sandbox.
func (w *world) serve(cfg Config) *Egress {
	w.t.Helper()
	var hs []listeners.Handle
	var err error
	w.inside(func() { hs, err = listeners.Listen(cfg.Network) })
	must(w.t, err)
	e, err := Serve(context.Background(), hs, cfg)
	must(w.t, err)
	w.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			w.t.Errorf("Close: %v", err)
		}
	})
	return e
}

// machine is a machine with or without a namespace for the listeners.
type machine string

const (
	apart  machine = "apart"
	shared machine = "shared" // it has no veth
)

// serveOn is serve on such a machine.
func (w *world) serveOn(m machine, cfg Config) *Egress {
	w.t.Helper()
	if m == shared {
		must(w.t, w.sandbox.NoWire())
	}
	return w.serve(cfg)
}

// spareSocket is an unused socket; for both families with v6.
func spareSocket(t testing.TB, v6 bool) *os.File {
	t.Helper()
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	must(t, err)
	if v6 {
		must(t, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0))
	}
	return os.NewFile(uintptr(fd), "spare")
}

// patience bounds the wait for an event that a failure would prevent.
const patience = 3 * time.Second

// dial connects from inside.
func (w *world) dial(addr string) (c *net.TCPConn, err error) {
	w.inside(func() {
		d := net.Dialer{Timeout: patience}
		var any net.Conn
		if any, err = d.Dial("tcp", addr); err == nil {
			c = any.(*net.TCPConn)
			err = c.SetDeadline(time.Now().Add(10 * patience))
		}
	})
	return c, err
}

// begin begins to connect from inside and returns the socket.
func (w *world) begin(addr string) (fd int) {
	w.t.Helper()
	to := netip.MustParseAddrPort(addr)
	w.inside(func() {
		var err error
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(w.t, err)
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != unix.EINPROGRESS {
			w.t.Errorf("%s: %v, want EINPROGRESS", addr, err)
		}
	})
	return fd
}

// resolve asks from inside and returns the addresses.
func (w *world) resolve(name string, kind dnsmessage.Type) ([]string, dns.RCode) {
	w.t.Helper()
	m := w.ask(question(w.t, name, kind))
	var out []string
	for _, a := range m.Answers {
		switch b := a.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(b.A).String())
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(b.AAAA).String())
		}
	}
	return out, m.RCode
}

func question(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	n, err := dnsmessage.NewName(name + ".")
	must(t, err)
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: kind, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	must(t, err)
	return b
}

// ask sends one datagram to the name server and returns the answer.
func (w *world) ask(q []byte) (m dnsmessage.Message) {
	w.t.Helper()
	b, err := w.exchange(plan.Resolver, q)
	must(w.t, err)
	must(w.t, m.Unpack(b))
	return m
}

// exchange uses a connected socket, which drops answers from elsewhere.
func (w *world) exchange(server string, q []byte) (b []byte, err error) {
	w.inside(func() {
		var c net.Conn
		if c, err = net.Dial("udp", net.JoinHostPort(server, "53")); err != nil {
			return
		}
		defer c.Close()
		if err = c.SetDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		if _, err = c.Write(q); err != nil {
			return
		}
		b = make([]byte, 65535)
		var n int
		n, err = c.Read(b)
		b = b[:n]
	})
	return b, err
}

// datagram sends one datagram from inside and returns the result of waiting for an
// answer.
func (w *world) datagram(addr string) (err error) {
	w.inside(func() {
		var c net.Conn
		if c, err = net.Dial("udp", addr); err != nil {
			return
		}
		defer c.Close()
		if err = c.SetDeadline(time.Now().Add(patience / 10)); err != nil {
			return
		}
		if _, err = c.Write([]byte("x")); err != nil {
			return
		}
		_, err = c.Read(make([]byte, 1))
	})
	return err
}

// peer serves connections to addr of the host's network with handle.
func (w *world) peer(addr string, handle func(*net.TCPConn)) {
	w.t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return descriptor.Raw(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1) })
	}}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	must(w.t, err)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer c.Close()
				handle(c.(*net.TCPConn))
			}()
		}
	}()
	w.t.Cleanup(func() { l.Close(); wg.Wait() })
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

// says sends a banner, as ssh and mail servers do, and then echoes.
func says(banner string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		_, _ = io.WriteString(c, banner)
		echo(c)
	}
}

// talk sends text, ends its direction and reads what comes back.
func talk(c *net.TCPConn, text string) (string, error) {
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// wantReset fails unless the connection ends with a reset and without a byte.
func wantReset(t testing.TB, c *net.TCPConn) {
	t.Helper()
	defer c.Close()
	b, err := io.ReadAll(c)
	if len(b) > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v; want a reset", b, err)
	}
}
