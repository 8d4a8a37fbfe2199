package egress

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
)

// The whole way: a name, its address, a connection, bytes both ways.
func TestNamedHostIsReached(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		for _, m := range []machine{apart, shared} {
			t.Run(string(m), func(t *testing.T) {
				w := newSandbox(t)
				w.name("db.example.com", "203.0.113.5", "2001:db8:1::5")
				w.peer("203.0.113.5:5432", echo)
				w.peer("[2001:db8:1::5]:5432", echo)
				e := w.serveOn(m, w.config(network(t, "db.example.com:5432")))
				got, code := w.resolve("db.example.com", dnsmessage.TypeA)
				if code != 0 || strings.Join(got, " ") != "203.0.113.5" {
					t.Fatalf("A: %v, %v", got, code)
				}
				got, code = w.resolve("db.example.com", dnsmessage.TypeAAAA)
				if code != 0 || strings.Join(got, " ") != "2001:db8:1::5" {
					t.Fatalf("AAAA: %v, %v", got, code)
				}
				for _, addr := range []string{"203.0.113.5:5432", "[2001:db8:1::5]:5432"} {
					c, err := w.dial(addr)
					must(t, err)
					if got, err := talk(c, "hello"); got != "hello" || err != nil {
						t.Errorf("%s: got %q, %v", addr, got, err)
					}
				}
				must(t, e.Close())
				end := w.await(func(ev audit.Event) bool {
					return ev.Verdict == audit.Observed && ev.Subject == "db.example.com:5432" && ev.Address == "203.0.113.5:5432"
				})
				if end.Sent != 5 || end.Received != 5 || end.Rule != "p.toml:1:1" {
					t.Errorf("the record of the end: %+v", end)
				}
			})
		}
	})
}

// No other destination is reached: an address that no name resolved to, another port of
// the same host, a name without a rule.
func TestOthersAreRefused(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("db.example.com", "203.0.113.5")
		w.name("evil.example", "203.0.113.66")
		for _, a := range []string{"203.0.113.5:80", "203.0.113.66:443", "203.0.113.66:5432", "203.0.113.66:9999"} {
			w.peer(a, echo)
		}
		// The twin: from outside they are reachable.
		for _, a := range []string{"203.0.113.5:80", "203.0.113.66:443"} {
			c, err := net.Dial("tcp", a)
			must(t, err)
			if got, err := talk(c.(*net.TCPConn), "x"); got != "x" || err != nil {
				t.Fatalf("outside, %s: %q, %v", a, got, err)
			}
		}
		w.serve(w.config(network(t, "db.example.com:5432")))
		w.resolve("db.example.com", dnsmessage.TypeA)
		if got, code := w.resolve("evil.example", dnsmessage.TypeA); len(got) > 0 || code != dnsmessage.RCodeNameError {
			t.Errorf("evil.example: %v, %v; want NXDOMAIN", got, code)
		}
		for _, a := range []string{"203.0.113.5:80", "203.0.113.66:443", "203.0.113.66:5432"} {
			refused(t, w, a)
		}
		if _, err := w.dial("203.0.113.66:9999"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a port of no rule: %v, want ECONNREFUSED", err)
		}
		if ev := w.await(is(audit.KindConnect, audit.Refused, "203.0.113.66:443")); ev.Advice() != `network.allow = ["203.0.113.66:443"]` {
			t.Errorf("hint %q", ev.Advice())
		}
		if ev := w.await(is(audit.KindConnect, audit.Refused, "db.example.com:80")); ev.Advice() != `network.allow = ["db.example.com:80"]` {
			t.Errorf("hint %q", ev.Advice())
		}
		if ev := w.await(is(audit.KindName, audit.Refused, "evil.example")); ev.Advice() != `network.allow = ["evil.example:PORT"]` {
			t.Errorf("hint %q", ev.Advice())
		}
	})
}

