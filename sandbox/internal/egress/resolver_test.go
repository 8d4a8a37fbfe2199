package egress

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/plan"
)

// newTestResolver is a resolver without a sandbox.
func newTestResolver(t testing.TB, hosts ...string) (*resolver, *world) {
	t.Helper()
	w := newQuietWorld(t)
	cfg := w.config(network(t, hosts...))
	cfg.Own = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("203.0.113.200/32")}, nil }
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return e.names, w
}

func reply(t testing.TB, r *resolver, q []byte, tcp bool) (m dnsmessage.Message) {
	t.Helper()
	b := r.answer(q, tcp)
	if b == nil {
		t.Fatal("no answer")
	}
	must(t, m.Unpack(b))
	return m
}

// A question about a name that no rule names never leaves the machine.
func TestRefusedNamesAskNobody(t *testing.T) {
	r, w := newTestResolver(t, "api.example.com:443", "*.cdn.example:443")
	types := []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeTXT, dnsmessage.TypeMX, dnsmessage.TypeNS,
		dnsmessage.TypeSRV, dnsmessage.TypeCNAME, dnsmessage.TypePTR, dnsmessage.TypeSOA, dnsmessage.TypeALL, 64, 65, 257}
	label := strings.Repeat("x", 60)
	names := []string{
		"evil.example", "example.com", "xapi.example.com", "data.api.example.com", label + ".evil.example", "cdn.example",
		label + "." + label + ".cdn.example", "a.b.c.d.e.cdn.example", "4.113.0.203.in-addr.arpa", "wpad", "com",
	}
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("secret-%d.evil.example", i))
	}
	for i, n := range names {
		for _, k := range types[:1+len(types)*b2i(i < 20)-b2i(i < 20)] {
			if m := reply(t, r, question(t, n, k), false); m.RCode != dnsmessage.RCodeNameError || len(m.Answers) > 0 {
				t.Fatalf("%s %v: %v, %v", n, k, m.RCode, m.Answers)
			}
		}
	}
	if n := w.lookups(); n != 0 {
		t.Errorf("%d names were looked up", n)
	}
	if n := len(w.events); n == 0 || n > 2*maxKinds {
		t.Errorf("%d events: every refusal must count, and none may flood", n)
	}
	if n := len(w.told); n == 0 || n > maxKinds {
		t.Errorf("%d lines for a person", n)
	}
	must(t, r.e.ledger.sweep(true))
	last := w.await(func(ev audit.Event) bool {
		return strings.Contains(ev.Detail, "more within a minute") && ev.Subject != ""
	})
	if last.Verdict != audit.Refused {
		t.Errorf("%+v", last)
	}
	// The twin: an allowed name is looked up.
	w.name("api.example.com", "203.0.113.5")
	if m := reply(t, r, question(t, "api.example.com", dnsmessage.TypeA), false); len(m.Answers) != 1 || w.lookups() != 1 {
		t.Errorf("%v after %d lookups", m.Answers, w.lookups())
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Below a wildcard, names can carry data; their rate is bounded.
func TestWildcardNamesAreRationed(t *testing.T) {
	r, w := newTestResolver(t, "*.example.com:443", "api.example.com:443", "*.example.org:443")
	w.name("api.example.com", "203.0.113.5")
	for i := range 10_000 {
		reply(t, r, question(t, fmt.Sprintf("secret-%d.example.com", i), dnsmessage.TypeA), false)
	}
	if n := w.lookups(); n != wildBurst {
		t.Errorf("%d lookups, want the burst of %d", n, wildBurst)
	}
	if m := reply(t, r, question(t, "api.example.com", dnsmessage.TypeA), false); len(m.Answers) != 1 {
		t.Errorf("a name of its own rule waits for the wildcard's: %v", m.RCode)
	}
	// A person hears of each wildcard once, not of each name.
	for i := range 3 {
		reply(t, r, question(t, fmt.Sprintf("secret-%d.example.org", i), dnsmessage.TypeA), false)
	}
	w.until(func() bool {
		n := map[string]int{}
		for _, line := range w.told {
			for _, suffix := range []string{"com", "org"} {
				if strings.HasSuffix(line, "too many new names below *.example."+suffix+": one in 2s") {
					n[suffix]++
				}
			}
		}
		if n["com"] > 1 || n["org"] > 1 {
			t.Fatalf("told %q", w.told)
		}
		return n["com"] == 1 && n["org"] == 1
	})
	w.pass(10 * wildEvery)
	for i := range 100 {
		reply(t, r, question(t, fmt.Sprintf("later-%d.example.com", i), dnsmessage.TypeA), false)
	}
	if n := w.lookups(); n != wildBurst+1+10 {
		t.Errorf("%d lookups after a while", n)
	}
}

// An allowed name has addresses, texts and services, and nothing else.
func TestOnlyAddressesAreAnswered(t *testing.T) {
	r, w := newTestResolver(t, "api.example.com:443")
	w.name("api.example.com", "203.0.113.5", "2001:db8:1::5")
	for _, k := range []dnsmessage.Type{dnsmessage.TypeALL, dnsmessage.TypeMX, dnsmessage.TypeCNAME, 64, 65} {
		if m := reply(t, r, question(t, "api.example.com", k), false); m.RCode != 0 || len(m.Answers) > 0 {
			t.Errorf("%v: %v, %v", k, m.RCode, m.Answers)
		}
	}
	if w.lookups() != 0 {
		t.Errorf("%d lookups", w.lookups())
	}
	m := reply(t, r, question(t, "aPi.ExAmPlE.cOm", dnsmessage.TypeA), false)
	if len(m.Answers) != 1 || m.Answers[0].Header.Name.String() != "aPi.ExAmPlE.cOm." || m.Questions[0].Name.String() != "aPi.ExAmPlE.cOm." {
		t.Errorf("the case of the question is not kept: %v", m.GoString())
	}
	if m := reply(t, r, question(t, "localhost", dnsmessage.TypeA), false); len(m.Answers) != 1 || m.Answers[0].Body.(*dnsmessage.AResource).A != [4]byte{127, 0, 0, 1} {
		t.Errorf("localhost: %v", m.Answers)
	}
	if m := reply(t, r, question(t, "gone.example", dnsmessage.TypeA), false); m.RCode != dnsmessage.RCodeNameError {
		t.Errorf("%v", m.RCode)
	}
}

// mongodb+srv and its like ask for the services of an allowed name, and for its text.
// No other record is asked for.
func TestServicesAndTexts(t *testing.T) {
	r, w := newTestResolver(t, "cl.example.com:27017", "*.wild.example:27017")
	r.e.cfg.Lookup = func(_ context.Context, name string, kind dnsmessage.Type) (dns.Records, error) {
		w.mu.Lock()
		w.asked[name]++
		w.mu.Unlock()
		switch kind {
		case dnsmessage.TypeSRV:
			return dns.Records{Rest: []dnsmessage.ResourceBody{&dnsmessage.SRVResource{Port: 27017, Target: dnsmessage.MustNewName("n1.cl.example.com.")}}}, nil
		case dnsmessage.TypeTXT:
			return dns.Records{Rest: []dnsmessage.ResourceBody{&dnsmessage.TXTResource{TXT: []string{"replicaSet=x", "y"}}}}, nil
		}
		return dns.Records{}, nil
	}
	for _, name := range []string{"_mongodb._tcp.cl.example.com", "_mongodb._tcp.a.wild.example"} {
		m := reply(t, r, question(t, name, dnsmessage.TypeSRV), false)
		if len(m.Answers) != 1 || m.Answers[0].Body.(*dnsmessage.SRVResource).Target.String() != "n1.cl.example.com." || m.Answers[0].Body.(*dnsmessage.SRVResource).Port != 27017 {
			t.Errorf("%s: %v, %v", name, m.RCode, m.Answers)
		}
	}
	for _, name := range []string{"cl.example.com", "a.wild.example"} {
		m := reply(t, r, question(t, name, dnsmessage.TypeTXT), false)
		if len(m.Answers) != 1 || strings.Join(m.Answers[0].Body.(*dnsmessage.TXTResource).TXT, "|") != "replicaSet=x|y" {
			t.Errorf("%s: %v, %v", name, m.RCode, m.Answers)
		}
	}
	before := w.lookups()
	for _, c := range []struct {
		name string
		kind dnsmessage.Type
	}{
		{"_mongodb._tcp.evil.example", dnsmessage.TypeSRV}, {"_mongodb._tcp.cl.example.com", dnsmessage.TypeA}, {"_mongodb._tcp.cl.example.com", dnsmessage.TypeTXT},
		{"_mongodb._sctp.cl.example.com", dnsmessage.TypeSRV}, {"mongodb._tcp.cl.example.com", dnsmessage.TypeSRV}, {"_tcp.cl.example.com", dnsmessage.TypeSRV},
		{"_" + strings.Repeat("x", maxService) + "._tcp.cl.example.com", dnsmessage.TypeSRV}, {"_a._b._tcp.cl.example.com", dnsmessage.TypeSRV},
		{"evil.example", dnsmessage.TypeTXT}, {"x.cl.example.com", dnsmessage.TypeTXT},
	} {
		if m := reply(t, r, question(t, c.name, c.kind), false); m.RCode != dnsmessage.RCodeNameError || len(m.Answers) > 0 {
			t.Errorf("%s %v: %v, %v", c.name, c.kind, m.RCode, m.Answers)
		}
	}
	if w.lookups() != before {
		t.Errorf("refused questions were asked: %v", w.asked)
	}
}

// A name server without IPv6 must not keep a name from resolving: some C libraries take
// a failure of either question for a failure of both.
func TestFailingIPv6IsNoFailure(t *testing.T) {
	r, w := newTestResolver(t, "n.example:443")
	var four dns.Records
	sixes := 0
	r.e.cfg.Lookup = func(_ context.Context, _ string, kind dnsmessage.Type) (dns.Records, error) {
		if kind == dnsmessage.TypeAAAA {
			sixes++
			return dns.Records{}, errors.New("silence")
		}
		return four, nil
	}
	if m := reply(t, r, question(t, "n.example", dnsmessage.TypeAAAA), false); m.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("with nothing known: %v", m.RCode)
	}
	four.Addrs = []netip.Addr{netip.MustParseAddr("203.0.113.5")}
	w.pass(keepFound)
	before := len(w.told)
	if m := reply(t, r, question(t, "n.example", dnsmessage.TypeAAAA), false); m.RCode != 0 || len(m.Answers) > 0 {
		t.Errorf("with an IPv4 address that nobody asked for yet: %v", m.RCode)
	}
	if m := reply(t, r, question(t, "n.example", dnsmessage.TypeA), false); len(m.Answers) != 1 {
		t.Errorf("%v", m.RCode)
	}
	if len(w.told) != before {
		t.Errorf("told %q", w.told[before:])
	}
	// Its silence is remembered for as long as an address: each question takes seconds.
	asked := sixes
	for _, c := range []struct {
		pass time.Duration
		more int
	}{{keepFound - time.Second, 0}, {time.Second, 1}} {
		w.pass(c.pass)
		if m := reply(t, r, question(t, "n.example", dnsmessage.TypeAAAA), false); m.RCode != 0 || sixes != asked+c.more {
			t.Errorf("after %v: %v, asked %d more times, want %d", c.pass, m.RCode, sixes-asked, c.more)
		}
	}
}

