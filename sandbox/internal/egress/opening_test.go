package egress

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/hello/hellotest"
	"mcpen/sandbox/policy"
)

// A domain fronting client must not evade the server name check by the form of the
// rules: a range of ports, another name's rule for the same address, or another port.
func TestTLSIsDecidedByPortAndAddress(t *testing.T) {
	text := []byte("GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n")
	a, b, evil, none := hellotest.Build(16384, hellotest.SNI("a.n.example")), hellotest.Build(16384, hellotest.SNI("b.n.example")), hellotest.Build(16384, hellotest.SNI("evil.example")), hellotest.Build(16384)
	old := []byte{0x80, 0x2e, 1, 3, 1, 0, 21, 0, 0, 0, 16, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0, 6, 0, 0, 7}
	empty := append([]byte{22, 3, 1, 0, 0}, evil...)
	newer := append([]byte{22, 3, 9}, evil[3:]...)
	for _, c := range []struct {
		rules  string
		port   string
		pass   [][]byte
		refuse [][]byte
	}{
		{"a.n.example:443", "443", [][]byte{a}, [][]byte{text, b, evil, none, old, empty, newer}},
		{"a.n.example:443-444", "443", [][]byte{a}, [][]byte{text, b, evil, none, old, empty, newer}},
		{"a.n.example:443-444", "444", [][]byte{a, text}, [][]byte{b, evil, none, old, empty, newer}},
		{"a.n.example:440-445", "443", [][]byte{a}, [][]byte{text, evil}},
		{"a.n.example:443, b.n.example:443-444", "443", [][]byte{a, b}, [][]byte{text, evil, none}},
		{"a.n.example:443, b.n.example:443-444", "444", [][]byte{b, text}, [][]byte{a, evil, none}},
		{"a.n.example:443, b.n.example:443 tls=false", "443", [][]byte{a, b}, [][]byte{text, evil, none}},
		{"a.n.example:443, 203.0.113.0/24:443", "443", [][]byte{a, none}, [][]byte{text, evil}},
		{"a.n.example:443, *.n.example:443", "443", [][]byte{a, b}, [][]byte{text, none}},
		{"a.n.example:8443", "8443", [][]byte{a, text}, [][]byte{b, evil, none, old, empty, newer}},
		{"a.n.example:8443, b.n.example:8443", "8443", [][]byte{a, b, text}, [][]byte{evil, none}},
		{"a.n.example:8443, b.n.example:8443 tls=false", "8443", [][]byte{a, b, text}, [][]byte{evil, none}},
		{"a.n.example:8443 tls=true", "8443", [][]byte{a}, [][]byte{text, evil, none}},
		{"a.n.example:8443-8444 tls=true, b.n.example:8443", "8443", [][]byte{a, b}, [][]byte{text, evil, none}},
		// A rule with tls = false allows everything, also beside a rule for the same
		// name.
		{"a.n.example:443 tls=false", "443", [][]byte{a, text, evil, none, old}, nil},
		{"a.n.example:443, a.n.example:443 tls=false", "443", [][]byte{a, text, evil}, nil},
		{"*.n.example:443, a.n.example:443 tls=false, b.n.example:443 tls=false", "443", [][]byte{a, text, evil}, nil},
		{"203.0.113.5:443", "443", [][]byte{a, text, evil, none}, nil},
	} {
		rules := newRules(network(t, strings.Split(c.rules, ", ")...).Hosts)
		e := &Egress{rules: rules}
		dst := mustAddrPort(t, "203.0.113.5:"+c.port)
		for _, b := range append(append([][]byte{}, c.pass...), c.refuse...) {
			want := len(c.pass) > 0 && slices.ContainsFunc(c.pass, func(p []byte) bool { return bytes.Equal(p, b) })
			if got := opens(t, e, rules.grants(dst, []string{"a.n.example", "b.n.example"}), dst, b); got != want {
				t.Errorf("%s, port %s, %.20q: passes %v, want %v", c.rules, c.port, b, got, want)
			}
		}
	}
}

// opens reports whether a connection with these first bytes continues, with every byte
// of them.
func opens(t *testing.T, e *Egress, gs []grant, dst netip.AddrPort, first []byte) bool {
	t.Helper()
	e.cfg.Limits = Limits{}.withDefaults()
	in, out := net.Pipe()
	defer in.Close()
	go func() {
		_, _ = out.Write(first)
		out.Close()
	}()
	var o opening
	var bad *refusal
	var err error
	switch looks(gs, dst.Port()) {
	case unseen:
		return true
	case demanded:
		o, bad = e.demand(pipe{in}, gs, dst)
	case checked:
		o, bad, err = e.peek(pipe{in}, gs, dst)
	}
	if bad != nil {
		return false
	}
	if err != nil || o.grant == (grant{}) {
		t.Errorf("%.20q: %v, %+v", first, err, o)
	}
	rest, err := io.ReadAll(in)
	if got := append(o.first, rest...); !bytes.Equal(got, first) || err != nil {
		t.Errorf("%d bytes of %d go on, %v", len(got), len(first), err)
	}
	return true
}