// The loopback is the sandbox's own: a listener there is reached, a closed port is
// refused at once, and the ports of the rules are free to listen on.
func TestLoopbackIsTheSandboxsOwn(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("127.0.0.1:8080", echo) // the host's
		w.serve(w.config(network(t, "api.example.com:8080")))
		for _, a := range []string{"127.0.0.1:8080", "[::1]:8080", "127.0.0.1:443", "127.9.9.9:80"} {
			if _, err := w.dial(a); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v, want ECONNREFUSED", a, err)
			}
		}
		for _, a := range []string{"127.0.0.1:8080", "[::1]:8080", "0.0.0.0:443"} {
			var l net.Listener
			var err error
			w.inside(func() { l, err = net.Listen("tcp", a) })
			if err != nil {
				t.Errorf("a server inside cannot listen on %s: %v", a, err)
				continue
			}
			go func() {
				if c, err := l.Accept(); err == nil {
					says("own")(c.(*net.TCPConn))
					c.Close()
				}
			}()
			c, err := w.dial(strings.Replace(a, "0.0.0.0", "127.0.0.1", 1))
			must(t, err)
			if got, err := talk(c, ""); got != "own" || err != nil {
				t.Errorf("%s: %q, %v", a, got, err)
			}
			l.Close()
		}
	})
}

// If the listeners share the server's namespace, its loopback still does not lead out,
// and the record names the missing protection.
func TestSharedLoopbackDoesNotLeadOut(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("127.0.0.1:8080", echo)
		w.serveOn(shared, w.config(network(t, "api.example.com:8080", "10.0.0.0/8:1")))
		for _, a := range []string{"127.0.0.1:8080", "[::1]:8080"} {
			refused(t, w, a)
		}
		if ev := w.await(is(audit.KindGap, audit.Observed, "listeners")); !strings.Contains(ev.Detail, "the server cannot listen on the ports of its own rules") || ev.Time != w.clock() {
			t.Errorf("%+v", ev)
		}
	})
}

// errorLimit is one of the settings that limit ICMP messages (icmp(7)).
const errorLimit = "/proc/sys/net/ipv4/icmp_ratemask"

// A UDP datagram fails at once, every time; also if /proc/sys is read-only, as it is
// for pid 1.
func TestUDPFailsAtOnce(t *testing.T) {
	withWorld(t, func(t *testing.T, _ *world) {
		fails := func(t *testing.T, m machine) {
			w := newSandbox(t)
			w.serveOn(m, w.config(network(t, "203.0.113.0/24:443")))
			for _, a := range []string{"203.0.113.5:443", "203.0.113.5:52", "198.51.100.1:123", "[2001:db8:1::1]:443", "192.0.2.53:54"} {
				for i := range 20 {
					if err := w.datagram(a); !errors.Is(err, syscall.ECONNREFUSED) {
						t.Fatalf("%s, try %d: %v, want ECONNREFUSED", a, i, err)
					}
				}
			}
		}
		t.Run("apart", func(t *testing.T) { fails(t, apart) })
		t.Run("shared", func(t *testing.T) { fails(t, shared) })
		t.Run("read-only", func(t *testing.T) {
			must(t, unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND|unix.MS_REC, "")) // binfmt_misc may be mounted in it, and stays
			must(t, unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
			if err := os.WriteFile(errorLimit, []byte("0"), 0); !errors.Is(err, syscall.EROFS) {
				t.Fatalf("writing %s: %v, want EROFS", errorLimit, err)
			}
			fails(t, apart)
			if err := os.WriteFile(errorLimit, []byte("0"), 0); !errors.Is(err, syscall.EROFS) {
				t.Errorf("after Listen, writing %s: %v, want EROFS", errorLimit, err)
			}
		})
	})
}

// refused fails unless a connection to addr is reset, during connect(2) or later.
func refused(t *testing.T, w *world, addr string) {
	t.Helper()
	c, err := w.dial(addr)
	if err == nil {
		wantReset(t, c)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: %v, want ECONNRESET", addr, err)
	}
}

