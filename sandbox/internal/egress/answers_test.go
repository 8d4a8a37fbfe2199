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
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// What the resolver decides is in the log, each time with all that belongs to it, and a
// person is told what they can change.
func TestWhatIsSaidOfNames(t *testing.T) {
	addr := netip.MustParseAddr
	for name, c := range map[string]struct {
		ask      asked
		said     dns.Records
		fails    error
		own      error
		want     string // of the answer
		recorded []string
		told     string
		cached   bool
	}{
		"found": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, said: dns.Records{Addrs: []netip.Addr{addr("203.0.113.5"), addr("203.0.113.6")}}, want: "RCodeSuccess [203.0.113.5 203.0.113.6]",
			recorded: []string{"name allowed a.example 203.0.113.5, 203.0.113.6 rule p.toml:1:1"}, cached: true},
		"missing": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, said: dns.Records{Missing: true}, want: "RCodeNameError []",
			recorded: []string{"name observed a.example allowed, but it cannot be looked up: there is no such name rule p.toml:1:1"}, told: "cannot look up a.example, which p.toml:1:1 allows: there is no such name", cached: true},
		"no server": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, fails: errors.New("no server"), want: "RCodeServerFailure []",
			recorded: []string{"name observed a.example allowed, but it cannot be looked up: no server rule p.toml:1:1"}, told: "cannot look up a.example, which p.toml:1:1 allows: no server"},
		"nobody knows this machine's addresses": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, said: dns.Records{Addrs: []netip.Addr{addr("203.0.113.5")}}, own: errors.New("no netlink"), want: "RCodeServerFailure []",
			recorded: []string{"connect observed tell which addresses are this machine's own cannot tell which addresses are this machine's own: no netlink rule "}, told: "cannot tell which addresses are this machine's own: no netlink"},
		"strays": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, said: dns.Records{Strays: 2, Addrs: []netip.Addr{addr("203.0.113.5")}}, want: "RCodeSuccess [203.0.113.5]",
			recorded: []string{"name refused a.example 2 records of the answer are of other names than it leads to rule p.toml:1:1", "name allowed a.example 203.0.113.5 rule p.toml:1:1"}, told: "refused a.example: 2 records of the answer are of other names than it leads to", cached: true},
		"a private address": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, said: dns.Records{Addrs: []netip.Addr{addr("10.1.2.3"), addr("203.0.113.5"), addr("203.0.113.5")}}, want: "RCodeSuccess [203.0.113.5]",
			recorded: []string{"name refused a.example it leads elsewhere: 10.1.2.3 is a private address rule p.toml:1:1 at 10.1.2.3 grant network.allow = [{ host = \"a.example:443\", private = true }]", "name allowed a.example 203.0.113.5 rule p.toml:1:1"},
			told:     "refused a.example: it leads elsewhere: 10.1.2.3 is a private address; to allow it: network.allow = [{ host = \"a.example:443\", private = true }]", cached: true},
		"only metadata": {ask: asked{name: "a.example", kind: dnsmessage.TypeA}, said: dns.Records{Addrs: []netip.Addr{addr("169.254.169.254")}}, want: "RCodeSuccess []",
			recorded: []string{"name refused a.example it leads elsewhere: 169.254.169.254 is a cloud's metadata service rule p.toml:1:1 at 169.254.169.254"}, told: "refused a.example: it leads elsewhere: 169.254.169.254 is a cloud's metadata service", cached: true},
		"a service": {ask: asked{name: "_x._tcp.a.example", kind: dnsmessage.TypeSRV}, said: dns.Records{Rest: []dnsmessage.ResourceBody{&dnsmessage.SRVResource{Target: dnsmessage.MustNewName("db.a.example."), Port: 5432}}}, want: "RCodeSuccess [] and 1",
			recorded: []string{"name allowed _x._tcp.a.example SRV db.a.example:5432 rule p.toml:1:1"}},
		"a text":  {ask: asked{name: "a.example", kind: dnsmessage.TypeTXT}, said: dns.Records{Rest: []dnsmessage.ResourceBody{&dnsmessage.TXTResource{TXT: []string{"v=1"}}}}, want: "RCodeSuccess [] and 1", recorded: []string{"name allowed a.example TXT v=1 rule p.toml:1:1"}},
		"no text": {ask: asked{name: "a.example", kind: dnsmessage.TypeTXT}, want: "RCodeSuccess []"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newQuietWorld(t)
			cfg := w.config(network(t, "a.example:443"))
			lookups := 0
			cfg.Lookup = func(_ context.Context, _ string, kind dnsmessage.Type) (dns.Records, error) {
				if kind == dnsmessage.TypeAAAA {
					return dns.Records{}, nil
				}
				lookups++
				return c.said, c.fails
			}
			cfg.Own = func() ([]netip.Prefix, error) { return nil, c.own }
			e, err := Serve(t.Context(), nil, cfg)
			must(t, err)
			defer e.Close()
			rules, _ := e.rules.naming("a.example")
			a := e.names.resolve(c.ask, rules)
			got := fmt.Sprint(a.rcode, " ", a.addrs)
			if len(a.rest) > 0 {
				got += fmt.Sprint(" and ", len(a.rest))
			}
			if got != c.want {
				t.Errorf("answered %s, want %s", got, c.want)
			}
			var recorded []string
			for _, ev := range w.events {
				s := fmt.Sprintf("%s %s %s %s rule %s", ev.Kind, ev.Verdict, ev.Subject, ev.Detail, ev.Rule)
				if ev.Address != "" {
					s += " at " + ev.Address
				}
				if ev.Grant != nil {
					s += " grant " + ev.Grant.Line()
				}
				recorded = append(recorded, s)
			}
			if !slices.Equal(recorded, c.recorded) {
				t.Errorf("recorded %q, want %q", recorded, c.recorded)
			}
			if told := strings.Join(w.told, "; "); told != c.told {
				t.Errorf("told %q, want %q", told, c.told)
			}
			// The same question again, now and when the answer is too old.
			e.names.resolve(c.ask, rules)
			if cached := lookups == 1; cached != c.cached {
				t.Errorf("the answer is cached: %v", cached)
			}
			w.pass(keepFound)
			e.names.resolve(c.ask, rules)
			if want := 3 - b2i(c.cached); lookups != want {
				t.Errorf("%d lookups, want %d", lookups, want)
			}
		})
	}
}

