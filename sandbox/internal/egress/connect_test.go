package egress

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/hello/hellotest"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// authority signs certificates for names.
func authority(t testing.TB, names ...string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TLS passes unchanged, with the certificate that the program expects.
func TestTLSPasses(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		pool, cert := authority(t, "api.example.com")
		w.name("api.example.com", "203.0.113.5")
		w.peer("203.0.113.5:443", func(c *net.TCPConn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			_, _ = io.Copy(s, s)
			_ = s.CloseWrite()
		})
		w.serve(w.config(network(t, "api.example.com:443")))
		w.resolve("api.example.com", dnsmessage.TypeA)
		c, err := w.dial("203.0.113.5:443")
		must(t, err)
		defer c.Close()
		s := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "api.example.com"})
		_, err = io.WriteString(s, "hello")
		must(t, err)
		must(t, s.CloseWrite())
		if b, err := io.ReadAll(s); string(b) != "hello" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// The server name must be one that resolved to the address, on that port.
func TestServerNames(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		for _, n := range []string{"a.example", "b.example", "x.wild.example"} {
			w.name(n, "203.0.113.5")
		}
		w.name("elsewhere.example", "203.0.113.6")
		w.peer("203.0.113.5:443", echo)
		w.serve(w.config(network(t, "a.example:443", "b.example:443", "*.wild.example:443", "elsewhere.example:443", "other.example:8443")))
		for _, n := range []string{"a.example", "b.example", "x.wild.example", "elsewhere.example"} {
			w.resolve(n, dnsmessage.TypeA)
		}
		big := hellotest.Ext{Kind: 21, Body: make([]byte, 16<<10)}
		for _, c := range []struct {
			what  string
			hello []byte
			ok    bool
		}{
			{"its name", hellotest.Build(16384, hellotest.SNI("a.example")), true},
			{"another name of the address", hellotest.Build(16384, hellotest.SNI("b.example")), true},
			{"a name of the wildcard", hellotest.Build(16384, hellotest.SNI("x.wild.example")), true},
			{"upper case", hellotest.Build(16384, hellotest.SNI("A.EXAMPLE")), true},
			{"a trailing dot", hellotest.Build(16384, hellotest.SNI("a.example.")), true},
			{"16 KiB in small records", hellotest.Build(100, big, hellotest.SNI("a.example")), true},
			{"ECH", hellotest.Build(16384, hellotest.Ext{Kind: 0xfe0d, Body: make([]byte, 200)}, hellotest.SNI("a.example")), true},
			{"a name nobody allowed", hellotest.Build(16384, hellotest.SNI("evil.example")), false},
			{"an allowed name of another address", hellotest.Build(16384, hellotest.SNI("elsewhere.example")), false},
			{"an allowed name that was not looked up", hellotest.Build(16384, hellotest.SNI("y.wild.example")), false},
			{"no name", hellotest.Build(16384), false},
			{"an address", hellotest.Build(16384, hellotest.SNI("203.0.113.5")), false},
			{"two names", hellotest.Build(16384, hellotest.SNI("a.example", "evil.example")), false},
			{"a zero byte", hellotest.Build(16384, hellotest.SNI("a.example\x00.evil.example")), false},
			{"no TLS", []byte("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"), false},
		} {
			conn, err := w.dial("203.0.113.5:443")
			must(t, err)
			if !c.ok {
				_, err = conn.Write(c.hello)
				must(t, err)
				wantReset(t, conn)
				if t.Failed() {
					t.Fatal(c.what)
				}
				continue
			}
			for b := c.hello; len(b) > 0; { // in pieces
				n := min(len(b), 1000)
				_, err := conn.Write(b[:n])
				must(t, err)
				b = b[n:]
			}
			if got, err := talk(conn, "and more"); got != string(c.hello)+"and more" || err != nil {
				t.Errorf("%s: %d bytes came back of %d, %v", c.what, len(got), len(c.hello)+8, err)
			}
		}
		ev := w.await(is(audit.KindConnect, audit.Refused, "evil.example:443"))
		if ev.Advice() != `network.allow = ["evil.example:443"]` || ev.Address != "203.0.113.5:443" || ev.Rule == "" {
			t.Errorf("%+v", ev)
		}
		if !strings.HasSuffix(ev.Detail, " asks for the TLS server name evil.example there") {
			t.Errorf("%+v", ev)
		}
		// A name that the profile allows already needs to lead to the address.
		if ev := w.await(is(audit.KindConnect, audit.Refused, "elsewhere.example:443")); ev.Grant != nil || !strings.HasSuffix(ev.Detail, " elsewhere.example there, which did not lead to it") {
			t.Errorf("%+v", ev)
		}
		w.await(is(audit.KindConnect, audit.Refused, `a.example\x00.evil.example:443`))
	})
}

