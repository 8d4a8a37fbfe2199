package egress

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/hello/hellotest"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// On a port where TLS is not demanded, a connection that speaks it carries an allowed
// name or ends, whichever way it takes: nothing of it reaches the host before.
func TestOtherNamesGetNoFurtherByAnyWay(t *testing.T) {
	good, evil, none := hellotest.Build(16384, hellotest.SNI("a.example")), hellotest.Build(16384, hellotest.SNI("evil.example")), hellotest.Build(16384)
	for name, c := range map[string]struct {
		rule    string
		first   []byte
		refused string
	}{
		"an allowed name": {"a.example:8080", good, ""}, "plain text": {"a.example:8080", []byte("GET / HTTP/1.1"), ""}, "another name": {"a.example:8080", evil, "evil.example:8080"}, "no name": {"a.example:8080", none, "a.example:8080"},
		"demanded, an allowed name": {"a.example:8080 tls=true", good, ""}, "demanded, plain text": {"a.example:8080 tls=true", []byte("GET / HTTP/1.1"), "a.example:8080"}, "demanded, another name": {"a.example:8080 tls=true", evil, "evil.example:8080"},
		"unseen, another name": {"a.example:8080 tls=false", evil, ""}, "unseen, no name": {"a.example:8080 tls=false", none, ""},
	} {
		w := newQuietWorld(t)
		cfg := w.config(network(t, c.rule))
		cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
		there, host := endsOf(t, "192.0.2.7:1")
		cfg.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) { return there, nil }
		e, err := Serve(t.Context(), nil, cfg)
		must(t, err)
		e.names.table.learn(answer{asked: asked{name: "a.example", kind: dnsmessage.TypeA}, addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}, until: w.clock().Add(time.Hour)}, w.clock())
		in, program := endsOf(t, "203.0.113.5:8080")
		came := make(chan string)
		go func() {
			b := make([]byte, len(c.first))
			n, _ := io.ReadFull(host, b)
			host.Close()
			program.Close()
			came <- string(b[:n])
		}()
		go func() { _, _ = program.Write(c.first) }()
		e.out(in)
		there.Close() // a refused one was never used
		want := string(c.first)
		if c.refused != "" {
			want = ""
		}
		if got := <-came; got != want {
			t.Errorf("%s: %d of %d bytes reached the host", name, len(got), len(c.first))
		}
		refused := ""
		for _, ev := range w.events {
			if ev.Verdict == audit.Refused {
				refused = ev.Subject
			}
		}
		if refused != c.refused {
			t.Errorf("%s: refused %q, want %q (%+v)", name, refused, c.refused, w.events)
		}
		must(t, e.Close())
	}
}

// A rule for any host, as a trial has it, allows each name and address on its ports, and
// on no other.
func TestARuleForAnyHost(t *testing.T) {
	r := newRules([]policy.Host{{Kind: policy.HostAny, First: 443, Last: 444}, {Kind: policy.HostAny}})
	for to, want := range map[string]int{"203.0.113.5:443": 2, "203.0.113.5:444": 2, "203.0.113.5:445": 0, "203.0.113.5:442": 0, "203.0.113.5:0": 0} {
		if gs := r.grants(netip.MustParseAddrPort(to), []string{"n.example"}); len(gs) != want {
			t.Errorf("%s: %v", to, gs)
		}
	}
	if found, long := r.naming("n.example"); len(found) != 1 || long {
		t.Errorf("a name: %v, %v", found, long)
	}
	if found, _ := r.naming(""); len(found) > 0 {
		t.Errorf("no name: %v", found)
	}
}

// counted is a connection that counts the deadlines it is given.
type counted struct {
	gone
	reads, deadlines int
}

func (c *counted) Read(b []byte) (int, error)      { c.reads++; return 1, nil }
func (c *counted) SetReadDeadline(time.Time) error { c.deadlines++; return nil }