// A name without an address of either family is said once both were asked for.
func TestNamesWithoutAnAddress(t *testing.T) {
	for name, c := range map[string]struct {
		v6   bool
		asks []dnsmessage.Type
		a    []netip.Addr
		want bool
	}{
		"both": {true, []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}, nil, true}, "both, the other way": {true, []dnsmessage.Type{dnsmessage.TypeAAAA, dnsmessage.TypeA}, nil, true}, "one of two": {true, []dnsmessage.Type{dnsmessage.TypeA}, nil, false}, "IPv6 alone": {true, []dnsmessage.Type{dnsmessage.TypeAAAA}, nil, false},
		"without IPv6, IPv6 alone": {false, []dnsmessage.Type{dnsmessage.TypeAAAA}, nil, false}, // asked for by this machine, for another address to try
		"without IPv6":             {false, []dnsmessage.Type{dnsmessage.TypeA}, nil, true}, "it has one": {true, []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}, []netip.Addr{netip.MustParseAddr("203.0.113.5")}, false}, "it has a private one": {true, []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}, []netip.Addr{netip.MustParseAddr("10.0.0.1")}, false},
	} {
		w := newQuietWorld(t)
		cfg := w.config(network(t, "a.example:443"))
		cfg.Lookup = func(_ context.Context, _ string, kind dnsmessage.Type) (dns.Records, error) {
			if kind == dnsmessage.TypeA {
				return dns.Records{Addrs: c.a}, nil
			}
			return dns.Records{}, nil
		}
		cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
		e, err := Serve(t.Context(), nil, cfg)
		must(t, err)
		e.names.v6 = c.v6
		rules, _ := e.rules.naming("a.example")
		for _, kind := range c.asks {
			e.names.resolve(asked{name: "a.example", kind: kind}, rules)
		}
		if got := slices.Contains(w.told, "cannot look up a.example, which p.toml:1:1 allows: it has no address"); got != c.want {
			t.Errorf("%s: told %q", name, w.told)
		}
		must(t, e.Close())
	}
}