// Servers that speak first, slowly, or not at all, and every kind of end.
func TestPeersOfEverySort(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("h.example", "203.0.113.5")
		p := map[string]string{}
		for port, handle := range map[string]func(*net.TCPConn){
			"22": says("SSH-2.0-x\r\n"), "25": says("220 mail\r\n"), "5432": says("N"), "7": echo,
			"9": func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) },
			"19": func(c *net.TCPConn) {
				for range 50 {
					_, _ = c.Write([]byte("x"))
					runtime.Gosched()
				}
				_ = c.CloseWrite()
				_, _ = io.Copy(io.Discard, c)
			},
			"413": func(c *net.TCPConn) { // an answer before the question was read
				_, _ = io.ReadFull(c, make([]byte, 1))
				_, _ = io.WriteString(c, "too large")
			},
			"666": func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)); abort(c) },
		} {
			p[port] = "203.0.113.5:" + port
			w.peer(p[port], handle)
		}
		w.serve(w.config(network(t, "h.example:22", "h.example:25", "h.example:5432", "h.example:7", "h.example:9", "h.example:19", "h.example:666", "h.example:1", "h.example:413")))
		w.resolve("h.example", dnsmessage.TypeA)
		for port, want := range map[string]string{"22": "SSH-2.0-x\r\nhi", "25": "220 mail\r\nhi", "5432": "Nhi", "7": "hi", "9": "", "19": strings.Repeat("x", 50)} {
			c, err := w.dial(p[port])
			must(t, err)
			if got, err := talk(c, "hi"); got != want || err != nil {
				t.Errorf("port %s: %q, %v; want %q", port, got, err, want)
			}
		}
		big, err := w.dial(p["413"])
		must(t, err)
		_, err = big.Write(make([]byte, 64<<10))
		must(t, err)
		if b, _ := io.ReadAll(big); string(b) != "too large" {
			t.Errorf("an early answer was lost: %q", b)
		}
		big.Close()
		c, err := w.dial(p["666"]) // a reset outside is a reset inside
		must(t, err)
		_, err = c.Write([]byte("x"))
		must(t, err)
		wantReset(t, c)
		if c, err = w.dial("203.0.113.5:1"); !errors.Is(err, syscall.ECONNREFUSED) { // nobody listens
			t.Errorf("%v, %v; want ECONNREFUSED", c, err)
		}
		ev := w.await(is(audit.KindConnect, audit.Observed, "h.example:1"))
		if ev.Errno != "ECONNREFUSED" {
			t.Errorf("%+v", ev)
		}
		if c, err = w.dial(p["7"]); err == nil { // a reset inside is one outside
			abort(c)
		}
		w.await(func(ev audit.Event) bool { return ev.Subject == "h.example:7" && ev.Detail == "reset" })
	})
}

// An address that the resolver let through is checked again when it is dialled.
func TestDialledAddressesAreChecked(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("10.9.0.1:8080", echo)
		w.peer("203.0.113.5:8080", echo)
		cfg := w.config(network(t, "n.example:8080", "p.example:8080 private", "10.9.0.1:9090", "203.0.113.0/24:8080"))
		e := w.serve(cfg)
		// As if the table had a wrong entry.
		e.names.table.learn(answer{asked: asked{name: "n.example"}, addrs: []netip.Addr{netip.MustParseAddr("10.9.0.1")}, until: w.now.Add(time.Hour)}, w.now)
		refused(t, w, "10.9.0.1:8080")
		ev := w.await(is(audit.KindConnect, audit.Refused, "n.example:8080"))
		if ev.Advice() != `network.allow = [{ host = "n.example:8080", private = true }]` {
			t.Errorf("%+v", ev)
		}
		w.name("p.example", "10.9.0.1")
		w.resolve("p.example", dnsmessage.TypeA)
		for _, a := range []string{"10.9.0.1:8080", "203.0.113.5:8080"} {
			c, err := w.dial(a)
			must(t, err)
			if got, err := talk(c, "x"); got != "x" || err != nil {
				t.Errorf("%s: %q, %v", a, got, err)
			}
		}
		// And in the real dialer, between socket(2) and connect(2).
		_, err := dial(context.Background(), netip.MustParseAddrPort("10.9.0.1:8080"), func(netip.AddrPort) error { return errors.New("not there") })
		if err == nil || !strings.Contains(err.Error(), "not there") {
			t.Errorf("the dialer does not ask: %v", err)
		}
	})
}

