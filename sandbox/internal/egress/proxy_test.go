package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// asks records the requests to proxies, in order.
type asks struct {
	mu   sync.Mutex
	list []string
}

func (a *asks) note(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, s)
}

func (a *asks) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.list, ", ")
}

// taken is String, and clears the record.
func (a *asks) taken() string {
	s := a.String()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = nil
	return s
}

// greeting is the first line of the host behind every proxy.
const greeting = "hello from afar\n"

// afar is the host behind a proxy: it speaks first, and echoes.
func afar(c io.ReadWriter) {
	_, _ = io.WriteString(c, greeting)
	_, _ = io.Copy(c, c)
}

// connectProxy is an HTTP proxy. Its answer for a host is in answers; the default is
// 200.
func connectProxy(a *asks, answers map[string]string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil || req.Method != http.MethodConnect {
			a.note("no CONNECT")
			return
		}
		a.note(strings.TrimSpace(req.Host + " " + req.Header.Get("Proxy-Authorization")))
		if no := answers[req.Host]; no != "" {
			_, _ = io.WriteString(c, "HTTP/1.1 "+no+"\r\nContent-Length: 4\r\n\r\nbody")
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\nVia: 1.1 here\r\n\r\n")
		afar(struct {
			io.Reader
			io.Writer
		}{r, c})
	}
}

// socksProxy is a SOCKS 5 proxy that demands a password.
func socksProxy(a *asks) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, 512)
		read := func(n int) []byte { _, _ = io.ReadFull(c, b[:n]); return b[:n] }
		read(int(read(2)[1]))
		_, _ = c.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		_, _ = c.Write([]byte{1, 0})
		if kind := read(4)[3]; kind != 3 {
			a.note("no name")
			return
		}
		name := string(read(int(read(1)[0])))
		port := binary.BigEndian.Uint16(read(2))
		a.note(subject(name, port) + " " + user + ":" + password)
		code := byte(0)
		if name == "dead.example" {
			code = 4
		}
		_, _ = c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
		if code == 0 {
			afar(c)
		}
	}
}

func (w *world) proxy(addr string, serve func(net.Conn)) {
	w.peer(addr, func(c *net.TCPConn) { serve(c); _ = c.CloseWrite() })
}

// hear returns the data that a program inside receives from a name and a port.
func (w *world) hear(name, port string) (string, error) {
	w.t.Helper()
	found, code := w.resolve(name, dnsmessage.TypeA)
	if len(found) != 1 {
		w.t.Fatalf("%s leads to %v (%v), want one address", name, found, code)
	}
	c, err := w.dial(net.JoinHostPort(found[0], port))
	if err != nil {
		return "", err
	}
	defer c.Close()
	return talk(c, "echo")
}

func by(via, login string) plan.Proxy {
	return plan.Proxy{Via: via, At: "HTTPS_PROXY", Login: plan.Opaque(login)}
}

// If the host reaches the world only through a proxy, so does the server: no name is
// resolved here, and the proxy gets the name and the credentials.
func TestByProxy(t *testing.T) {
	basic := " Basic " + base64.StdEncoding.EncodeToString([]byte("ada:pass word"))
	withWorld(t, func(t *testing.T, host *world) {
		var got asks
		pool, cert := authority(t, "proxy.corp")
		host.proxy("10.9.0.7:3128", connectProxy(&got, nil))
		host.proxy("10.9.0.7:1080", socksProxy(&got))
		host.proxy("10.9.0.7:3129", func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			connectProxy(&got, nil)(s)
			_ = s.CloseWrite()
		})
		for _, tt := range []struct{ via, login, want string }{
			{"http://proxy.corp:3128", "ada:pass word", "a.example:5432" + basic},
			{"http://proxy.corp:3128", "", "a.example:5432"},
			{"http://10.9.0.7:3128", "", "a.example:5432"},
			{"socks5://proxy.corp:1080", "ada:secret", "a.example:5432 ada:secret"},
			{"https://proxy.corp:3129", "", "a.example:5432"},
		} {
			w := newSandbox(t)
			w.name("proxy.corp", "10.9.0.7")
			n := network(t, "a.example:5432")
			n.Proxies.HTTPS = by(tt.via, tt.login)
			cfg := w.config(n)
			cfg.Secure = func(ctx context.Context, c net.Conn, name string) (net.Conn, error) {
				s := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: name})
				return s, s.HandshakeContext(ctx)
			}
			w.serve(cfg)
			heard, err := w.hear("a.example", "5432")
			if heard != greeting+"echo" || err != nil {
				t.Errorf("%s: heard %q, %v", tt.via, heard, err)
			}
			if asked := got.taken(); asked != tt.want {
				t.Errorf("%s was asked for %q, want %q", tt.via, asked, tt.want)
			}
			if w.asked["a.example"] != 0 {
				t.Error("the host's name servers were asked for a name that the proxy looks up")
			}
			ev := w.await(is(audit.KindConnect, audit.Allowed, "a.example:5432"))
			if !strings.Contains(ev.Detail, tt.via) || strings.Contains(ev.Detail, "pass") {
				t.Errorf("recorded %+v", ev)
			}
		}
	})
}