// A stand-in address stays that of its name for as long as an address that was looked
// up.
func TestStandInsAreKept(t *testing.T) {
	r, w := newTestResolver(t, "n.example:443")
	rule := r.e.cfg.Network.Hosts[0]
	for kind, addrs := range map[dnsmessage.Type]int{dnsmessage.TypeA: 1, dnsmessage.TypeAAAA: 0} {
		a := r.standIn(asked{name: "n.example", kind: kind}, rule)
		if len(a.addrs) != addrs || a.rcode != 0 || !a.until.Equal(w.clock().Add(keepFound)) {
			t.Errorf("%v: %+v", kind, a)
		}
		if addrs == 1 && !slices.Contains(r.of(a.addrs[0]), "n.example") {
			t.Errorf("%v stands for %q", a.addrs, r.of(a.addrs[0]))
		}
	}
}

// A name without an address differs from a missing name. Each is reported once, as
// such.
func TestNoAddressIsNotNoName(t *testing.T) {
	r, w := newTestResolver(t, "empty.example:443", "inward.example:443", "gone.example:443")
	w.name("empty.example")
	w.name("inward.example", "10.0.0.5")
	for name, want := range map[string]dns.RCode{"empty.example": 0, "inward.example": 0, "gone.example": dnsmessage.RCodeNameError} {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
			if m := reply(t, r, question(t, name, kind), false); m.RCode != want || len(m.Answers) > 0 {
				t.Errorf("%s %v: %v, %v", name, kind, m.RCode, m.Answers)
			}
		}
	}
	for _, want := range []string{
		"cannot look up empty.example, which p.toml:1:1 allows: it has no address",
		"cannot look up gone.example, which p.toml:3:1 allows: there is no such name",
	} {
		if !slices.Contains(w.told, want) {
			t.Errorf("not told %q: %q", want, w.told)
		}
	}
	if len(w.told) != 3 { // and why the third is led nowhere
		t.Errorf("told %q", w.told)
	}
}