// The program's intended address comes first, then the name's others.
func TestOtherAddressesAreTried(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("n.example", "2001:db8:1::5", "203.0.113.5", "10.9.0.1", "203.0.113.6")
		w.peer("203.0.113.6:8080", says("six"))
		w.peer("10.9.0.1:8080", says("private"))
		w.serve(w.config(network(t, "n.example:8080")))
		w.resolve("n.example", dnsmessage.TypeAAAA)
		for _, a := range []string{"[2001:db8:1::5]:8080", "203.0.113.5:8080", "203.0.113.6:8080"} {
			c, err := w.dial(a)
			must(t, err)
			if got, err := talk(c, ""); got != "six" || err != nil {
				t.Errorf("%s: %q, %v", a, got, err)
			}
		}
		w.peer("203.0.113.5:8080", says("five"))
		c, err := w.dial("203.0.113.5:8080")
		must(t, err)
		if got, err := talk(c, ""); got != "five" || err != nil {
			t.Errorf("%q, %v; want the address that was meant", got, err)
		}
	})
}

// The seventh address, or the hundredth, is as good as the first. An address that leads
// nowhere costs its time once, and not at each connection.
func TestHolesAreTriedOnce(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		var addrs []string
		for i := range 19 {
			addrs = append(addrs, fmt.Sprintf("203.0.113.%d", 101+i))
		}
		w.name("n.example", append(addrs, "203.0.113.6")...)
		w.peer("203.0.113.6:8080", says("six"))
		cfg := w.config(network(t, "n.example:8080"))
		var mu sync.Mutex
		var tried []string
		cfg.Dial = func(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
			mu.Lock()
			tried = append(tried, to.Addr().String())
			mu.Unlock()
			if to.Addr() == netip.MustParseAddr("203.0.113.6") {
				return dial(ctx, to, check)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		cfg.Limits.Connect = patience
		w.serve(cfg)
		w.resolve("n.example", dnsmessage.TypeA)
		for i, most := range []int{len(addrs) + 1, 1} {
			c, err := w.dial("203.0.113.101:8080")
			must(t, err)
			if got, err := talk(c, ""); got != "six" || err != nil {
				t.Errorf("connection %d: %q, %v", i, got, err)
			}
			mu.Lock()
			if len(tried) > most {
				t.Errorf("connection %d: %q were tried", i, tried)
			}
			tried = nil
			mu.Unlock()
		}
	})
}

// If no address answers, mcpen reports it; the program sees only a reset.
func TestUnreachableIsTold(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("n.example", "203.0.113.5", "203.0.113.6")
		w.serve(w.config(network(t, "n.example:8080", "gone.example:8080")))
		w.resolve("n.example", dnsmessage.TypeA)
		w.resolve("gone.example", dnsmessage.TypeA)
		if c, err := w.dial("203.0.113.5:8080"); err == nil {
			wantReset(t, c)
		}
		for _, want := range []string{
			"cannot reach n.example:8080, which p.toml:1:1 allows: connection refused (all of its 2 addresses were tried)",
			"cannot look up gone.example, which p.toml:2:1 allows: there is no such name",
		} {
			w.until(func() bool { return slices.Contains(w.told, want) })
		}
	})
}

