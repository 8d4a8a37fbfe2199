package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// servers are name servers by their addresses in resolv.conf. Each is a function from a
// question to an answer; a nil answer is never sent.
type servers struct {
	t     testing.TB
	at    map[string]func(dnsmessage.Message, bool) *dnsmessage.Message
	mu    sync.Mutex
	asked []string
}

// said returns the questions so far; a slow one may still follow.
func (s *servers) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// forget clears them.
func (s *servers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = nil
}

// stub returns a stub that asks these servers.
func (s *servers) stub(resolv, hosts string) *Stub {
	dir := s.t.TempDir()
	must(s.t, os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(resolv), 0o644))
	must(s.t, os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts), 0o644))
	st := NewStub()
	st.conf.path, st.hosts.path = filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	st.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		must(s.t, err)
		handle := s.at[host]
		if handle == nil {
			return nil, errors.New("no route to host")
		}
		var d net.Dialer
		return d.DialContext(ctx, network, s.listen(network, host, handle))
	}
	return st
}

// listen serves one question.
func (s *servers) listen(network, host string, handle func(dnsmessage.Message, bool) *dnsmessage.Message) string {
	answer := func(b []byte) []byte {
		var q dnsmessage.Message
		if err := q.Unpack(b); err != nil {
			s.t.Errorf("a question that is none: %x", b)
			return nil
		}
		s.mu.Lock()
		s.asked = append(s.asked, host+" "+network+" "+q.Questions[0].Name.String())
		s.mu.Unlock()
		m := handle(q, network == "tcp")
		if m == nil {
			return nil
		}
		out, err := m.Pack()
		must(s.t, err)
		return out
	}
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		must(s.t, err)
		s.t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 4096)
			if n, from, err := c.ReadFrom(b); err == nil {
				if out := answer(b[:n]); out != nil {
					_, _ = c.WriteTo([]byte("noise"), from)
					_, _ = c.WriteTo(out, from)
				}
			}
		}()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 4096)
		if n, err := io.ReadAtLeast(c, b, 12); err == nil {
			if out := answer(b[2:n]); out != nil {
				_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
			}
		}
	}()
	return l.Addr().String()
}

// zone answers from lines such as "a.example A 203.0.113.5".
func zone(text string) func(dnsmessage.Message, bool) *dnsmessage.Message {
	return func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
		m := q
		m.Response, m.Additionals = true, nil
		asked := q.Questions[0]
		known := false
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			name := dnsmessage.MustNewName(f[0] + ".")
			h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}
			known = known || sameName(name, asked.Name)
			var body dnsmessage.ResourceBody
			switch f[1] {
			case "A", "AAAA":
				body = RecordOf(netip.MustParseAddr(f[2]))
			case "CNAME":
				body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[2] + ".")}
			case "SRV":
				body = &dnsmessage.SRVResource{Port: 27017, Target: dnsmessage.MustNewName(f[2] + ".")}
			case "TXT":
				body = &dnsmessage.TXTResource{TXT: []string{f[2]}}
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: body})
		}
		if !known {
			m.RCode, m.Answers = dnsmessage.RCodeNameError, nil
		}
		return &m
	}
}

func code(c dnsmessage.RCode) func(dnsmessage.Message, bool) *dnsmessage.Message {
	return func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
		q.Response, q.RCode, q.Additionals = true, c, nil
		return &q
	}
}

func text(r Records, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	out := []string{}
	for _, a := range r.Addrs {
		out = append(out, a.String())
	}
	for _, record := range r.Rest {
		switch r := record.(type) {
		case *dnsmessage.SRVResource:
			out = append(out, fmt.Sprintf("SRV %s:%d", strings.TrimSuffix(r.Target.String(), "."), r.Port))
		case *dnsmessage.TXTResource:
			out = append(out, "TXT "+strings.Join(r.TXT, ""))
		}
	}
	if r.Missing {
		out = append(out, "missing")
	}
	if r.Strays > 0 {
		out = append(out, fmt.Sprintf("%d strays", r.Strays))
	}
	return strings.Join(out, " ")
}

