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
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// answering is a connection to a name server: it takes the question, and gives the
// answer that make builds of it.
type answering struct {
	net.Conn
	make       func(asked dnsmessage.Message) [][]byte
	failsWrite error
	packets    [][]byte
	closed     bool
}

func (a *answering) Close() error { a.closed = true; return nil }

func (a *answering) Write(b []byte) (int, error) {
	if a.failsWrite != nil {
		return 0, a.failsWrite
	}
	q := b
	if len(b) > 2 && int(binary.BigEndian.Uint16(b)) == len(b)-2 {
		q = b[2:]
	}
	var m dnsmessage.Message
	if err := m.Unpack(q); err != nil {
		return 0, err
	}
	a.packets = a.make(m)
	return len(b), nil
}

func (a *answering) Read(b []byte) (int, error) {
	if len(a.packets) == 0 {
		return 0, io.EOF
	}
	n := copy(b, a.packets[0])
	a.packets[0] = a.packets[0][n:]
	if len(a.packets[0]) == 0 {
		a.packets = a.packets[1:]
	}
	return n, nil
}

// A broken name server is an error that says what is wrong with it, over UDP and TCP. A
// packet of somebody else's is not.
func TestNameServersThatBreak(t *testing.T) {
	answer := func(m dnsmessage.Message, change func(*dnsmessage.Message)) []byte {
		m.Response, m.Additionals = true, nil
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{203, 0, 113, 5}}}}
		if change != nil {
			change(&m)
		}
		b, err := m.Pack()
		must(t, err)
		return b
	}
	framed := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	same := func(*dnsmessage.Message) {}
	cut := func(m *dnsmessage.Message) { m.Truncated, m.Answers = true, nil }
	broken := errors.New("broken")
	packet := func(change func(*dnsmessage.Message)) func(dnsmessage.Message) [][]byte {
		return func(m dnsmessage.Message) [][]byte { return [][]byte{answer(m, change)} }
	}
	for name, c := range map[string]struct {
		name     string
		tcp      bool
		udp, str *answering
		want     string
	}{
		"an answer": {udp: &answering{make: packet(same)}, want: "203.0.113.5"},
		"a stranger's packet first": {udp: &answering{make: func(m dnsmessage.Message) [][]byte {
			return [][]byte{[]byte("x"), answer(m, func(m *dnsmessage.Message) { m.ID++ }), answer(m, nil)}
		}}, want: "203.0.113.5"},
		"no answer":               {udp: &answering{make: func(dnsmessage.Message) [][]byte { return nil }}, want: "EOF"},
		"a question that is lost": {udp: &answering{failsWrite: broken}, want: "broken"},
		"by TCP": {tcp: true, str: &answering{make: func(m dnsmessage.Message) [][]byte {
			b := framed(answer(m, nil))
			return [][]byte{b[:1], b[1:9], b[9:]}
		}}, want: "203.0.113.5"},
		"too long for a datagram": {udp: &answering{make: packet(cut)}, str: &answering{make: func(m dnsmessage.Message) [][]byte { return [][]byte{framed(answer(m, nil))} }}, want: "203.0.113.5"},
		"TCP, a lost question":    {tcp: true, str: &answering{failsWrite: broken}, want: "broken"},
		"TCP, no answer":          {tcp: true, str: &answering{make: func(dnsmessage.Message) [][]byte { return nil }}, want: "EOF"},
		"TCP, half a length":      {tcp: true, str: &answering{make: func(dnsmessage.Message) [][]byte { return [][]byte{{0}} }}, want: "unexpected EOF"},
		"TCP, half an answer":     {tcp: true, str: &answering{make: func(m dnsmessage.Message) [][]byte { b := framed(answer(m, nil)); return [][]byte{b[:len(b)-1]} }}, want: "unexpected EOF"},
		"TCP, another's answer": {tcp: true, str: &answering{make: func(m dnsmessage.Message) [][]byte {
			return [][]byte{framed(answer(m, func(m *dnsmessage.Message) { m.ID++ })), framed(answer(m, nil))}
		}}, want: "its answer is not to the question"},
		"it refuses":          {udp: &answering{make: packet(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused })}, want: "it says Refused"},
		"it has no such name": {udp: &answering{make: packet(func(m *dnsmessage.Message) { m.RCode, m.Answers = dnsmessage.RCodeNameError, nil })}, want: "no such name"},
		"it knows no EDNS": {udp: &answering{make: func(m dnsmessage.Message) [][]byte {
			return [][]byte{answer(m, func(a *dnsmessage.Message) {
				if len(m.Additionals) > 0 {
					a.RCode, a.Answers = dnsmessage.RCodeFormatError, nil
				}
			})}
		}}, want: "203.0.113.5"},
		"it implements nothing": {udp: &answering{make: packet(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNotImplemented })}, want: "it says NotImplemented"},
		"aliases in a ring": {udp: &answering{make: packet(func(m *dnsmessage.Message) {
			n := m.Questions[0].Name
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: n, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: n}}}
		})}, want: "its answer is a ring of aliases, or a long chain"},
		"a name that is none": {name: strings.Repeat("a", 300), udp: &answering{}, want: "insufficient data"},
	} {
		if c.name == "" {
			c.name = "a.example"
		}
		dialled := ""
		s := NewStub()
		s.dial = func(_ context.Context, network, to string) (net.Conn, error) {
			dialled += network + " " + to + ";"
			if network == "tcp" {
				return c.str, nil
			}
			return c.udp, nil
		}
		r, err := s.exchange(t.Context(), netip.MustParseAddrPort("192.0.2.1:53"), c.tcp, c.name, dnsmessage.TypeA)
		got := strings.Trim(fmt.Sprint(r.Addrs), "[]")
		if r.Missing {
			got = "no such name"
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || got == "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		for kind, a := range map[string]*answering{"udp": c.udp, "tcp": c.str} {
			if a != nil && strings.Contains(dialled, kind) != a.closed {
				t.Errorf("%s: dialled %s, and closed: %v", name, dialled, a.closed)
			}
		}
	}
	// A server that cannot be reached, and one that never answers.
	s := NewStub()
	s.dial = func(context.Context, string, string) (net.Conn, error) { return nil, broken }
	if _, err := s.exchange(t.Context(), netip.MustParseAddrPort("192.0.2.1:53"), true, "a.example", dnsmessage.TypeA); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := NewStub()
		s.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { asked++; <-ctx.Done(); return nil, ctx.Err() }
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		conf := resolvConf{servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")}}
		if r, err := s.ask(ctx, conf, "a.example", dnsmessage.TypeA); err == nil || !strings.Contains(err.Error(), "no name server answered (192.0.2.1, 192.0.2.2)") && !strings.Contains(err.Error(), "the name server 192.0.2.") || len(r.Addrs) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if asked != 3 { // at 0, 1 and 2 s
			t.Errorf("asked %d times", asked)
		}
		synctest.Wait()
	})
}

