package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// The parsers skip empty lines and comments in the machine's files, and a keyword
// without a value sets nothing. A file is read again only after a change.
func TestOddLinesOfTheMachinesFiles(t *testing.T) {
	c := parseResolvConf("\n  \nnameserver\n# nameserver 9.9.9.9\n; nameserver 9.9.9.9\n#\nnameserver 10.0.0.1\nsearch a.test bad..name b.test\noptions\n")
	if fmt.Sprint(c.servers, c.search, c.tcp) != "[10.0.0.1:53] [a.test b.test] false" {
		t.Errorf("%+v", c)
	}
	if h := parseHosts("\n127.0.0.1\n# 1.2.3.4 a\n1.2.3.4 a bad..name # b\nnone c\n::ffff:5.6.7.8 d"); fmt.Sprint(h) != "map[a:[1.2.3.4] d:[5.6.7.8]]" {
		t.Errorf("%v", h)
	}
	if s := NewStub(); s.conf.path != "/etc/resolv.conf" || s.hosts.path != "/etc/hosts" {
		t.Errorf("the machine's files are %q and %q", s.conf.path, s.hosts.path)
	}
	reads := 0
	f := &cached[int]{path: filepath.Join(t.TempDir(), "f"), parse: func(string) int { reads++; return reads }}
	must(t, os.WriteFile(f.path, []byte("a"), 0o600))
	if first, again := f.get(), f.get(); first != 1 || again != 1 {
		t.Error("a file that did not change is read again")
	}
	must(t, os.WriteFile(f.path, []byte("ab"), 0o600))
	if f.get() != 2 {
		t.Error("a change is not seen")
	}
	must(t, os.Chtimes(f.path, time.Time{}, time.Now().Add(time.Hour)))
	if f.get() != 3 {
		t.Error("a change of the same length is not seen")
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
		got := text(st.Lookup(t.Context(), name, dnsmessage.TypeA)) + " | " + text(st.Lookup(t.Context(), name, dnsmessage.TypeAAAA))
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	must(t, os.WriteFile(st.hosts.path, []byte("203.0.113.77 svc.example\n"), 0o644))
	if got := text(st.Lookup(t.Context(), "svc.example", dnsmessage.TypeA)); got != "203.0.113.77" {
		t.Errorf("after a change: %q", got)
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