// Lookups and questions are bounded, and a bound is said. A second question for a name
// below a wildcard costs nothing.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []audit.Event
		cfg := Config{Network: network(t, "a.example:443", "*.wild.example:443"), Warn: func(string) {}, Limits: Limits{Lookups: 1}, Own: func() ([]netip.Prefix, error) { return nil, nil },
			Sink: func(ev audit.Event) error { mu.Lock(); defer mu.Unlock(); events = append(events, ev); return nil }}
		release := make(chan struct{})
		cfg.Lookup = func(ctx context.Context, name string, _ dnsmessage.Type) (dns.Records, error) {
			if name == "a.example" {
				<-release
			}
			return dns.Records{}, nil
		}
		e, err := Serve(t.Context(), nil, cfg)
		must(t, err)
		go func() { _, _ = e.names.lookUp(asked{name: "a.example", kind: dnsmessage.TypeA}) }()
		synctest.Wait()
		for kind, limit := range map[dnsmessage.Type]time.Duration{dnsmessage.TypeA: lookupTime, dnsmessage.TypeAAAA: lookupTime6} {
			began := time.Now()
			if _, err := e.names.lookUp(asked{name: "b.example", kind: kind}); err == nil || err.Error() != "too many questions wait for the host's name servers" || time.Since(began) != limit {
				t.Errorf("%v: %v after %v", kind, err, time.Since(began))
			}
		}
		close(release)
		synctest.Wait()
		if _, err := e.names.lookUp(asked{name: "b.example", kind: dnsmessage.TypeA}); err != nil {
			t.Errorf("a free slot: %v", err)
		}
		for i := range wildBurst {
			for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
				q := asked{name: fmt.Sprintf("n%d.wild.example", i), kind: kind}
				rules, _ := e.rules.naming(q.name)
				if a := e.names.resolve(q, rules); a.rcode != 0 {
					t.Fatalf("question %d, %v: %v", i, kind, a.rcode)
				}
			}
		}
		rules, _ := e.rules.naming("more.wild.example")
		if a := e.names.resolve(asked{name: "more.wild.example", kind: dnsmessage.TypeA}, rules); a.rcode != dnsmessage.RCodeRefused {
			t.Errorf("one name more: %v", a.rcode)
		}
		mu.Lock()
		last := events[len(events)-1]
		mu.Unlock()
		if last.Kind != audit.KindName || last.Verdict != audit.Refused || last.Subject != "more.wild.example" || last.Rule != "p.toml:2:1" || last.Detail != "too many new names below *.wild.example: one in 2s" {
			t.Errorf("%+v", last)
		}
		time.Sleep(wildEvery)
		if a := e.names.resolve(asked{name: "more.wild.example", kind: dnsmessage.TypeA}, rules); a.rcode != 0 {
			t.Errorf("two seconds later: %v", a.rcode)
		}
		must(t, e.Close())
	})
	w := newQuietWorld(t)
	w.name("a.example", "203.0.113.5")
	cfg := w.config(network(t, "a.example:443"))
	cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
	e, err := Serve(t.Context(), nil, cfg)
	must(t, err)
	defer e.Close()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	if !e.keep(c) {
		t.Fatal("not kept")
	}
	e.goes(func() { e.names.serveUDP(c) })
	for range maxQuestions {
		e.names.asked <- struct{}{}
	}
	program, err := net.Dial("udp", c.LocalAddr().String())
	must(t, err)
	defer program.Close()
	ask := func() error {
		must(t, program.SetDeadline(time.Now().Add(patience)))
		_, err := program.Write(question(t, "a.example", dnsmessage.TypeA))
		must(t, err)
		_, err = program.Read(make([]byte, 512))
		return err
	}
	_, err = program.Write(question(t, "a.example", dnsmessage.TypeA))
	must(t, err)
	if ev := w.await(is(audit.KindLimit, audit.Observed, "questions")); ev.Detail != "too many questions wait for the host's resolver; more are dropped" {
		t.Errorf("%+v", ev)
	}
	for range maxQuestions {
		<-e.names.asked
	}
	must(t, ask())
	if len(e.names.asked) > 1 {
		t.Errorf("%d questions still count", len(e.names.asked))
	}
	if e.names.hasV6() {
		t.Error("an IPv4 resolver returns IPv6 addresses")
	}
}