// The names of the machine's own files come first; only a name without a dot is looked
// up in the search domains, in their order.
func TestWhereNamesAreLookedUp(t *testing.T) {
	dir := t.TempDir()
	hosts, conf := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	must(t, os.WriteFile(hosts, []byte("10.0.0.7 own.example db\n2001:db8::7 own.example\n"), 0o600))
	must(t, os.WriteFile(conf, []byte("nameserver 192.0.2.1\nsearch one.test two.test\n"), 0o600))
	for _, c := range []struct {
		name  string
		kind  dnsmessage.Type
		has   string // the one name that exists
		fails string // the one name for which the server fails
		want  string
		asked string
	}{
		{"own.example", dnsmessage.TypeA, "", "", "[10.0.0.7]", ""},
		{"own.example", dnsmessage.TypeAAAA, "", "", "[2001:db8::7]", ""},
		{"db", dnsmessage.TypeAAAA, "", "", "[]", ""},
		{"own.example", dnsmessage.TypeTXT, "own.example", "", "[203.0.113.5]", "own.example"},
		{"far.example", dnsmessage.TypeA, "far.example", "", "[203.0.113.5]", "far.example"},
		{"far.example", dnsmessage.TypeA, "", "", "missing", "far.example"},
		{"web", dnsmessage.TypeA, "web.two.test", "", "[203.0.113.5]", "web.one.test web.two.test"},
		{"web", dnsmessage.TypeA, "web", "", "[203.0.113.5]", "web.one.test web.two.test web"},
		{"web", dnsmessage.TypeA, "", "", "missing", "web.one.test web.two.test web"},
		{"web", dnsmessage.TypeA, "web.two.test", "web.one.test", "the name server 192.0.2.1: it says ServerFailure", "web.one.test"},
	} {
		s := NewStub()
		s.hosts.path, s.conf.path = hosts, conf
		var asked []string
		s.dial = func(context.Context, string, string) (net.Conn, error) {
			return &answering{make: func(m dnsmessage.Message) [][]byte {
				name := strings.TrimSuffix(m.Questions[0].Name.String(), ".")
				asked = append(asked, name)
				m.Response, m.Additionals, m.RCode = true, nil, dnsmessage.RCodeNameError
				switch name {
				case c.has:
					m.RCode = dnsmessage.RCodeSuccess
					m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: c.kind, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{203, 0, 113, 5}}}}
					if c.kind == dnsmessage.TypeTXT {
						m.Answers[0].Body = &dnsmessage.TXTResource{TXT: []string{"x"}}
					}
				case c.fails:
					m.RCode = dnsmessage.RCodeServerFailure
				}
				b, err := m.Pack()
				must(t, err)
				return [][]byte{b}
			}}, nil
		}
		r, err := s.Lookup(t.Context(), c.name, c.kind)
		got := fmt.Sprint(r.Addrs)
		switch {
		case err != nil:
			got = err.Error()
		case r.Missing:
			got = "missing"
		case len(r.Rest) > 0:
			got = "[203.0.113.5]"
		}
		if got != c.want || strings.Join(asked, " ") != c.asked {
			t.Errorf("%s %v: %s, asked %q; want %s, %q", c.name, c.kind, got, asked, c.want, c.asked)
		}
	}
}

