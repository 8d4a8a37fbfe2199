package egress

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
	"testing"
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
func (s *servers) stub(resolv, hosts string) *stub {
	dir := s.t.TempDir()
	must(s.t, os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(resolv), 0o644))
	must(s.t, os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts), 0o644))
	st := newStub()
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
				body = recordOf(netip.MustParseAddr(f[2]))
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
		out = append(out, told(record))
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
		got := text(s.stub("nameserver 10.0.0.1\n", "").lookup(t.Context(), c.name, c.kind))
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
		if got := text(st.lookup(t.Context(), name, dnsmessage.TypeA)); got != want {
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

// A name in /etc/hosts needs no name server.
func TestHostsFile(t *testing.T) {
	s := &servers{t: t}
	st := s.stub("nameserver 10.0.0.1\n", "127.0.0.1 localhost\n203.0.113.5\tsvc.example db # a comment\n::ffff:203.0.113.6 mapped.example\n2001:db8::5 Svc.Example.\nnonsense x.example\n#203.0.113.7 y.example\n")
	for name, want := range map[string]string{
		"svc.example": "203.0.113.5 | 2001:db8::5", "db": "203.0.113.5 | ", "mapped.example": "203.0.113.6 | ",
		"x.example": "error: the name server 10.0.0.1: no route to host | error: the name server 10.0.0.1: no route to host",
		"y.example": "error: the name server 10.0.0.1: no route to host | error: the name server 10.0.0.1: no route to host",
	} {
		got := text(st.lookup(t.Context(), name, dnsmessage.TypeA)) + " | " + text(st.lookup(t.Context(), name, dnsmessage.TypeAAAA))
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	must(t, os.WriteFile(st.hosts.path, []byte("203.0.113.77 svc.example\n"), 0o644))
	if got := text(st.lookup(t.Context(), "svc.example", dnsmessage.TypeA)); got != "203.0.113.77" {
		t.Errorf("after a change: %q", got)
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
			if got := text(st.lookup(ctx, "a.example", dnsmessage.TypeA)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.want != "203.0.113.5" || c.second == nil {
				return
			}
			s.forget()
			if got := text(st.lookup(ctx, "a.example", dnsmessage.TypeA)); got != c.want || len(s.said()) == 0 || !strings.HasPrefix(s.said()[0], "10.0.0.2") {
				t.Errorf("the next one: %q, asked %q; want the server that answered first", got, s.said())
			}
		})
	}
}

func TestResolvConf(t *testing.T) {
	c := parseResolvConf("# nameserver 9.9.9.9\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver x\nnameserver 10.0.0.3\nnameserver 10.0.0.4\ndomain a.test\nsearch b.test c.test.\noptions ndots:2 use-vc\n")
	if fmt.Sprint(c.servers, c.search, c.tcp) != "[10.0.0.1:53 [fe80::1%eth0]:53 10.0.0.3:53] [b.test c.test] true" {
		t.Errorf("%+v", c)
	}
	if c := parseResolvConf(""); fmt.Sprint(c.servers) != "[127.0.0.1:53 [::1]:53]" {
		t.Errorf("without a file: %+v", c)
	}
}

// If the launcher may not read a file's replacement, it keeps the previous content: the
// machine itself is not a name server.
func TestUnreadableFilesAreRemembered(t *testing.T) {
	dir := t.TempDir()
	c := &cached[resolvConf]{path: filepath.Join(dir, "resolv.conf"), parse: parseResolvConf}
	must(t, os.WriteFile(c.path, []byte("nameserver 10.0.0.1\n"), 0o644))
	if got := listed(c.get().servers); got != "10.0.0.1" {
		t.Fatal(got)
	}
	must(t, os.Remove(c.path))
	must(t, os.Mkdir(c.path, 0o755)) // exists and is unreadable, for root too
	if got := listed(c.get().servers); got != "10.0.0.1" {
		t.Errorf("not readable: %s", got)
	}
	must(t, os.Remove(c.path))
	if got := listed(c.get().servers); got != "127.0.0.1, ::1" {
		t.Errorf("gone: %s", got)
	}
}