// An answer may contain records of any name. Only those of the question's name, or of
// the name at the end of its aliases, count: the owner of one allowed name must not
// answer for another.
func TestAnswersBelongToTheQuestion(t *testing.T) {
	for _, c := range []struct {
		what, zone, name string
		kind             dnsmessage.Type
		want             string
	}{
		{"its own", "a.example A 203.0.113.5\na.example A 203.0.113.6", "a.example", dnsmessage.TypeA, "203.0.113.5 203.0.113.6"},
		{"in other letters", "A.Example A 203.0.113.5", "a.example", dnsmessage.TypeA, "203.0.113.5"},
		{"by aliases", "a.example CNAME b.example\nb.example CNAME c.example\nc.example A 203.0.113.5", "a.example", dnsmessage.TypeA, "203.0.113.5"},
		{"by aliases in any order", "c.example A 203.0.113.5\nb.example CNAME c.example\na.example CNAME b.example", "a.example", dnsmessage.TypeA, "203.0.113.5"},
		{"of another name", "a.example TXT x\nevil.example A 203.0.113.66", "a.example", dnsmessage.TypeA, "1 strays"},
		{"both", "a.example A 203.0.113.5\nevil.example A 203.0.113.66", "a.example", dnsmessage.TypeA, "203.0.113.5 1 strays"},
		{"of a name beside the chain", "a.example CNAME b.example\nb.example A 203.0.113.5\nc.example CNAME d.example\nd.example A 203.0.113.66", "a.example", dnsmessage.TypeA, "203.0.113.5 1 strays"},
		{"of a name in the midst of the chain", "a.example CNAME b.example\na.example A 203.0.113.66\nb.example A 203.0.113.5", "a.example", dnsmessage.TypeA, "203.0.113.5 1 strays"},
		{"of the other type", "a.example A 203.0.113.5", "a.example", dnsmessage.TypeAAAA, ""},
		{"the other family", "a.example AAAA 2001:db8::5", "a.example", dnsmessage.TypeAAAA, "2001:db8::5"},
		{"a ring", "a.example CNAME b.example\nb.example CNAME a.example", "a.example", dnsmessage.TypeA, "error: its answer is a ring"},
		{"a service", "_db._tcp.a.example SRV n.a.example", "_db._tcp.a.example", dnsmessage.TypeSRV, "SRV n.a.example:27017"},
		{"a service of another", "_db._tcp.a.example TXT x\n_db._tcp.evil.example SRV n.a.example", "_db._tcp.a.example", dnsmessage.TypeSRV, "1 strays"},
		{"a text", "a.example TXT replicaSet=x", "a.example", dnsmessage.TypeTXT, "TXT replicaSet=x"},
		{"no name", "b.example A 203.0.113.5", "a.example", dnsmessage.TypeA, "missing"},
	} {
		s := &servers{t: t, at: map[string]func(dnsmessage.Message, bool) *dnsmessage.Message{"10.0.0.1": zone(c.zone)}}
		got := text(s.stub("nameserver 10.0.0.1\n", "").Lookup(t.Context(), c.name, c.kind))
		if got != c.want && (c.want == "" || !strings.HasPrefix(c.want, "error") || !strings.Contains(got, strings.TrimPrefix(c.want, "error: "))) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// The owner of a search domain must not answer for names that somebody allowed in full.
// A name without a dot means nothing elsewhere.
func TestSearchDomainsAreForBareNames(t *testing.T) {
	s := &servers{t: t, at: map[string]func(dnsmessage.Message, bool) *dnsmessage.Message{
		"10.0.0.1": func(q dnsmessage.Message, tcp bool) *dnsmessage.Message {
			at := map[string]string{"gone.example.com.evil.test.": "203.0.113.66", "db.corp.test.": "203.0.113.5", "db.evil.test.": "203.0.113.66"}
			name := q.Questions[0].Name.String()
			if at[name] == "" {
				return code(dnsmessage.RCodeNameError)(q, tcp)
			}
			return zone(strings.TrimSuffix(name, ".")+" A "+at[name])(q, tcp)
		},
	}}
	st := s.stub("search corp.test evil.test\nnameserver 10.0.0.1\noptions ndots:5\n", "")
	for name, want := range map[string]string{"gone.example.com": "missing", "db": "203.0.113.5", "nothing": "missing"} {
		if got := text(st.Lookup(t.Context(), name, dnsmessage.TypeA)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if slices.ContainsFunc(s.said(), func(q string) bool {
		return strings.Contains(q, "gone.example.com.") && !strings.HasSuffix(q, " gone.example.com.")
	}) {
		t.Errorf("asked for %q", s.said())
	}
	if !slices.Contains(s.said(), "10.0.0.1 udp nothing.corp.test.") {
		t.Errorf("a bare name was not looked for: %q", s.said())
	}
}

// A laptop's first name server often belongs to another network. Names resolve
// nevertheless, before the program gives up, and later ones at once.
func TestServersThatDoNotAnswer(t *testing.T) {
	good := zone("a.example A 203.0.113.5")
	silent := func(dnsmessage.Message, bool) *dnsmessage.Message { return nil }
	long := func(q dnsmessage.Message, tcp bool) *dnsmessage.Message {
		if tcp {
			return good(q, tcp)
		}
		q.Response, q.Truncated, q.Additionals = true, true, nil
		return &q
	}
	old := func(q dnsmessage.Message, tcp bool) *dnsmessage.Message {
		if len(q.Additionals) > 0 {
			return code(dnsmessage.RCodeFormatError)(q, tcp)
		}
		return good(q, tcp)
	}
	forged := func(q dnsmessage.Message, tcp bool) *dnsmessage.Message {
		q.ID++
		return zone("a.example A 203.0.113.66")(q, tcp)
	}
	for what, c := range map[string]struct {
		first, second func(dnsmessage.Message, bool) *dnsmessage.Message
		want          string
	}{
		"silence":       {silent, good, "203.0.113.5"},
		"unreachable":   {nil, good, "203.0.113.5"},
		"broken":        {code(dnsmessage.RCodeServerFailure), good, "203.0.113.5"},
		"refusing":      {code(dnsmessage.RCodeRefused), good, "203.0.113.5"},
		"another's id":  {forged, good, "203.0.113.5"},
		"long answers":  {long, nil, "203.0.113.5"},
		"without EDNS":  {old, nil, "203.0.113.5"},
		"both broken":   {code(dnsmessage.RCodeServerFailure), code(dnsmessage.RCodeRefused), "error: the name server 10.0.0.1: it says ServerFailure"},
		"it knows none": {code(dnsmessage.RCodeNameError), good, "missing"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := &servers{t: t, at: map[string]func(dnsmessage.Message, bool) *dnsmessage.Message{"10.0.0.1": c.first, "10.0.0.2": c.second}}
			st := s.stub("nameserver 10.0.0.1\nnameserver 10.0.0.2\n", "")
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			if got := text(st.Lookup(ctx, "a.example", dnsmessage.TypeA)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.want != "203.0.113.5" || c.second == nil {
				return
			}
			s.forget()
			if got := text(st.Lookup(ctx, "a.example", dnsmessage.TypeA)); got != c.want || len(s.said()) == 0 || !strings.HasPrefix(s.said()[0], "10.0.0.2") {
				t.Errorf("the next one: %q, asked %q; want the server that answered first", got, s.said())
			}
		})
	}
}

// An answer counts only if it matches the question's id, name, type and class; a
// refusal need not repeat them.
func TestOnlyTheAnswerToTheQuestionIsRead(t *testing.T) {
	q, err := newQuestion("a.example", dnsmessage.TypeA, true)
	must(t, err)
	name := q.name
	other, err := dnsmessage.NewName("b.example.")
	must(t, err)
	upper, err := dnsmessage.NewName("A.Example.")
	must(t, err)
	good := dnsmessage.Message{Header: dnsmessage.Header{ID: q.id, Response: true}, Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
		Answers: []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{203, 0, 113, 5}}}}}
	for what, c := range map[string]struct {
		change func(*dnsmessage.Message)
		cut    int
		ok     bool
	}{
		"the answer": {ok: true}, "another case": {change: func(m *dnsmessage.Message) { m.Questions[0].Name = upper }, ok: true}, "another name": {change: func(m *dnsmessage.Message) { m.Questions[0].Name = other }}, "another type": {change: func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeAAAA }}, "another class": {change: func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }},
		"another number": {change: func(m *dnsmessage.Message) { m.ID++ }}, "a question": {change: func(m *dnsmessage.Message) { m.Response = false }}, "no question": {change: func(m *dnsmessage.Message) { m.Questions = nil }}, "no such name, and no question": {change: func(m *dnsmessage.Message) { m.Questions, m.RCode = nil, dnsmessage.RCodeNameError }},
		"refused, and no question": {change: func(m *dnsmessage.Message) { m.Questions, m.Answers, m.RCode = nil, nil, dnsmessage.RCodeRefused }, ok: true}, "cut": {cut: 3}, "cut, and it says so": {change: func(m *dnsmessage.Message) { m.Truncated = true }, cut: 3, ok: true}, "nothing": {cut: 1 << 10},
	} {
		m := good
		m.Questions = append([]dnsmessage.Question{}, good.Questions...)
		if c.change != nil {
			c.change(&m)
		}
		b, err := m.Pack()
		must(t, err)
		got, ok := q.read(b[:max(0, len(b)-c.cut)])
		if ok != c.ok || ok && (got.code != m.RCode || got.truncated != m.Truncated || len(got.answers) != map[bool]int{true: len(m.Answers)}[c.cut == 0]) {
			t.Errorf("%s: %+v, %v", what, got, ok)
		}
	}
	if _, err := newQuestion(strings.Repeat("a", 300), dnsmessage.TypeA, false); err == nil {
		t.Error("a name that is too long is asked for")
	}
}