// One port of the host's loopback, and no other.
func TestLocalPorts(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("127.0.0.1:5432", says("four"))
		w.peer("[::1]:5433", says("six"))
		w.peer("127.0.0.1:5434", says("other"))
		w.peer("127.0.0.1:5436", says("four of two")) // two services share a port
		w.peer("[::1]:5436", says("six of two"))
		w.serve(w.config(network(t, "localhost:5432", "localhost:5433", "localhost:5435", "localhost:5436")))
		for addr, want := range map[string]string{
			"127.0.0.1:5432": "four", "[::1]:5432": "four", "127.0.0.1:5433": "six", "127.0.0.1:5436": "four of two", "[::1]:5436": "six of two",
		} {
			c, err := w.dial(addr)
			must(t, err)
			if got, err := talk(c, ""); got != want || err != nil {
				t.Errorf("%s: %q, %v", addr, got, err)
			}
		}
		if _, err := w.dial("127.0.0.1:5434"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a port of no rule: %v", err)
		}
		if _, err := w.dial("127.0.0.1:5435"); !errors.Is(err, syscall.ECONNREFUSED) { // of a rule, and nobody listens
			t.Errorf("a port where nobody is: %v", err)
		}
		w.await(is(audit.KindConnect, audit.Allowed, "localhost:5432"))
	})
}

// Unix sockets: bytes pass, and the host's own sockets stay out of reach under any
// name.
func TestUnixSockets(t *testing.T) {
	dir := t.TempDir()
	outside, inside := filepath.Join(dir, "out"), filepath.Join(dir, strings.Repeat("long-", 20), "in")
	must(t, os.MkdirAll(filepath.Dir(inside), 0o755))
	l, err := net.Listen("unix", outside)
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	w := newQuietWorld(t)
	h, err := listeners.ListenUnix(inside)
	must(t, err)
	if _, err := listeners.ListenUnix(inside); err == nil {
		t.Error("a socket was made over another")
	}
	h.Path = outside // the same path on both sides, as with two file systems
	cfg := w.config(network(t))
	cfg.Network.Sockets = []plan.Socket{{Socket: policy.Socket{Path: outside, At: policy.Pos{File: "p.toml", Line: 1, Col: 1}}, Real: outside}}
	e, err := Serve(context.Background(), []listeners.Handle{h}, cfg)
	must(t, err)
	defer e.Close()
	dirFD, err := os.Open(filepath.Dir(inside))
	must(t, err)
	defer dirFD.Close()
	connect := func() (net.Conn, error) {
		return net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dirFD.Fd(), filepath.Base(inside)))
	}
	c, err := connect()
	must(t, err)
	_, err = io.WriteString(c, "hello")
	must(t, err)
	must(t, c.(*net.UnixConn).CloseWrite())
	if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	c.Close()
	ev := w.await(is(audit.KindConnect, audit.Observed, outside))
	if ev.Sent != 5 || ev.Received != 5 || ev.Rule != "p.toml:1:1" {
		t.Errorf("%+v", ev)
	}
	// A server that may write there replaces the socket by a link.
	other := filepath.Join(dir, "other")
	ol, err := net.Listen("unix", other)
	must(t, err)
	defer ol.Close()
	must(t, os.Remove(outside))
	must(t, os.Symlink(other, outside))
	c, err = connect()
	must(t, err)
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("read %q by way of a link", b)
	}
	c.Close()
	w.await(func(ev audit.Event) bool { return ev.Subject == outside && ev.Errno == "ELOOP" })
}