// pipe is a net.Pipe that cannot close one direction. Like a TCP connection, it accepts
// deadlines after the other end has closed.
type pipe struct{ net.Conn }

func (pipe) CloseWrite() error { return nil }

func (p pipe) SetReadDeadline(t time.Time) error {
	if err := p.Conn.SetReadDeadline(t); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// On the wire: two rules for one address allow together only the stricter of both, and
// a server that speaks first is heard before the client sends anything.
func TestTLSOnOtherPorts(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("a.n.example", "203.0.113.5")
		w.name("b.n.example", "203.0.113.5")
		for _, port := range []string{"443", "444", "2222"} {
			w.peer("203.0.113.5:"+port, says("hi "))
		}
		w.serve(w.config(network(t, "a.n.example:443", "b.n.example:443-444", "b.n.example:2222")))
		w.resolve("a.n.example", dnsmessage.TypeA)
		w.resolve("b.n.example", dnsmessage.TypeA)
		good, evil := string(hellotest.Build(16384, hellotest.SNI("b.n.example"))), string(hellotest.Build(16384, hellotest.SNI("evil.example")))
		for _, c := range []struct {
			port, text string
			ok         bool
		}{
			{"443", good, true}, {"443", evil, false}, {"443", "plain", false},
			{"444", good, true}, {"444", evil, false}, {"444", "plain", true},
			{"2222", good, true}, {"2222", evil, false}, {"2222", "plain", true}, {"2222", "\x16", true}, {"2222", "", true},
		} {
			// The twin: outside, the same bytes come back.
			out, err := net.Dial("tcp", "203.0.113.5:"+c.port)
			must(t, err)
			if got, err := talk(out.(*net.TCPConn), c.text); got != "hi "+c.text || err != nil {
				t.Fatalf("outside: %.20q, %v", got, err)
			}
			in, err := w.dial("203.0.113.5:" + c.port)
			must(t, err)
			got, err := talk(in, c.text)
			if c.ok && (got != "hi "+c.text || err != nil) {
				t.Errorf("port %s, %.20q: %d bytes came back, %v", c.port, c.text, len(got), err)
			}
			if !c.ok && (err == nil || strings.Contains(got, c.text)) {
				t.Errorf("port %s, %.20q: %d bytes came back, %v", c.port, c.text, len(got), err)
			}
		}
		ev := w.await(is(audit.KindConnect, audit.Refused, "evil.example:2222"))
		if ev.Advice() != `network.allow = ["evil.example:2222"]` {
			t.Errorf("%+v", ev)
		}
		// The first bytes decide: TLS that begins later (STARTTLS) is not examined, as the
		// program could send anything else in its place.
		late, err := w.dial("203.0.113.5:2222")
		must(t, err)
		defer late.Close()
		for _, text := range []string{"plain", evil} {
			want := text
			if text == "plain" {
				want = "hi plain"
			}
			b := make([]byte, len(want))
			_, err := io.WriteString(late, text)
			must(t, err)
			if _, err := io.ReadFull(late, b); string(b) != want || err != nil {
				t.Errorf("after the first bytes: %.20q, %v", b, err)
			}
		}
		// The server's first bytes arrive while the client sends nothing.
		c, err := w.dial("203.0.113.5:2222")
		must(t, err)
		defer c.Close()
		b := make([]byte, 3)
		if _, err := io.ReadFull(c, b); string(b) != "hi " || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// A hint at a rule that the profile already has would send a person in circles.
func TestHintsAreNotThereYet(t *testing.T) {
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(network(t, "a.n.example:443", "*.wild.example:80-81", "10.0.0.0/8:5432", "localhost:5432")))
	must(t, err)
	defer e.Close()
	for _, c := range []struct {
		name string
		port uint16
		want string
	}{
		{"a.n.example", 443, ""}, {"a.n.example", 444, `network.allow = ["a.n.example:444"]`},
		{"x.wild.example", 81, ""}, {"x.wild.example", 443, `network.allow = ["x.wild.example:443"]`},
		{"10.1.2.3", 5432, ""}, {"10.1.2.3", 22, `network.allow = ["10.1.2.3:22"]`},
		{"localhost", 5432, ""}, {"localhost", 22, `network.allow = ["localhost:22"]`},
		{"2001:db8::1", 22, `network.allow = ["[2001:db8::1]:22"]`}, {"169.254.169.254", 80, ""}, {"not a name", 80, ""}, {"*.example.com", 443, ""},
	} {
		got := audit.Event{Grant: e.ruleFor(c.name, c.port)}.Advice()
		if got != c.want {
			t.Errorf("%s %d: %q, want %q", c.name, c.port, got, c.want)
		}
	}
	if h, err := policy.ParseHost("a.n.example:444"); err != nil || h.Kind != policy.HostName {
		t.Errorf("what is hinted is no rule: %v", err)
	}
}

func mustAddrPort(t *testing.T, s string) netip.AddrPort {
	t.Helper()
	ap, err := netip.ParseAddrPort(s)
	must(t, err)
	return ap
}