// The name servers' answers are checked: rebinding leads nowhere.
func TestRebinding(t *testing.T) {
	for _, c := range []struct {
		rule  string
		addrs []string
		want  string
	}{
		{"n.example:443", []string{"203.0.113.5"}, "203.0.113.5"},
		{"n.example:443", []string{"10.0.0.1"}, ""},
		{"n.example:443", []string{"127.0.0.1"}, ""},
		{"n.example:443", []string{"0.0.0.0"}, ""},
		{"n.example:443", []string{"169.254.169.254"}, ""},
		{"n.example:443", []string{"203.0.113.5", "10.0.0.1", "192.168.1.1", "203.0.113.6"}, "203.0.113.5 203.0.113.6"},
		{"n.example:443", []string{"::ffff:10.0.0.1"}, ""},
		{"n.example:443", []string{"::ffff:203.0.113.5"}, ""},
		{"n.example:443", []string{"64:ff9b::7f00:1"}, ""},
		{"n.example:443", []string{"203.0.113.200"}, ""}, // the host's own
		{"n.example:443 private", []string{"10.0.0.1"}, "10.0.0.1"},
		{"n.example:443 private", []string{"127.0.0.1", "169.254.169.254", "100.100.100.200"}, ""},
		{"n.example:443", []string{"203.0.113.5", "203.0.113.5"}, "203.0.113.5"},
	} {
		r, w := newTestResolver(t, c.rule)
		w.name("n.example", c.addrs...)
		m := reply(t, r, question(t, "n.example", dnsmessage.TypeA), false)
		m.Answers = append(m.Answers, reply(t, r, question(t, "n.example", dnsmessage.TypeAAAA), false).Answers...)
		var got []string
		for _, a := range m.Answers {
			switch b := a.Body.(type) {
			case *dnsmessage.AResource:
				got = append(got, netip.AddrFrom4(b.A).String())
			case *dnsmessage.AAAAResource:
				got = append(got, netip.AddrFrom16(b.AAAA).String())
			}
		}
		if strings.Join(got, " ") != c.want || m.RCode != 0 {
			t.Errorf("%s, %v: %v, %v; want %q", c.rule, c.addrs, got, m.RCode, c.want)
		}
		for _, a := range c.addrs {
			kept := strings.Contains(" "+c.want+" ", " "+a+" ")
			if names := r.table.names(netip.MustParseAddr(a), w.now); (len(names) > 0) != kept {
				t.Errorf("%s, %v: %s leads to %v", c.rule, c.addrs, a, names)
			}
		}
	}
	// Public first, private when the connection is made.
	r, w := newTestResolver(t, "n.example:443")
	w.name("n.example", "203.0.113.5")
	reply(t, r, question(t, "n.example", dnsmessage.TypeA), false)
	w.name("n.example", "10.0.0.1")
	w.pass(keepFound)
	if m := reply(t, r, question(t, "n.example", dnsmessage.TypeA), false); len(m.Answers) > 0 {
		t.Errorf("rebound to %v", m.Answers)
	}
	ev := w.await(func(ev audit.Event) bool { return ev.Verdict == audit.Refused && ev.Address == "10.0.0.1" })
	if ev.Advice() != `network.allow = [{ host = "n.example:443", private = true }]` {
		t.Errorf("hint %q", ev.Advice())
	}
}