// On a machine without IPv6 there is IPv4, and no name resolves to an unreachable
// address.
func TestWithoutIPv6(t *testing.T) {
	withWorld(t, func(t *testing.T, _ *world) {
		for _, m := range []machine{apart, shared} {
			t.Run(string(m), func(t *testing.T) {
				w := newSandbox(t)
				var err error
				w.inside(func() { err = os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0) })
				must(t, err)
				w.name("n.example", "203.0.113.5", "2001:db8:1::5")
				w.peer("203.0.113.5:8080", echo)
				w.serveOn(m, w.config(network(t, "n.example:8080", "localhost:9090")))
				if got, code := w.resolve("n.example", dnsmessage.TypeAAAA); len(got) > 0 || code != 0 {
					t.Errorf("AAAA: %v, %v", got, code)
				}
				if got, _ := w.resolve("n.example", dnsmessage.TypeA); len(got) != 1 {
					t.Errorf("A: %v", got)
				}
				c, err := w.dial("203.0.113.5:8080")
				must(t, err)
				if got, err := talk(c, "x"); got != "x" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
	})
}

// The zero network brings up the loopback, and a resolver that knows no name: the
// author of the profile learns which hosts the server wanted.
func TestNothingAllowedNothingIsThere(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		var hs []listeners.Handle
		var err error
		w.inside(func() { hs, err = listeners.Listen(plan.Network{}) })
		must(t, err)
		if len(hs) != 1 || hs[0].Kind != listeners.KindResolver {
			t.Fatalf("%+v, want a resolver alone", hs)
		}
		e, err := Serve(t.Context(), hs, w.config(plan.Network{}))
		must(t, err)
		defer e.Close()
		w.name("api.test", "203.0.113.5")
		b, err := w.exchange("127.0.0.1", question(t, "api.test", dnsmessage.TypeA))
		must(t, err)
		var m dnsmessage.Message
		must(t, m.Unpack(b))
		if m.RCode != dnsmessage.RCodeNameError || len(m.Answers) != 0 {
			t.Errorf("%v with %d answers, want NXDOMAIN", m.RCode, len(m.Answers))
		}
		if ev := w.await(is(audit.KindName, audit.Refused, "api.test")); ev.Advice() == "" {
			t.Errorf("nobody learns how to allow it: %+v", ev)
		}
		if w.lookups() != 0 {
			t.Error("the host's resolver was asked")
		}
		if _, err := w.dial("203.0.113.5:443"); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("%v, want ENETUNREACH", err)
		}
		if _, err := w.dial("127.0.0.1:443"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v, want ECONNREFUSED", err)
		}
	})
}

// The sockets of a profile with many ports come in several messages. A listener from
// the second must know the names that the resolver from the first answered, or every
// connection to its ports would be refused.
func TestListenersOfSeveralMessagesShareNames(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		const addr = "203.0.113.5:8080"
		w.name("api.example.com", "203.0.113.5")
		w.peer(addr, echo)
		n := network(t, "api.example.com:8080")
		var hs []listeners.Handle
		var err error
		w.inside(func() { hs, err = listeners.Listen(n) })
		must(t, err)
		last := len(hs) - 1
		if hs[last].Port != 8080 {
			t.Fatalf("the last handle is of port %d", hs[last].Port)
		}
		e, err := Serve(t.Context(), hs[:last], w.config(n))
		must(t, err)
		defer e.Close()
		must(t, e.Add(hs[last:]))
		w.resolve("api.example.com", dnsmessage.TypeA)
		c, err := w.dial(addr)
		must(t, err)
		if got, err := talk(c, "x"); got != "x" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// A connection that the kernel refused is reported with the rule that would allow it,
// in the profile's words: with the name if one resolved to the address.
func TestBarredPortsAreTold(t *testing.T) {
	w := newQuietWorld(t)
	w.name("api.example.com", "203.0.113.5")
	e, err := Serve(t.Context(), nil, w.config(network(t, "api.example.com:443")))
	must(t, err)
	defer e.Close()
	e.names.table.learn(answer{asked: asked{name: "api.example.com"}, addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}}, w.clock())
	for _, row := range []struct{ to, subject, hint string }{
		{"203.0.113.5:22", "api.example.com:22", `network.allow = ["api.example.com:22"]`},
		{"203.0.113.6:22", "203.0.113.6:22", `network.allow = ["203.0.113.6:22"]`},
		{"127.0.0.1:5432", "localhost:5432", `network.allow = ["localhost:5432"]`},
		{"[::1]:5432", "localhost:5432", `network.allow = ["localhost:5432"]`},
		{"169.254.169.254:22", "169.254.169.254:22", ""},
	} {
		w.pass(2 * window)
		before := len(w.told)
		e.Barred(netip.MustParseAddrPort(row.to), "EACCES", 7, "node")
		ev := w.events[len(w.events)-1]
		if ev.Verdict != audit.Refused || ev.Subject != row.subject || ev.Advice() != row.hint || ev.Address != row.to || ev.Errno != "EACCES" || ev.PID != 7 || ev.Program != "node" {
			t.Errorf("%s: recorded %+v", row.to, ev)
		}
		if len(w.told) != before+1 {
			t.Errorf("%s: told %d lines", row.to, len(w.told)-before)
		}
	}
}