// A refusal by the proxy fails in the program as it would outside, and a person sees
// the proxy's message.
func TestProxyRefuses(t *testing.T) {
	withWorld(t, func(t *testing.T, host *world) {
		var got asks
		host.proxy("10.9.0.7:3128", connectProxy(&got, map[string]string{"no.example:443": "403 Forbidden", "who.example:443": "407 Proxy Authentication Required",
			"dead.example:443": "503 Service Unavailable"}))
		host.proxy("10.9.0.7:1080", socksProxy(&got))
		host.proxy("10.9.0.7:25", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail\r\n\r\n"); _, _ = io.Copy(io.Discard, c) })
		for _, tt := range []struct {
			name, via string
			errno     syscall.Errno
			says      string
		}{
			{"no.example", "http://10.9.0.7:3128", syscall.ECONNREFUSED, "403 Forbidden"},
			{"who.example", "http://10.9.0.7:3128", syscall.ECONNREFUSED, "HTTPS_PROXY=http://USER:PASSWORD@10.9.0.7:3128"},
			{"dead.example", "http://10.9.0.7:3128", syscall.EHOSTUNREACH, "503 Service Unavailable"},
			{"dead.example", "socks5://10.9.0.7:1080", syscall.EHOSTUNREACH, "host unreachable"},
			{"nobody.example", "http://10.9.0.7:3999", syscall.ECONNREFUSED, "connection refused"},
			{"mail.example", "http://10.9.0.7:25", syscall.ECONNREFUSED, "its answer is not HTTP"},
		} {
			w := newSandbox(t)
			n := network(t, tt.name+":443")
			n.Proxies.HTTPS = by(tt.via, "ada:secret")
			w.serve(w.config(n))
			if _, err := w.hear(tt.name, "443"); !errors.Is(err, tt.errno) {
				t.Errorf("%s by %s: %v, want %v", tt.name, tt.via, err, tt.errno)
			}
			w.await(func(ev audit.Event) bool { return strings.Contains(ev.Detail, tt.says) })
			w.awaitTold(tt.says)
		}
	})
}

// Hosts in NO_PROXY are dialled directly, at the addresses from the host's name servers
// and under the usual checks; so is a port without a proxy.
func TestBesideProxy(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		var got asks
		w.proxy("10.9.0.7:3128", connectProxy(&got, nil))
		for _, at := range []string{"203.0.113.5:8080", "203.0.113.6:80", "203.0.113.8:8080"} {
			w.peer(at, func(c *net.TCPConn) { afar(c); _ = c.CloseWrite() })
		}
		w.name("db.intern.example", "203.0.113.5")
		w.name("both.example", "203.0.113.6")
		w.name("near.intern.example", "10.9.0.9")
		n := network(t, "db.intern.example:8080", "both.example:80", "both.example:8080", "near.intern.example:8080", "203.0.113.7:8080", "203.0.113.8:8080")
		n.Proxies = plan.Proxies{HTTPS: by("http://10.9.0.7:3128", ""), Except: "intern.example, 203.0.113.8"}
		w.serve(w.config(n))
		for name, port := range map[string]string{"db.intern.example": "8080", "both.example": "80"} {
			if heard, err := w.hear(name, port); heard != greeting+"echo" || err != nil {
				t.Errorf("%s: %q, %v", name, heard, err)
			}
		}
		if got.String() != "" {
			t.Errorf("the proxy was asked for %v", &got)
		}
		if found, _ := w.resolve("near.intern.example", dnsmessage.TypeA); len(found) != 0 {
			t.Errorf("a private address got through: %v", found)
		}
		if heard, err := w.hear("both.example", "8080"); heard != greeting+"echo" || err != nil {
			t.Errorf("by the proxy: %q, %v", heard, err)
		}
		for _, at := range []string{"203.0.113.7:8080", "203.0.113.8:8080"} {
			c, err := w.dial(at)
			must(t, err)
			_ = c.CloseWrite()
			if b, err := io.ReadAll(c); string(b) != greeting || err != nil {
				t.Errorf("%s: %q, %v", at, b, err)
			}
			c.Close()
		}
		if got.String() != "both.example:8080, 203.0.113.7:8080" {
			t.Errorf("the proxy was asked for %v", &got)
		}
	})
}