// A decision that cannot be recorded is not made.
func TestUnrecordedNamesAreNotAnswered(t *testing.T) {
	w := newQuietWorld(t)
	w.name("n.example", "203.0.113.5")
	cfg := w.config(network(t, "n.example:443"))
	cfg.Sink = func(audit.Event) error { return errors.New("disk full") }
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	defer e.Close()
	if m := reply(t, e.names, question(t, "n.example", dnsmessage.TypeA), false); m.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("%v, %v", m.RCode, m.Answers)
	}
}

// withOPT appends an EDNS record.
func withOPT(q []byte, size uint16, version byte) []byte {
	q = append([]byte(nil), q...)
	binary.BigEndian.PutUint16(q[10:], 1)
	q = append(q, 0, 0, 41)
	q = binary.BigEndian.AppendUint16(q, size)
	return append(q, 0, version, 0, 0, 0, 0)
}

func TestMessageSizes(t *testing.T) {
	r, w := newTestResolver(t, "many.example:443")
	var addrs []string
	for i := range 60 {
		addrs = append(addrs, fmt.Sprintf("203.0.113.%d", i+1))
	}
	w.name("many.example", addrs...)
	q := question(t, "many.example", dnsmessage.TypeA)
	if m := reply(t, r, q, false); !m.Truncated || len(m.Answers) > 0 || len(m.Additionals) > 0 {
		t.Errorf("without EDNS: truncated %v, %d answers", m.Truncated, len(m.Answers))
	}
	if m := reply(t, r, q, true); m.Truncated || len(m.Answers) != 60 {
		t.Errorf("over TCP: truncated %v, %d answers", m.Truncated, len(m.Answers))
	}
	if m := reply(t, r, withOPT(q, 4096, 0), false); m.Truncated || len(m.Answers) != 60 || len(m.Additionals) != 1 {
		t.Errorf("with EDNS: truncated %v, %d answers, %d additionals", m.Truncated, len(m.Answers), len(m.Additionals))
	}
	if b := r.answer(withOPT(q, 4096, 0), false); len(b) > 1232 {
		t.Errorf("%d bytes", len(b))
	}
	if m := reply(t, r, withOPT(q, 100, 0), false); !m.Truncated {
		t.Error("a size below 512 counts as 512")
	}
	for i := range 200 {
		addrs = append(addrs, fmt.Sprintf("198.51.100.%d", i+1))
	}
	w.name("many.example", addrs...)
	w.pass(keepFound)
	if m := reply(t, r, q, true); m.Truncated || len(m.Answers) != maxAddrs {
		t.Errorf("260 addresses over TCP: truncated %v, %d answers", m.Truncated, len(m.Answers))
	}
	m := reply(t, r, withOPT(q, 4096, 1), false)
	if len(m.Additionals) != 1 || m.Additionals[0].Header.ExtendedRCode(m.RCode) != 16 {
		t.Errorf("version 1 of EDNS: %v", m.GoString())
	}
}