// The plan decides where a socket lies. A symlink that replaces a folder on the way,
// before the egress begins or after, leads to no other socket.
func TestSwappedFolderOfASocket(t *testing.T) {
	for _, when := range []string{"never", "before", "after"} {
		t.Run(when, func(t *testing.T) {
			dir := realTempDir(t)
			inside, outside := filepath.Join(dir, "in", "app.sock"), filepath.Join(dir, "out", "app.sock")
			for _, d := range []string{"in", "out", "other"} {
				must(t, os.Mkdir(filepath.Join(dir, d), 0o700))
			}
			for name, says := range map[string]string{outside: "the socket", filepath.Join(dir, "other", "app.sock"): "another"} {
				l, err := net.Listen("unix", name)
				must(t, err)
				t.Cleanup(func() { l.Close() })
				go func() {
					for c, err := l.Accept(); err == nil; c, err = l.Accept() {
						io.WriteString(c, says)
						c.Close()
					}
				}()
			}
			swap := func() {
				must(t, os.Rename(filepath.Join(dir, "out"), filepath.Join(dir, "away")))
				must(t, os.Symlink("other", filepath.Join(dir, "out")))
			}
			w := newQuietWorld(t)
			h, err := listeners.ListenUnix(inside)
			must(t, err)
			h.Path = outside
			cfg := w.config(network(t))
			cfg.Network.Sockets = []plan.Socket{{Socket: policy.Socket{Path: outside}, Real: outside}}
			if when == "before" {
				swap()
			}
			e, err := Serve(context.Background(), []listeners.Handle{h}, cfg)
			must(t, err)
			defer e.Close()
			if when == "after" {
				swap()
			}
			c, err := net.Dial("unix", inside)
			must(t, err)
			defer c.Close()
			got, _ := io.ReadAll(c) // a refusal is a reset
			if want := map[string]string{"never": "the socket"}[when]; string(got) != want {
				t.Errorf("read %q, want %q", got, want)
			}
			if when != "never" {
				w.await(func(ev audit.Event) bool { return ev.Subject == outside && ev.Errno == "ELOOP" })
			}
		})
	}
}

// realTempDir is a test folder with a short path without symlinks: sun_path holds 107
// bytes.
func realTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	dir, err = filepath.EvalSymlinks(dir)
	must(t, err)
	return dir
}

func TestSocketRules(t *testing.T) {
	rule := func(path, real, override string) plan.Socket {
		return plan.Socket{Socket: policy.Socket{Path: path, Override: override}, Real: real}
	}
	rules := []plan.Socket{rule("/srv/link.sock", "/home/u/.docker/d.sock", ""), rule("/run/docker.sock", "/run/docker.sock", ""),
		rule("/run/user/1/bus", "/run/user/1/bus", "yes"), rule("/run/pg.sock", "/run/pg.sock", ""), rule("/run/unknown.sock", "", "")}
	for path, ok := range map[string]bool{"/srv/link.sock": false, "/run/docker.sock": false, "/run/user/1/bus": true, "/run/pg.sock": true,
		"/run/none.sock": false, "/run/unknown.sock": false} {
		if _, err := newSocket(path, rules); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// An idle connection ends; an active one lives on.
func TestIdleConnectionsEnd(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		cfg := w.config(network(t, "203.0.113.5:8080"))
		cfg.Limits.Idle = 50 * time.Millisecond
		w.serve(cfg)
		// On a busy machine the time may be over before dial returns.
		if c, err := w.dial("203.0.113.5:8080"); err == nil {
			wantReset(t, c)
		} else if !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		w.await(func(ev audit.Event) bool { return strings.HasPrefix(ev.Detail, "closed after nothing came") })
	})
}

// While all slots are taken the next connection waits, and it is served once one ends:
// nothing is lost, nothing grows.
func TestConnectionsWaitForSlots(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		cfg := w.config(network(t, "203.0.113.5:8080"))
		cfg.Limits.Connections = 2
		w.serve(cfg)
		var held []*net.TCPConn
		for range 2 {
			c, err := w.dial("203.0.113.5:8080")
			must(t, err)
			_, err = c.Write([]byte("x"))
			must(t, err)
			_, err = io.ReadFull(c, make([]byte, 1))
			must(t, err)
			held = append(held, c)
		}
		third, err := w.dial("203.0.113.5:8080")
		must(t, err)
		_, err = third.Write([]byte("y"))
		must(t, err)
		w.await(is(audit.KindLimit, audit.Observed, "connections"))
		held[0].Close()
		b := make([]byte, 1)
		if _, err := io.ReadFull(third, b); err != nil || b[0] != 'y' {
			t.Errorf("%q, %v", b, err)
		}
		third.Close()
		held[1].Close()
	})
}

// A connection whose decision cannot be recorded is not made.
func TestUnrecordedConnectionsAreReset(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		cfg := w.config(network(t, "203.0.113.5:8080"))
		cfg.Sink = func(ev audit.Event) error {
			if ev.Verdict == audit.Allowed {
				return errors.New("disk full")
			}
			return nil
		}
		w.serve(cfg)
		refused(t, w, "203.0.113.5:8080")
	})
}