// A stand-in address opens no other port, and no other address of its network works. A
// host that no rule names is not resolved at all.
func TestProxyOpensNothingElse(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		var got asks
		w.proxy("10.9.0.7:3128", connectProxy(&got, nil))
		n := network(t, "a.example:443", "b.example:5432")
		n.Proxies = plan.Proxies{HTTPS: by("http://10.9.0.7:3128", ""), HTTP: by("http://10.9.0.7:3128", "")}
		w.serve(w.config(n))
		found, _ := w.resolve("a.example", dnsmessage.TypeA)
		for _, to := range []string{found[0] + ":5432", "198.19.77.77:443", "10.9.0.7:443"} {
			c, err := w.dial(to)
			if err == nil {
				_, err = c.Read(make([]byte, 1))
				c.Close()
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: %v, want a reset", to, err)
			}
		}
		if found, code := w.resolve("evil.example", dnsmessage.TypeA); len(found) != 0 || code != dnsmessage.RCodeNameError {
			t.Errorf("a name that no rule names leads to %v (%v)", found, code)
		}
		if found, code := w.resolve("a.example", dnsmessage.TypeAAAA); len(found) != 0 || code != dnsmessage.RCodeSuccess {
			t.Errorf("of IPv6 it has %v (%v)", found, code)
		}
		// The names in TLS are checked as usual.
		c, err := w.dial(found[0] + ":443")
		must(t, err)
		defer c.Close()
		s := tls.Client(c, &tls.Config{ServerName: "evil.example", InsecureSkipVerify: true})
		if err := s.Handshake(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("another name in TLS: %v", err)
		}
	})
}

// A proxy that answers without end, or never, blocks nothing.
func TestProxyBabbles(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.proxy("10.9.0.7:3128", func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, strings.Repeat("x", 4096)); err != nil {
					return
				}
			}
		})
		n := network(t, "a.example:443")
		n.Proxies.HTTPS = by("http://10.9.0.7:3128", "")
		w.serve(w.config(n))
		if _, err := w.hear("a.example", "443"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
		w.awaitTold("its answer is too long")
	})
}

// The names with a stand-in are bounded, and the last one always has one.
func TestStandInsAreBounded(t *testing.T) {
	s := newStandIns()
	for i := range 3 * maxStandIns {
		name := "n" + strings.Repeat("x", i%3) + string(rune('a'+i%26)) + subject("", uint16(i))
		if a := s.of(name); s.name(a) != name || policy.ClassifyAddress(a) != policy.AddressPrivate {
			t.Fatalf("%q has %v, which stands for %q", name, a, s.name(a))
		}
	}
	if len(s.names) > maxStandIns || len(s.addrs) > maxStandIns {
		t.Errorf("%d and %d are kept", len(s.names), len(s.addrs))
	}
}