// Questions over TCP come one after another, each with its length. A connection to the
// loopback gets nothing, and neither does one that sends half a question.
func TestQuestionsByTCP(t *testing.T) {
	w := newQuietWorld(t)
	w.name("a.example", "203.0.113.5")
	cfg := w.config(network(t, "a.example:443"))
	cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
	e, err := Serve(t.Context(), nil, cfg)
	must(t, err)
	defer e.Close()
	q := question(t, "a.example", dnsmessage.TypeA)
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)
	for name, c := range map[string]struct {
		to      string
		send    []byte
		answers int
	}{
		"one": {"192.0.2.53:53", framed, 1}, "three": {"192.0.2.53:53", bytes.Repeat(framed, 3), 3}, "nothing": {"192.0.2.53:53", nil, 0}, "half a length": {"192.0.2.53:53", framed[:1], 0}, "half a question": {"192.0.2.53:53", framed[:len(framed)-1], 0},
		"one and half of another": {"192.0.2.53:53", append(bytes.Clone(framed), framed[:9]...), 1}, "no question": {"192.0.2.53:53", append([]byte{0, 2, 1, 2}, framed...), 0}, "the loopback": {"127.0.0.1:53", framed, 0}, "too many": {"192.0.2.53:53", bytes.Repeat(framed, maxQueries+1), maxQueries},
	} {
		in, program := endsOf(t, c.to)
		go func() {
			_, _ = program.Write(c.send)
			if c.answers < maxQueries {
				time.Sleep(10 * time.Millisecond)
				program.Close()
			}
		}()
		var got bytes.Buffer
		in.write = func(b []byte) (int, error) { return got.Write(b) }
		e.names.serveTCP(in)
		n := 0
		for b := got.Bytes(); len(b) > 2; n++ {
			k := int(binary.BigEndian.Uint16(b))
			var m dnsmessage.Message
			if err := m.Unpack(b[2 : 2+k]); err != nil || len(m.Answers) != 1 {
				t.Errorf("%s: answer %d: %v, %v", name, n, m.GoString(), err)
			}
			b = b[2+k:]
		}
		if n != c.answers {
			t.Errorf("%s: %d answers, want %d", name, n, c.answers)
		}
		in.Close()
		program.Close()
	}
}