// Close ends everything, hanging dials included, and leaves nothing behind.
func TestCloseEndsEverything(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		before := runtime.NumGoroutine()
		cfg := w.config(network(t, "203.0.113.5:8080", "203.0.113.6:443"))
		dialling := make(chan struct{}, 10)
		cfg.Dial = func(ctx context.Context, _ netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
			dialling <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		e := w.serve(cfg)
		var begun []int
		for range 5 {
			begun = append(begun, w.begin("203.0.113.5:8080"))
			<-dialling
		}
		must(t, e.Close())
		for _, fd := range begun {
			if _, err := unix.Getpeername(fd); err == nil {
				t.Error("what was not decided is connected")
			}
			unix.Close(fd)
		}
		if _, err := w.dial("203.0.113.5:8080"); err == nil {
			t.Error("the way out is still open")
		}
		awaitGoroutines(t, before)
	})
}

// awaitGoroutines gives the runtime time to end goroutines that have returned.
func awaitGoroutines(t *testing.T, want int) {
	t.Helper()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > want; runtime.Gosched() {
		if time.Now().After(end) {
			var b bytes.Buffer
			buf := make([]byte, 1<<16)
			b.Write(buf[:runtime.Stack(buf, true)])
			t.Fatalf("%d goroutines, want %d\n%s", runtime.NumGoroutine(), want, b.String())
		}
	}
}

// countFDs is the number of this process's descriptors.
func countFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

// countSockets counts the open sockets, which are the connections and what waits for them.
func countSockets(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, f := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// Thousands of short connections leave neither descriptors nor goroutines behind.
func TestChurn(t *testing.T) { churn(t, 2000, 8) }

func churn(t *testing.T, total, streams int) {
	withWorld(t, func(t *testing.T, w *world) {
		var addrs []string
		for i := range 16 { // a closed connection keeps its pair of ports for a minute
			addrs = append(addrs, fmt.Sprintf("203.0.113.%d", i+1))
			w.peer(addrs[i]+":8080", echo)
		}
		w.name("n.example", addrs...)
		cfg := w.config(network(t, "n.example:8080"))
		cfg.Limits.PerSecond = 1_000_000
		e := w.serve(cfg)
		w.resolve("n.example", dnsmessage.TypeA)
		one := func(i int) error {
			c, err := w.dial(addrs[i%len(addrs)] + ":8080")
			if err != nil {
				return err
			}
			if i%5 == 0 {
				abort(c)
				return nil
			}
			if got, err := talk(c, "ping"); got != "ping" || err != nil {
				return errors.Join(err, errors.New("got "+got))
			}
			return nil
		}
		must(t, one(1)) // the runtime keeps splice's pipes
		fds, routines := countFDs(t), runtime.NumGoroutine()
		failed := make(chan error, streams)
		for s := range streams {
			go func() {
				for i := s; i < total; i += streams {
					if err := one(i); err != nil {
						failed <- err
						return
					}
				}
				failed <- nil
			}()
		}
		for range streams {
			must(t, <-failed)
		}
		awaitGoroutines(t, routines)
		runtime.GC() // pipes in the pool have finalizers
		for end := time.Now().Add(patience); countFDs(t) > fds+2*streams; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%d descriptors, had %d", countFDs(t), fds)
			}
		}
		must(t, e.Close())
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.events); n > 10*len(addrs) {
			t.Errorf("%d events for connections that are all alike", n)
		}
	})
}

// Two names lead to one address. What is told of a connection there names the one that
// the program asked for last, so that the line that is offered is the one it needs.
func TestRefusalNamesTheNameThatWasMeant(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("a.example", "203.0.113.5")
		w.name("b.example", "203.0.113.5")
		e := w.serve(w.config(network(t, "a.example:8080", "b.example:8080")))
		for _, name := range []string{"a.example", "b.example", "a.example", "b.example", "b.example", "a.example"} {
			w.resolve(name, dnsmessage.TypeA)
			if got := e.names.of(netip.MustParseAddr("203.0.113.5")); len(got) == 0 || got[0] != name {
				t.Errorf("after %s was asked for, the names are %v", name, got)
			}
		}
		e.Barred(netip.MustParseAddrPort("203.0.113.5:9999"), "EACCES", 7, "node")
		w.awaitTold("refused a.example:9999: a.example is allowed, but not on port 9999")
	})
}