// The parts of an answer that cannot be packed make no half answer.
func TestAnswersThatCannotBeBuilt(t *testing.T) {
	bad := dnsmessage.Name{Data: [255]byte{'a'}, Length: 1} // without the dot at its end
	good := dnsmessage.MustNewName("a.example.")
	for name, c := range map[string]struct {
		q       Query
		records []dnsmessage.ResourceBody
		ok      bool
	}{
		"an answer":                     {Query{Question: dnsmessage.Question{Name: good, Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET}}, []dnsmessage.ResourceBody{&dnsmessage.SRVResource{Target: good}}, true},
		"no question":                   {Query{Bad: dnsmessage.RCodeFormatError}, nil, true},
		"a question that is no name":    {Query{Question: dnsmessage.Question{Name: bad, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}, nil, false},
		"a service that is no name":     {Query{Question: dnsmessage.Question{Name: good, Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET}}, []dnsmessage.ResourceBody{&dnsmessage.SRVResource{Target: bad}}, false},
		"a record of another type":      {Query{Question: dnsmessage.Question{Name: good, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}}, []dnsmessage.ResourceBody{&dnsmessage.SRVResource{Target: bad}, &dnsmessage.AResource{}, &dnsmessage.AAAAResource{}}, true},
		"a text in answer to a service": {Query{Question: dnsmessage.Question{Name: good, Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET}}, []dnsmessage.ResourceBody{&dnsmessage.TXTResource{TXT: []string{"x"}}}, true},
	} {
		b, err := c.q.Reply(0, c.records, maxUDP)
		if (err == nil) != c.ok || (len(b) > 0) != c.ok {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		var m dnsmessage.Message
		if err == nil {
			must(t, m.Unpack(b))
			if (len(m.Answers) == 1) != (name == "an answer") {
				t.Errorf("%s: %d records", name, len(m.Answers))
			}
		}
	}
}