// A proxy is dialled where it is and nowhere else; whatever fails, the error names it,
// and nothing stays open.
func TestTunnelsEnd(t *testing.T) {
	broken := errors.New("no TLS")
	for name, c := range map[string]struct {
		via    string
		secure error
		answer string // of the proxy; "": it never answers
		moved  bool
		want   string
		errno  string
	}{
		"reached":            {via: "http://10.9.0.7:3128", answer: "HTTP/1.1 200 OK\r\n\r\n"},
		"reached by TLS":     {via: "https://10.9.0.7:3128", answer: "HTTP/1.1 200 OK\r\n\r\n"},
		"no TLS":             {via: "https://10.9.0.7:3128", secure: broken, want: "no TLS"},
		"dialled elsewhere":  {via: "http://10.9.0.7:3128", moved: true, want: "refused: 10.9.0.8:3128 is not where the proxy is"},
		"never an answer":    {via: "http://10.9.0.7:3128", want: "context deadline exceeded", errno: "ETIMEDOUT"},
		"SOCKS, never":       {via: "socks5://10.9.0.7:1080", want: "context deadline exceeded", errno: "ETIMEDOUT"},
		"it refuses":         {via: "http://10.9.0.7:3128", answer: "HTTP/1.1 403 No\r\n\r\n", want: "it answers 403 No"},
		"it cannot reach it": {via: "http://10.9.0.7:3128", answer: "HTTP/1.1 503 No\r\n\r\n", want: "it answers 503 No", errno: "EHOSTUNREACH"},
		"it hangs up":        {via: "http://10.9.0.7:3128", answer: "HTTP/1.1", want: "it ended the connection before it answered (EOF)"},
	} {
		w := newQuietWorld(t)
		cfg := w.config(plan.Network{})
		cfg.Limits.Connect = 30 * time.Millisecond
		if c.want == "" {
			cfg.Limits.Connect = patience
		}
		var here *ends
		secured := ""
		cfg.Secure = func(_ context.Context, conn net.Conn, name string) (net.Conn, error) {
			secured = name
			return conn, c.secure
		}
		cfg.Dial = func(_ context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
			if c.moved {
				to = mustAddrPort(t, "10.9.0.8:3128")
			}
			if err := check(to); err != nil {
				return nil, err
			}
			var proxy net.Conn
			here, proxy = endsOf(t, to.String())
			go func() {
				b := make([]byte, 512)
				_, _ = proxy.Read(b)
				if c.answer == "" {
					for {
						if _, err := proxy.Read(b); err != nil {
							return
						}
					}
				}
				_, _ = io.WriteString(proxy, c.answer)
				proxy.Close()
			}()
			return here, nil
		}
		e, err := Serve(t.Context(), nil, cfg)
		must(t, err)
		p := by(c.via, "")
		p.At = "env"
		conn, err := e.reach(call{via: p, subject: "db.example:5432"})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want := c.want; (want == "") != (err == nil) || err != nil && got != "the proxy "+c.via+" (env): "+want || errnoOf(err) != c.errno || (conn != nil) != (err == nil) {
			t.Errorf("%s: %v (%s), want %q (%s)", name, err, errnoOf(err), c.want, c.errno)
		}
		if here != nil && here.closed.Load() != (err != nil) {
			t.Errorf("%s: closed: %v", name, here.closed.Load())
		}
		if (secured != "") != strings.HasPrefix(c.via, "https") || secured != "" && secured != "10.9.0.7" {
			t.Errorf("%s: secured with %q", name, secured)
		}
		if conn != nil {
			conn.Close()
		}
		must(t, e.Close())
	}
	if _, err := newWays(Config{Network: plan.Network{Proxies: plan.Proxies{HTTPS: by("http://a b:1", "")}}}); err == nil || !strings.HasPrefix(err.Error(), "internal error: nobody can speak to the proxy") {
		t.Errorf("%v", err)
	}
	u, err := url.Parse("http://[::1]:1")
	must(t, err)
	if at, err := (&ways{}).locate(t.Context(), u); err != nil || len(at) != 1 || at[0].String() != "[::1]:1" {
		t.Errorf("%v, %v", at, err)
	}
}

// Each rule leads to itself: a hint for what the profile has already would help nobody.
func TestHintsAreNew(t *testing.T) {
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(network(t, "a.example:443-445", "*.wild.example:8443", "203.0.113.0/24:22", "localhost:5000")))
	must(t, err)
	defer e.Close()
	for to, want := range map[string]string{
		"a.example:443": "", "a.example:445": "", "a.example:446": `network.allow = ["a.example:446"]`, "x.wild.example:8443": "", "x.wild.example:443": `network.allow = ["x.wild.example:443"]`, "203.0.113.5:22": "", "203.0.113.5:23": `network.allow = ["203.0.113.5:23"]`, "203.0.114.5:22": `network.allow = ["203.0.114.5:22"]`,
		"localhost:5000": "", "localhost:5001": `network.allow = ["localhost:5001"]`, "not a name:443": "", "b.example:443": `network.allow = ["b.example:443"]`, "b.example:0": "",
	} {
		i := strings.LastIndex(to, ":")
		var port uint16
		fmt.Sscan(to[i+1:], &port)
		got := ""
		if g := e.ruleFor(to[:i], port); g != nil {
			got = g.Line()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	rule := policy.Host{Kind: policy.HostName, Name: "a.example", First: 443, Last: 443}
	if got := privateRule(rule).Line(); got != `network.allow = [{ host = "a.example:443", private = true }]` {
		t.Errorf("%s", got)
	}
	if got := errnoOf(fmt.Errorf("x: %w", unix.EPERM)) + " " + errnoOf(os.ErrDeadlineExceeded) + " " + errnoOf(io.EOF) + errnoOf(nil); got != "EPERM ETIMEDOUT " {
		t.Errorf("%q", got)
	}
}