// A silent name server comes last for a while, and first again as soon as it answers.
func TestMuteServersComeLast(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a, b, c := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53"), netip.MustParseAddrPort("192.0.2.3:53")
	s := &Stub{mute: map[netip.AddrPort]time.Time{}, now: func() time.Time { return now }}
	order := func() string {
		out := ""
		for _, to := range s.order([]netip.AddrPort{a, b, c}) {
			out += to.Addr().String()[len("192.0.2."):]
		}
		return out
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "123"}, {func() { s.answered(b, []netip.AddrPort{a, b}) }, "231"}, {func() { s.answered(c, []netip.AddrPort{b, c, a}) }, "312"}, {func() { s.answered(a, []netip.AddrPort{a}) }, "132"}, {func() { now = now.Add(muteTime - 1) }, "132"}, {func() { now = now.Add(1) }, "123"},
	} {
		step.do()
		if got := order(); got != step.want {
			t.Errorf("asked in the order %s, want %s", got, step.want)
		}
	}
	for i := range 70 {
		s.answered(c, []netip.AddrPort{netip.AddrPortFrom(a.Addr(), uint16(i)), c})
	}
	if len(s.mute) > 66 {
		t.Errorf("%d are remembered", len(s.mute))
	}
}

// The first server is asked at once, and the next one as soon as the first fails. An
// answer ends the attempts at the others.
func TestServersAreAskedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStub()
		var ended atomic.Int32
		var mu sync.Mutex
		var asked []string
		conf := resolvConf{}
		for _, a := range []string{"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"} {
			conf.servers = append(conf.servers, netip.MustParseAddrPort(a))
		}
		start := time.Now()
		s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			asked = append(asked, fmt.Sprintf("%s %s %v", network, address, time.Since(start)))
			mu.Unlock()
			if strings.HasPrefix(address, "192.0.2.1") {
				return nil, errors.New("unreachable")
			}
			if strings.HasPrefix(address, "192.0.2.2") {
				<-ctx.Done()
				ended.Add(1)
				return nil, ctx.Err()
			}
			here, there := net.Pipe()
			go func() {
				b := make([]byte, 4096)
				n, err := there.Read(b)
				if err != nil {
					return
				}
				var m dnsmessage.Message
				if err := m.Unpack(b[:n]); err != nil {
					t.Error(err)
				}
				if len(m.Additionals) != 1 || m.Additionals[0].Header.Type != dnsmessage.TypeOPT {
					t.Errorf("the first question has no EDNS: %v", m.GoString())
				}
				m.Response, m.Additionals = true, nil
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{203, 0, 113, 5}}}}
				p, err := m.Pack()
				must(t, err)
				there.Write(p)
				if _, err := there.Read(b); err != nil { // closed
					ended.Add(1)
				}
			}()
			return here, nil
		}
		got, err := s.ask(t.Context(), conf, "a.example", dnsmessage.TypeA)
		if err != nil || len(got.Addrs) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"udp 192.0.2.1:53 0s", "udp 192.0.2.2:53 0s", "udp 192.0.2.3:53 1s"}; fmt.Sprint(asked) != fmt.Sprint(want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
		if ended.Load() != 2 {
			t.Errorf("%d of 2 others ended", ended.Load())
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