// A malformed message gets the answer of RFC 1035, or none.
func TestOddMessages(t *testing.T) {
	r, _ := newTestResolver(t, "n.example:443")
	good := question(t, "n.example", dnsmessage.TypeA)
	edit := func(f func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	for what, c := range map[string]struct {
		q    []byte
		code int // -1: silence
	}{
		"nothing":         {nil, -1},
		"half a header":   {good[:7], -1},
		"a response":      {edit(func(b []byte) { b[2] |= 0x80 }), -1},
		"another opcode":  {edit(func(b []byte) { b[2] |= 4 << 3 }), 4},
		"no question":     {edit(func(b []byte) { b[5] = 0 }), 1},
		"two questions":   {edit(func(b []byte) { b[5] = 2 }), 1},
		"half a question": {good[:len(good)-3], 1},
		"another class":   {edit(func(b []byte) { b[len(b)-1] = 3 }), 5},
		"two OPT records": {append(edit(func(b []byte) { b[11] = 2 }), bytes.Repeat([]byte{0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0}, 2)...), 1},
	} {
		b := r.answer(c.q, false)
		if c.code < 0 {
			if b != nil {
				t.Errorf("%s: an answer of %d bytes", what, len(b))
			}
			continue
		}
		if len(b) < 12 || int(b[3]&15) != c.code || b[2]&0x80 == 0 || !bytes.Equal(b[:2], good[:2]) {
			t.Errorf("%s: %x, want code %d", what, b, c.code)
		}
	}
}

// From inside, over the wire: answers come from the address that was asked, over both
// families and both transports.
func TestQuestionsFromInside(t *testing.T) {
	withWorld(t, func(t *testing.T, _ *world) {
		for _, m := range []machine{apart, shared} {
			t.Run(string(m), func(t *testing.T) {
				w := newSandbox(t)
				w.name("n.example", "203.0.113.5")
				w.serveOn(m, w.config(network(t, "n.example:443")))
				q := question(t, "n.example", dnsmessage.TypeA)
				for _, server := range []string{plan.Resolver, "8.8.8.8", "203.0.113.5", "2001:db8::53", "2606:4700::1111"} {
					b, err := w.exchange(server, q)
					if err != nil {
						t.Errorf("%s: %v", server, err)
						continue
					}
					var m dnsmessage.Message
					must(t, m.Unpack(b))
					if len(m.Answers) != 1 {
						t.Errorf("%s: %v", server, m.GoString())
					}
					c, err := w.dial(netip.AddrPortFrom(netip.MustParseAddr(server), 53).String())
					must(t, err)
					for range 2 {
						_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...))
						must(t, err)
						head := make([]byte, 2)
						_, err = io.ReadFull(c, head)
						must(t, err)
						b = make([]byte, binary.BigEndian.Uint16(head))
						_, err = io.ReadFull(c, b)
						must(t, err)
						if m.Unpack(b) != nil || len(m.Answers) != 1 {
							t.Errorf("%s over TCP: %x", server, b)
						}
					}
					c.Close()
				}
			})
		}
	})
}