// The limit on a hello holds for the whole of it: a program that sends a byte now and
// then gains no time.
func TestImpatienceIsOnce(t *testing.T) {
	c := &counted{}
	i := &impatient{c, time.Second}
	for range 5 {
		if n, err := i.Read(make([]byte, 8)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if c.deadlines != 1 || c.reads != 5 {
		t.Errorf("%d deadlines for %d reads", c.deadlines, c.reads)
	}
}

// A connection whose descriptor cannot be copied stays what it is, and one that was
// reset before it was handled is closed and frees its slot.
func TestConnectionsThatCannotBeConverted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	var got io.Closer
	must(t, fault.Watch([]uintptr{unix.SYS_FCNTL}, func(c fault.Call) fault.Answer {
		if c.Own && c.Args[1] == unix.F_DUPFD_CLOEXEC {
			return fault.Fail(unix.EMFILE)
		}
		return fault.Pass
	}, func() { got = loosen(conn.(stream)) }))
	if got != io.Closer(conn.(stream)) {
		t.Errorf("it is now %T", got)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Errorf("and closed: %v", err)
	}
	if s, ok := loosen(conn.(stream)).(*loose); !ok || s.take() < 3 || s.take() != -1 {
		t.Errorf("a whole one: %+v", s)
	}
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(plan.Network{}))
	must(t, err)
	defer e.Close()
	sockets := func() (n int) {
		all, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		for _, fd := range all {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:") {
				n++
			}
		}
		return n
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes what nobody else does
	before := sockets()
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} { // neither is connected, and one cannot be
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		e.conns <- struct{}{}
		e.handles(fd, flow{}, func(stream) { t.Error("it was handled") })
		if len(e.conns) != 0 {
			t.Errorf("kind %d: %d slots are taken", kind, len(e.conns))
		}
	}
	// A whole one is handled once, and nothing of it stays.
	opens, served := e.opens(), make(chan stream, 1)
	program, there := joined(t)
	f, err := program.File()
	must(t, err)
	program.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	f.Close()
	e.conns <- struct{}{}
	e.handles(fd, flow{}, func(in stream) { served <- in })
	if _, err := there.Read(make([]byte, 1)); err != io.EOF || (<-served).RemoteAddr() == nil {
		t.Errorf("a handled one: %v", err)
	}
	there.Close()
	for end := time.Now().Add(patience); (e.opens() != opens || len(e.conns) > 0 || sockets() != before) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if after := sockets(); after != before || e.opens() != opens || len(e.conns) > 0 {
		t.Errorf("%d sockets are open, %d were; %d are kept, %d were; %d slots", after, before, e.opens(), opens, len(e.conns))
	}
}

// limited is a connection that remembers its last deadline.
type limited struct {
	net.Conn
	until time.Time
}

func (l *limited) CloseWrite() error                 { return nil }
func (l *limited) SetReadDeadline(t time.Time) error { l.until = t; return nil }

// The limit on a hello ends with the hello: a connection that is allowed may then be quiet
// for hours.
func TestTheLimitOnAHelloEndsWithIt(t *testing.T) {
	hello := hellotest.Build(16384, hellotest.SNI("a.example"))
	e := &Egress{}
	e.cfg.Limits = Limits{}.withDefaults()
	dst := mustAddrPort(t, "203.0.113.5:443")
	gs := newRules(network(t, "a.example:443").Hosts).grants(dst, []string{"a.example"})
	for name, read := range map[string]func(in stream) (opening, *refusal){
		"demanded": func(in stream) (opening, *refusal) { return e.demand(in, gs, dst) },
		"checked":  func(in stream) (opening, *refusal) { o, bad, _ := e.peek(in, gs, dst); return o, bad },
	} {
		for _, first := range []string{string(hello), "GET / HTTP/1.1\r\n"} {
			here, program := net.Pipe()
			in := &limited{Conn: here}
			go func() { _, _ = io.WriteString(program, first); program.Close() }()
			o, bad := read(in)
			if bad == nil && (!in.until.IsZero() || string(o.first) != first || o.grant != gs[0]) {
				t.Errorf("%s, %.3q: a deadline of %v, %d bytes, %+v", name, first, in.until, len(o.first), o.grant)
			}
			if (bad != nil) != (name == "demanded" && first[0] == 'G') {
				t.Errorf("%s, %.3q: %+v", name, first, bad)
			}
			here.Close()
		}
	}
}