func FuzzQuestions(f *testing.F) {
	f.Add(question(f, "n.example", dnsmessage.TypeA))
	f.Add(withOPT(question(f, "a.b.example", dnsmessage.TypeAAAA), 4096, 0))
	f.Add(question(f, "evil.example", dnsmessage.TypeTXT))
	w := newQuietWorld(f)
	cfg := w.config(plan.Network{Hosts: network(f, "n.example:443", "*.b.example:443").Hosts})
	cfg.Sink, cfg.Warn = func(audit.Event) error { return nil }, func(string) {}
	cfg.Lookup = func(_ context.Context, name string, _ dnsmessage.Type) (dns.Records, error) {
		if name != "n.example" && !strings.HasSuffix(name, ".b.example") {
			f.Errorf("%q was looked up", name)
		}
		return dns.Records{Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}}, nil
	}
	e, err := Serve(context.Background(), nil, cfg)
	must(f, err)
	f.Cleanup(func() { e.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, tcp := range []bool{false, true} {
			out := e.names.answer(b, tcp)
			if out == nil {
				continue
			}
			if len(out) < 12 || !bytes.Equal(out[:2], b[:2]) || out[2]&0x80 == 0 {
				t.Errorf("the answer to %x is %x", b, out)
			}
			if !tcp && len(out) > 1232 {
				t.Errorf("%d bytes over UDP", len(out))
			}
		}
	})
}

// A socket of questions that fails says so and answers on: without names a server reaches
// nothing.
func TestAFailingSocketOfQuestions(t *testing.T) {
	w := newQuietWorld(t)
	w.name("a.example", "203.0.113.5")
	cfg := w.config(network(t, "a.example:443"))
	cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
	e, err := Serve(t.Context(), nil, cfg)
	must(t, err)
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	must(t, c.SetReadDeadline(time.Unix(1, 0))) // every read fails
	if !e.keep(c) {
		t.Fatal("not kept")
	}
	before := e.opens()
	e.goes(func() { e.names.serveUDP(c) })
	w.awaitTold("cannot read a question: ")
	must(t, c.SetReadDeadline(time.Time{}))
	program, err := net.Dial("udp", c.LocalAddr().String())
	must(t, err)
	defer program.Close()
	must(t, program.SetDeadline(time.Now().Add(patience)))
	_, err = program.Write(question(t, "a.example", dnsmessage.TypeA))
	must(t, err)
	if n, err := program.Read(make([]byte, 512)); n == 0 || err != nil {
		t.Errorf("no answer behind a failure: %v", err)
	}
	must(t, c.Close()) // and an end is no failure
	for end := time.Now().Add(patience); e.opens() != before-1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if len(w.told) != 1 || e.opens() != before-1 {
		t.Errorf("told %q; %d are kept, %d before", w.told, e.opens(), before)
	}
	must(t, e.Close())
}
