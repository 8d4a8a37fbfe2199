package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/internal/hello/hellotest"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A handle that is not of its claimed kind is refused by kind, and none of the files
// stays open.
func TestHandlesThatCannotBeServed(t *testing.T) {
	pipes := func() *os.File {
		r, w, err := os.Pipe()
		must(t, err)
		w.Close()
		return r
	}
	local := func() *os.File {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		return os.NewFile(uintptr(fd), "socket")
	}
	socket := func(kind int) *os.File {
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		return os.NewFile(uintptr(fd), "socket")
	}
	for _, c := range []struct {
		handle listeners.Handle
		want   string
	}{
		{listeners.Handle{Kind: listeners.KindTCP, Port: 80}, `cannot serve the "tcp" socket: no file came with it`},
		{listeners.Handle{Kind: "strange", File: pipes()}, `cannot serve the "strange" socket: it is of no known kind`},
		{listeners.Handle{File: pipes()}, `cannot serve the "" socket: it is of no known kind`},
		{listeners.Handle{Kind: listeners.KindTCP, File: pipes()}, `cannot serve the "tcp" socket: `},
		{listeners.Handle{Kind: listeners.KindQueries, File: pipes()}, `cannot serve the "queries" socket: `},
		{listeners.Handle{Kind: listeners.KindResolver, File: pipes()}, `cannot serve the "resolver" socket: `},
		{listeners.Handle{Kind: listeners.KindResolver, File: local()}, `cannot serve the "resolver" socket: it is a *net.UnixConn`},
		{listeners.Handle{Kind: listeners.KindGate, File: pipes()}, `cannot serve the "gate" socket: `},
		{listeners.Handle{Kind: listeners.KindBack, File: socket(unix.SOCK_DGRAM)}, `cannot serve the "back" socket: `},
		{listeners.Handle{Kind: listeners.KindUnix, Path: "/srv/x.sock", File: pipes()}, `cannot serve the "unix" socket: no rule names "/srv/x.sock"`},
	} {
		w := newQuietWorld(t)
		other := pipes()
		e, err := Serve(context.Background(), []listeners.Handle{c.handle, {Kind: listeners.KindTCP, File: other}}, w.config(plan.Network{}))
		if err == nil || e != nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.handle, err, c.want)
		}
		for _, f := range []*os.File{c.handle.File, other} {
			if f != nil && f.Close() == nil {
				t.Errorf("%+v: its file was left open", c.handle)
			}
		}
	}
	for name, change := range map[string]func(*Config){"no sink": func(c *Config) { c.Sink = nil }, "nobody to tell": func(c *Config) { c.Warn = nil }} {
		cfg := newQuietWorld(t).config(plan.Network{})
		change(&cfg)
		f := pipes()
		if e, err := Serve(context.Background(), []listeners.Handle{{Kind: listeners.KindTCP, File: f}}, cfg); err == nil || e != nil {
			t.Errorf("%s: an egress all the same", name)
		}
		if f.Close() == nil {
			t.Errorf("%s: the file was left open", name)
		}
	}
	// Sockets that are added later get the same checks.
	e, err := Serve(context.Background(), nil, newQuietWorld(t).config(plan.Network{}))
	must(t, err)
	f := pipes()
	if err := e.Add([]listeners.Handle{{Kind: "strange", File: f}}); err == nil || f.Close() == nil {
		t.Errorf("added: %v", err)
	}
	must(t, e.Close())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	file, err := l.(*net.TCPListener).File()
	must(t, err)
	l.Close()
	if err := e.Add([]listeners.Handle{{Kind: listeners.KindTCP, File: file}}); !strings.Contains(fmt.Sprint(err), net.ErrClosed.Error()) {
		t.Errorf("added behind Close: %v", err)
	}
}

// The counts of a minute are written while the server runs: Serve starts the goroutine
// for that.
func TestServeLooksAtTheMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []audit.Event
		var mu sync.Mutex
		cfg := Config{Sink: func(ev audit.Event) error { mu.Lock(); defer mu.Unlock(); events = append(events, ev); return nil }, Warn: func(string) {}}
		e, err := Serve(t.Context(), nil, cfg)
		must(t, err)
		for range 3 {
			must(t, e.ledger.note(audit.Event{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "a:1"}))
		}
		time.Sleep(2*window + time.Second)
		synctest.Wait()
		mu.Lock()
		if n := len(events); n != 2 || events[1].Detail != "2 more within a minute" {
			t.Errorf("%+v", events)
		}
		mu.Unlock()
		must(t, e.Close())
		must(t, e.Close()) // and once more
	})
}

// Limits that nobody set, and those beyond the machine's capacity.
func TestLimitsOfConnections(t *testing.T) {
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	if was.Max < 20000 {
		t.Skipf("RLIMIT_NOFILE is %d", was.Max)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	for _, c := range []struct {
		files      uint64
		most, want int
	}{{20000, 2048, 2048}, {12544, 2048, 2048}, {12543, 2048, 2047}, {12538, 2048, 2047}, {1024, 2048, 128}, {512, 2048, 42}, {300, 2048, 25}, {300, 10, 10}, {300, 25, 25}} {
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: c.files, Max: was.Max}))
		if got := descriptorsFor(c.most); got != c.want {
			t.Errorf("with %d files %d connections, want %d", c.files, got, c.want)
		}
		if l := (Limits{Connections: c.most}).withDefaults(); l.Connections != c.want || l.narrow != (c.want < c.most) {
			t.Errorf("with %d files the limit is %d, narrow %v", c.files, l.Connections, l.narrow)
		}
	}
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 20000, Max: was.Max}))
	if got, want := (Limits{}).withDefaults(), (Limits{2048, 256, 5000, 32, 15 * time.Second, 15 * time.Second, 4 * time.Hour, false}); got != want {
		t.Errorf("%+v", got)
	}
	some := Limits{1, 2, 3, 4, 5, 6, 7, false}
	if got := some.withDefaults(); got != some {
		t.Errorf("%+v becomes %+v", some, got)
	}
}

// A config without functions works by the defaults that it names.
func TestDefaultsWork(t *testing.T) {
	cfg := Config{}.withDefaults()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cfg.Lookup(over, "a.example", dnsmessage.TypeA); err == nil {
		t.Error("a lookup that is over has an answer")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	c, err := cfg.Dial(t.Context(), at, func(to netip.AddrPort) error {
		if to != at {
			return fmt.Errorf("to %s", to)
		}
		return nil
	})
	must(t, err)
	c.Close()
	if now := cfg.Now(); time.Since(now) > time.Hour || cfg.InFlight() != nil {
		t.Errorf("it is %v, and %v is in flight", now, cfg.InFlight())
	}
}

// A port to which a trial's program is about to connect is opened on request, for both
// families, once, and as long as there are spares.
func TestSparesAreOpenedWhenTheyAreWanted(t *testing.T) {
	// Below the ports that the kernel gives away, which another test may get meanwhile.
	next := 20000 + rand.IntN(10000)
	free := func() uint16 {
		for ; ; next++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", next))
			if err != nil {
				continue
			}
			l.Close()
			next++
			return uint16(next - 1)
		}
	}
	six, err := net.Listen("tcp", "[::1]:0")
	hasSix := err == nil
	if hasSix {
		six.Close()
	}
	for _, v6 := range []bool{false, true} {
		if v6 && !hasSix {
			continue
		}
		w := newQuietWorld(t)
		var hs []listeners.Handle
		for range 3 {
			f := spareSocket(t, v6)
			hs = append(hs, listeners.Handle{Kind: listeners.KindSpare, File: f})
		}
		e, err := Serve(context.Background(), hs, w.config(plan.Network{}))
		must(t, err)
		if err := hs[0].File.Close(); err == nil {
			t.Error("the handle's file was left open")
		}
		port := free()
		addrs := []string{fmt.Sprintf("127.0.0.1:%d", port)}
		if v6 {
			addrs = append(addrs, fmt.Sprintf("[::1]:%d", port))
		}
		for _, a := range addrs {
			if _, err := net.Dial("tcp", a); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatalf("before: %v", err)
			}
		}
		must(t, e.Open(port))
		must(t, e.Open(port)) // already open: no spare is lost
		must(t, e.Open(0))
		for _, a := range addrs {
			c, err := net.Dial("tcp", a) // this machine's own loopback leads nowhere
			if errors.Is(err, syscall.ECONNRESET) {
				continue // already
			}
			must(t, err)
			wantReset(t, c.(*net.TCPConn))
		}
		if n := len(e.ports.spares); n != 2 {
			t.Errorf("%d spares are left of 3", n)
		}
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		taken := busy.Addr().(*net.TCPAddr).AddrPort().Port()
		if err := e.Open(taken); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), fmt.Sprintf("cannot take connections to port %d: bind", taken)) {
			t.Errorf("a port that somebody else has: %v", err)
		}
		busy.Close()
		must(t, e.Open(free()))
		last := free()
		must(t, e.Open(last)) // no spare is left: the port stays closed
		if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", last)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("without a spare: %v", err)
		}
		must(t, e.Close())
		if _, err := net.Dial("tcp", addrs[0]); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("behind Close: %v", err)
		}
	}
	// The port of a listener needs no spare, and one on the loopback is another, whichever
	// way their connections take.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	for _, gated := range []bool{true, false} {
		var hs []listeners.Handle
		for _, kind := range []listeners.Kind{listeners.KindTCP, listeners.KindLocal} {
			f, err := l.(*net.TCPListener).File()
			must(t, err)
			hs = append(hs, listeners.Handle{Kind: kind, Port: free(), Gated: gated, File: f}, listeners.Handle{Kind: listeners.KindSpare, File: spareSocket(t, false)})
		}
		e, err := Serve(t.Context(), hs, newQuietWorld(t).config(network(t, "203.0.113.5:8080")))
		must(t, err)
		if e.isQuick(hs[0]) != gated || e.isQuick(hs[2]) != gated {
			t.Errorf("%+v take another way", hs)
		}
		for _, c := range []struct{ handle, left int }{{0, 2}, {2, 1}} {
			must(t, e.Open(hs[c.handle].Port))
			if left := len(e.ports.spares); left != c.left {
				t.Errorf("%s: %d spares are left, want %d", hs[c.handle].Kind, left, c.left)
			}
		}
		must(t, e.Close())
	}
	p := newPorts()
	if err := p.spare(listeners.Handle{File: os.NewFile(1<<20, "none")}); err == nil {
		t.Error("what is not open is kept")
	}
	p.opened(80)
	f := spareSocket(t, false)
	must(t, p.spare(listeners.Handle{File: f}))
	f.Close()
	if _, ok := p.take(80); ok {
		t.Error("a port that is open is opened")
	}
	kept := p.spares[0].File
	p.close()
	if _, ok := p.take(81); ok || kept.Close() == nil {
		t.Error("a spare outlives Close")
	}
}

// A truncated packet, a fragment, and one of another protocol or version open nothing.
func TestWhatIsNoOpening(t *testing.T) {
	four, six := synOf("192.0.2.1:40000", "203.0.113.5:443"), synOf("[2001:db8::1]:40000", "[2001:db8:1::5]:443")
	change := func(b []byte, at int, to byte) []byte {
		b = append([]byte{}, b...)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "one byte": four[:1], "four, cut": four[:len(four)-1], "six, cut": six[:len(six)-1], "the header alone": four[:20], "six's header alone": six[:40], "no version": change(four, 0, 0x05), "version 5": change(four, 0, 0x55),
		"a short header": change(four, 0, 0x44), "a header longer than the packet": change(four, 0, 0x46), "UDP": change(four, 9, 17), "six: UDP": change(six, 6, 17), "a fragment": change(four, 7, 1), "the first fragment": change(four, 6, 0x20), "a fragment far in": change(four, 6, 0x10),
		"ACK": change(four, 33, flagSYN|flagACK), "RST": change(four, 33, flagRST), "no flag": change(four, 33, 0), "six: ACK": change(six, 53, flagACK),
	} {
		if s, ok := parseSYN(b); ok {
			t.Errorf("%s: %+v", name, s.flow)
		}
	}
	long := append([]byte{0x46}, append(append(append([]byte{}, four[1:20]...), 1, 1, 1, 1), four[20:]...)...)
	for name, b := range map[string][]byte{"four": four, "six": six, "do not fragment": change(four, 6, 0x40), "with options": long, "with other flags": change(four, 33, flagSYN|0xc0), "with data": append(append([]byte{}, four...), 1, 2, 3)} {
		s, ok := parseSYN(b)
		if !ok || s.from.Port() != 40000 || s.to.Port() != 443 {
			t.Errorf("%s: %+v, %v", name, s.flow, ok)
			continue
		}
		// connect(2) fails with the error of the packet that came back.
		for errno, want := range map[syscall.Errno]string{unix.ETIMEDOUT: "", unix.ENETUNREACH: "unreachable 0", unix.EHOSTUNREACH: map[bool]string{true: "unreachable 1", false: "unreachable 3"}[name != "six"], unix.ECONNREFUSED: "reset", unix.EPERM: "reset", 0: "reset"} {
			out, got := s.refusal(errno), ""
			switch {
			case out == nil:
			case name == "six" && out[6] == unix.IPPROTO_ICMPV6:
				got = fmt.Sprint("unreachable ", out[41])
				if out[40] != 1 || !bytes.Equal(out[48:], s.raw[:s.head+8]) {
					t.Errorf("%s: %x", name, out)
				}
			case name != "six" && out[9] == unix.IPPROTO_ICMP:
				got = fmt.Sprint("unreachable ", out[21])
				if out[20] != 3 || !bytes.Equal(out[28:], s.raw[:s.head+8]) || fold(sum(0, out[20:])) != 0xffff {
					t.Errorf("%s: %x", name, out)
				}
			default:
				got = "reset"
				if tcp := out[len(out)-20:]; tcp[13] != flagRST|flagACK || tcp[0] != 443>>8 || tcp[1] != 443&255 || tcp[2] != 40000>>8 || tcp[3] != 40000&255 || tcp[11] != s.raw[s.head+7]+1 {
					t.Errorf("%s: %x", name, out)
				}
			}
			if got != want {
				t.Errorf("%s, %v: %s, want %s", name, errno, got, want)
			}
		}
		again := s.again()
		if s2, ok := parseSYN(again); !ok || s2.flow != s.flow || again[map[bool]int{true: 7, false: 8}[name == "six"]] != listeners.Mark {
			t.Errorf("%s, sent again: %x", name, again)
		}
		if fold(sum(pseudo(s.from.Addr(), s.to.Addr(), unix.IPPROTO_TCP, len(again)-s.head), again[s.head:])) != 0xffff {
			t.Errorf("%s, sent again: a wrong sum", name)
		}
	}
}

// Addresses that answered come before unknown ones, and slow ones come last, for ten
// minutes.
func TestExperienceOrdersAddresses(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	a, b, c, d := mustAddrPort(t, "203.0.113.1:1"), mustAddrPort(t, "203.0.113.2:1"), mustAddrPort(t, "203.0.113.3:1"), mustAddrPort(t, "203.0.113.4:1")
	for _, test := range []struct {
		note func(x *experience)
		want string
	}{
		{func(x *experience) {}, "1234"}, {func(x *experience) { x.note(c, false, at) }, "1324"}, {func(x *experience) { x.note(a, true, at) }, "2341"}, {func(x *experience) { x.note(a, true, at); x.note(d, false, at) }, "4231"},
		{func(x *experience) { x.note(b, true, at) }, "1342"}, {func(x *experience) { x.note(b, true, at.Add(-experienceLife)) }, "1234"}, {func(x *experience) { x.note(b, true, at.Add(1-experienceLife)) }, "1342"},
		{func(x *experience) { x.note(a, true, at); x.note(a, false, at) }, "1234"}, {func(x *experience) { x.note(d, false, at); x.note(a, false, at) }, "1423"},
	} {
		x := newExperience()
		test.note(x)
		got := ""
		for _, p := range x.best([]netip.AddrPort{a, b, c, d}, at) {
			got += p.Addr().String()[len("203.0.113."):]
		}
		if got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
	x := newExperience()
	for i := range maxExperience + 1 {
		x.note(netip.AddrPortFrom(a.Addr(), uint16(i)), false, at)
	}
	if len(x.of) > maxExperience {
		t.Errorf("%d are remembered", len(x.of))
	}
}

// A program that closes a connection before it sends anything is not reported: programs
// that try several addresses at once do that. A connection that breaks within a hello
// is.
func TestOpeningsThatEnd(t *testing.T) {
	dst := mustAddrPort(t, "203.0.113.5:443")
	rules := newRules(network(t, "a.example:443").Hosts)
	gs := rules.grants(dst, []string{"a.example"})
	hello := hellotest.Build(16384, hellotest.SNI("a.example"))
	for _, c := range []struct {
		name, why string
		first     []byte
		late      bool // the connection stays open
		ok        bool
	}{
		{"nothing", "", nil, false, false}, {"nothing, in time", "no whole ClientHello came within 30ms", nil, true, false}, {"half a hello", "the connection ended within the ClientHello", hello[:40], false, false}, {"half a hello, in time", "no whole ClientHello came within 30ms", hello[:40], true, false},
		{"no TLS", "the rule demands TLS, and ", []byte("GET / HTTP/1.0\r\n\r\n"), false, false}, {"a hello", "", hello, false, true},
	} {
		e := &Egress{rules: rules}
		e.cfg.Limits = Limits{Hello: 30 * time.Millisecond}.withDefaults()
		in, out := net.Pipe()
		go func() {
			_, _ = out.Write(c.first)
			if !c.late {
				out.Close()
			}
		}()
		o, bad := e.demand(pipe{in}, gs, dst)
		if bad != nil && strings.Contains(bad.why, "ended within") != strings.Contains(c.why, "ended within") {
			t.Errorf("%s: %s", c.name, bad.why)
		}
		if (bad != nil) != (c.why != "") || bad != nil && !strings.Contains(bad.why, c.why) || (o.grant != grant{}) != c.ok {
			t.Errorf("%s: %+v, %+v, want %q", c.name, o.grant, bad, c.why)
		}
		in.Close()
		out.Close()
		if o, bad := e.demand(gone{in}, gs, dst); bad != nil || o.grant != (grant{}) {
			t.Errorf("a connection that is gone: %+v, %+v", o, bad)
		}
	}
	other := grant{name: "b.example"}
	if g := firstNamed([]grant{{}, other}); g != other {
		t.Errorf("spoken of %+v", g)
	}
	if g := firstNamed([]grant{{}, {}}); g != (grant{}) {
		t.Errorf("spoken of %+v", g)
	}
	if _, ok := naming([]grant{{}, other}, ""); ok {
		t.Error("no name names a grant")
	}
}

// gone is a connection that accepts no deadline any more.
type gone struct{ net.Conn }

func (gone) CloseWrite() error               { return nil }
func (gone) SetReadDeadline(time.Time) error { return net.ErrClosed }

// scripted is a connection with scripted input that records its output.
type scripted struct {
	net.Conn
	in, out bytes.Buffer
	fails   error // of every write
}

func (s *scripted) Read(b []byte) (int, error) { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error) {
	if s.fails != nil {
		return 0, s.fails
	}
	return s.out.Write(b)
}
func (s *scripted) SetDeadline(time.Time) error { return nil }
func (s *scripted) Close() error                { return nil }

// The answers of an HTTP proxy, and the errno of the program's connect(2).
func TestWhatAProxyAnswers(t *testing.T) {
	c := call{subject: "db.example:5432", via: by("http://10.9.0.7:3128", "ada:s")}
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\n\r\nrest": "", "HTTP/1.0 299\r\nA: b\r\n\r\nrest": "", "\r\nHTTP/1.1 200 OK\n\nrest": "", "HTTP/2 200 OK\r\n\r\n": "its answer is not HTTP", "hello\r\n\r\n": "its answer is not HTTP",
		"HTTP/1.1 407 No\r\n\r\n": "it wants other credentials (it answers 407 No): HTTPS_PROXY=http://USER:PASSWORD@10.9.0.7:3128", "HTTP/1.1 502 Bad\r\n\r\n": "it answers 502 Bad", "HTTP/1.1 403 No\x1b\r\n\r\n": "it answers " + said("403 No\x1b"),
		"HTTP/1.1 200 OK\r\n": "it ended the connection before it answered (EOF)", "": "it ended the connection before it answered (EOF)", strings.Repeat("x", maxHead): "its answer is too long",
	} {
		s := &scripted{}
		s.in.WriteString(answer)
		err := connectBy(s, c)
		if fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("%.30q: %v, want %s", answer, err, want)
		}
		if errors.Is(err, unix.EHOSTUNREACH) != strings.Contains(answer, "502") {
			t.Errorf("%.30q: %v", answer, errnoOf(err))
		}
		if want == "" && s.in.String() != "rest" {
			t.Errorf("%q: of the host's bytes %q are left", answer, s.in.String())
		}
		if got, want := s.out.String(), "CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\nProxy-Authorization: Basic YWRhOnM=\r\n\r\n"; got != want {
			t.Errorf("asked %q", got)
		}
	}
	c.via.Login = ""
	s := &scripted{}
	if connectBy(s, c); strings.Contains(s.out.String(), "Authorization") {
		t.Errorf("credentials that nobody gave: %q", s.out.String())
	}
	if err := connectBy(&scripted{fails: unix.EPIPE}, c); !errors.Is(err, unix.EPIPE) {
		t.Errorf("a write that fails: %v", err)
	}
	if got := said(strings.Repeat("y", 200)); got != strings.Repeat("y", 100) {
		t.Errorf("%d characters of a proxy's word", len(got))
	}
	// A SOCKS proxy: a broken connection is reported as such, and the proxy's refusal
	// counts as the host's.
	if err := socks(&scripted{fails: unix.ECONNRESET}, "10.9.0.7:1080", c); !errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("a connection that breaks: %v", err)
	}
	refusing := &scripted{}
	refusing.in.Write([]byte{5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0})
	if err := socks(refusing, "10.9.0.7:1080", c); !errors.Is(err, unix.EHOSTUNREACH) || strings.Contains(err.Error(), "10.9.0.7") {
		t.Errorf("a host that it cannot reach: %v", err)
	}
	good := &scripted{}
	good.in.Write([]byte{5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	if err := socks(good, "10.9.0.7:1080", c); err != nil || !strings.Contains(good.out.String(), "db.example") {
		t.Errorf("%v, asked %q", err, good.out.String())
	}
}

// A proxy's address is looked up once in a while, for either family.
func TestWhereAProxyIs(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	lookups := ""
	answers := map[dnsmessage.Type][]string{}
	var fails error
	w := &ways{at: map[string]located{}, now: func() time.Time { return now }, lookup: func(_ context.Context, name string, kind dnsmessage.Type) (dns.Records, error) {
		lookups += " " + name + " " + strings.TrimPrefix(kind.String(), "Type")
		if fails != nil {
			return dns.Records{}, fails
		}
		var r dns.Records
		for _, a := range answers[kind] {
			r.Addrs = append(r.Addrs, netip.MustParseAddr(a))
		}
		return r, nil
	}}
	locate := func(via string) (string, error) {
		u, err := url.Parse(via)
		must(t, err)
		lookups = ""
		addrs, err := w.locate(context.Background(), u)
		return strings.Trim(fmt.Sprint(addrs), "[]"), err
	}
	for _, c := range []struct {
		via, a, aaaa string
		fails        error
		pass         time.Duration
		want, asked  string
		err          string
	}{
		{via: "http://10.9.0.7:3128", want: "10.9.0.7:3128"}, {via: "http://[2001:db8::1]:1", want: "[2001:db8::1]:1"[1:]},
		{via: "http://p.example:3128", err: "there is no such name", asked: " p.example A p.example AAAA"},
		{via: "http://p.example:3128", fails: errors.New("no server"), err: "no server", asked: " p.example A p.example AAAA"},
		{via: "http://p.example:3128", aaaa: "2001:db8::7", want: "[2001:db8::7]:3128"[1:], asked: " p.example A p.example AAAA"},
		{via: "http://p.example:3128", a: "10.9.0.9", want: "[2001:db8::7]:3128"[1:], pass: keepFound - 1},
		{via: "http://p.example:3129", a: "10.9.0.8", want: "10.9.0.8:3129", asked: " p.example A"},
		{via: "http://p.example:3128", a: "10.9.0.9", want: "10.9.0.9:3128", asked: " p.example A", pass: 1},
		{via: "http://p.example:99999", err: "out of range"}, {via: "http://p.example", err: "invalid syntax"},
	} {
		now = now.Add(c.pass)
		answers, fails = map[dnsmessage.Type][]string{}, c.fails
		if c.a != "" {
			answers[dnsmessage.TypeA] = []string{c.a}
		}
		if c.aaaa != "" {
			answers[dnsmessage.TypeAAAA] = []string{c.aaaa}
		}
		got, err := locate(c.via)
		if got != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) || lookups != c.asked {
			t.Errorf("%s: %q, %v, asked%s; want %q, %s, asked%s", c.via, got, err, lookups, c.want, c.err, c.asked)
		}
	}
	for via, good := range map[string]bool{"http://a:1": true, "socks5://a:1": true, "https://a:1": false, "http://a b:1": false, "": true} {
		n := plan.Network{}
		n.Proxies.HTTPS.Via = via
		if _, err := newWays(Config{Network: n}); (err == nil) != good {
			t.Errorf("%q: %v", via, err)
		}
	}
}

// An error about a proxy's refused or broken connection names the proxy and its origin.
func TestTunnelsThatFail(t *testing.T) {
	w := newQuietWorld(t)
	dialled := 0
	cfg := w.config(plan.Network{})
	cfg.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
		dialled++
		return nil, unix.ECONNREFUSED
	}
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	defer e.Close()
	for via, want := range map[string]string{"http://a b:1": "invalid character", "http://none.example:1": "the proxy http://none.example:1 (env)", "http://10.9.0.7:1": "connection refused", "http://10.9.0.7:x": "invalid port"} {
		p := by(via, "")
		p.At = "env"
		if _, err := e.tunnel(context.Background(), call{via: p, subject: "a:1"}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "the proxy "+via+" (env): ") {
			t.Errorf("%s: %v", via, err)
		}
	}
	if dialled != 1 {
		t.Errorf("%d dialled", dialled)
	}
}

// imagination is a world that has one address for every name.
type imagination struct{ asked []string }

func (i *imagination) Resolve(name string, kind dnsmessage.Type) []netip.Addr {
	i.asked = append(i.asked, fmt.Sprint(name, " ", uint16(kind)))
	switch kind {
	case dnsmessage.TypeA:
		return []netip.Addr{netip.MustParseAddr("198.18.0.7")}
	case dnsmessage.TypeAAAA:
		return []netip.Addr{netip.MustParseAddr("2001:db8::7")}
	}
	return nil
}
func (i *imagination) Serve(context.Context, net.Conn, netip.AddrPort) {}

// In a trial the world answers for every name that no rule names, and it sees each of
// them.
func TestAWorldAnswersForOtherNames(t *testing.T) {
	w := newQuietWorld(t)
	world := &imagination{}
	cfg := w.config(network(t, "real.example:443"))
	cfg.World = world
	cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
	w.name("real.example", "203.0.113.5")
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	defer e.Close()
	ask := func(name string, kind dnsmessage.Type) string {
		m := reply(t, e.names, question(t, name, kind), false)
		var out []string
		for _, a := range m.Answers {
			switch b := a.Body.(type) {
			case *dnsmessage.AResource:
				out = append(out, netip.AddrFrom4(b.A).String())
			case *dnsmessage.AAAAResource:
				out = append(out, netip.AddrFrom16(b.AAAA).String())
			}
		}
		return strings.Join(append(out, m.RCode.String()), " ")
	}
	for _, c := range []struct {
		name       string
		kind       dnsmessage.Type
		six        bool
		want, told string
	}{
		{"other.example", dnsmessage.TypeA, true, "198.18.0.7 RCodeSuccess", "other.example 1"}, {"Other.Example", dnsmessage.TypeAAAA, true, "2001:db8::7 RCodeSuccess", "other.example 28"}, {"other.example", dnsmessage.TypeAAAA, false, "RCodeSuccess", "other.example 0"}, {"other.example", dnsmessage.TypeA, false, "198.18.0.7 RCodeSuccess", "other.example 1"},
		{"other.example", dnsmessage.TypeTXT, true, "RCodeSuccess", "other.example 16"}, {"a_b.example", dnsmessage.TypeA, true, "198.18.0.7 RCodeSuccess", "a_b.example"}, {"a b.example", dnsmessage.TypeA, true, "198.18.0.7 RCodeSuccess", "a b.example. 1"}, {"real.example", dnsmessage.TypeA, true, "203.0.113.5 RCodeSuccess", ""}, {"localhost", dnsmessage.TypeA, true, "127.0.0.1 RCodeSuccess", ""},
	} {
		world.asked = nil
		e.names.mu.Lock()
		e.names.v6 = c.six
		e.names.mu.Unlock()
		if got := ask(c.name, c.kind); got != c.want || (len(world.asked) > 0) != (c.told != "") || len(world.asked) > 0 && !strings.HasPrefix(world.asked[0], c.told) {
			t.Errorf("%s %v: %s, told %q; want %s, %q", c.name, c.kind, got, world.asked, c.want, c.told)
		}
	}
}

// A decision that cannot be recorded is reported, and a refusal stays a refusal.
func TestWhatCannotBeRecordedIsTold(t *testing.T) {
	w := newQuietWorld(t)
	full := errors.New("the disk is full")
	cfg := w.config(network(t, "a.example:443"))
	cfg.Own = func() ([]netip.Prefix, error) { return nil, errors.New("nobody knows") }
	cfg.Sink = func(audit.Event) error { return full }
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	defer e.Close()
	rule := cfg.Network.Hosts[0]
	out, _ := net.Pipe()
	for want, f := range map[string]func(){
		"cannot record that b.example:443 was refused: the disk is full":       func() { e.refuse(refusal{kind: audit.KindConnect, subject: "b.example:443", about: "b", quiet: true}) },
		"cannot record that a.example cannot be looked up: the disk is full":   func() { e.failedName("a.example", rule, "why") },
		"cannot accept: no (and cannot record it: the disk is full)":           func() { e.trouble("accept", errors.New("no")) },
		"too many (and cannot record it: the disk is full)":                    func() { e.limited("connections", "too many") },
		"cannot record that c.example:443 cannot be reached: the disk is full": func() { e.failed(call{subject: "c.example:443", rule: rule}, unix.ECONNREFUSED) },
		"refused d.example:443: cannot record it: the disk is full":            func() { _ = e.allowed(call{subject: "d.example:443", rule: rule, meant: "x"}, pipe{out}) },
		"refused p.example: cannot record it: the disk is full":                func() { _ = e.names.standIn(asked{name: "p.example", kind: dnsmessage.TypeA}, rule) },
		"refused q.example: cannot record it: the disk is full":                func() { _ = e.names.allowName(answer{asked: asked{name: "q.example"}}, rule) },
	} {
		w.told = nil
		if f(); !strings.Contains(strings.Join(w.told, "\n"), want) {
			t.Errorf("told %q, want %s", w.told, want)
		}
	}
	if a := e.names.standIn(asked{name: "r.example", kind: dnsmessage.TypeA}, rule); a.rcode != dnsmessage.RCodeServerFailure || len(a.addrs) > 0 {
		t.Errorf("a name that cannot be recorded: %+v", a)
	}
	// Nor is an address dialled if nobody can tell whose it is.
	e.names.table.learn(answer{asked: asked{name: "a.example", kind: dnsmessage.TypeA}, addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}, until: w.clock().Add(time.Minute)}, w.clock())
	if gs, _, bad := e.granted(mustAddrPort(t, "203.0.113.5:443")); bad == nil || len(gs) > 0 || !strings.Contains(bad.why, "nobody can tell whether it is this machine's own") {
		t.Errorf("granted %+v, %+v", gs, bad)
	}
	w.name("a.example", "203.0.113.5")
	if a := e.names.ask(asked{name: "a.example", kind: dnsmessage.TypeA}, []policy.Host{rule}); a.rcode != dnsmessage.RCodeServerFailure || len(a.addrs) > 0 {
		t.Errorf("answered %+v", a)
	}
	if _, err := (&Egress{}).around(); err == nil {
		t.Error("an egress without hosts knows what surrounds it")
	}
}

// A refusal by the kernel, for a port that no rule names, is reported with the rule
// that would allow it: for a host, or for this machine's own port.
func TestBarredIsToldWithItsRule(t *testing.T) {
	w := newQuietWorld(t)
	cfg := w.config(network(t, "a.example:443", "localhost:5000"))
	cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	defer e.Close()
	for to, want := range map[string]struct{ subject, hint string }{
		"203.0.113.5:22": {"203.0.113.5:22", `network.allow = ["203.0.113.5:22"]`}, "127.0.0.1:22": {"localhost:22", `network.allow = ["localhost:22"]`}, "[::1]:22": {"localhost:22", `network.allow = ["localhost:22"]`}, "127.0.0.1:5000": {"localhost:5000", ""}, "169.254.169.254:80": {"169.254.169.254:80", ""}, "10.0.0.1:80": {"10.0.0.1:80", `network.allow = ["10.0.0.1:80"]`},
	} {
		w.events = nil
		e.Barred(mustAddrPort(t, to), "EACCES", 7, "curl")
		ev := w.events[0]
		if ev.Subject != want.subject || ev.Errno != "EACCES" || ev.PID != 7 || ev.Program != "curl" || ev.Verdict != audit.Refused || (ev.Grant == nil) != (want.hint == "") || ev.Grant != nil && ev.Advice() != want.hint {
			t.Errorf("%s: %+v", to, ev)
		}
	}
}

// The bounds of an answer: as many records as fit, each in readable form.
func TestRecordsThatFit(t *testing.T) {
	txt := func(n int) dnsmessage.ResourceBody {
		return &dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", n)}}
	}
	for _, c := range []struct{ sizes, fit string }{{"", "0"}, {"1 1", "2"}, {fmt.Sprint(maxRest - 1), "1"}, {fmt.Sprint(maxRest), "0"}, {fmt.Sprint(maxRest-3, " 1"), "2"}, {fmt.Sprint(maxRest-3, " 2"), "1"}} {
		var records []dnsmessage.ResourceBody
		for _, s := range strings.Fields(c.sizes) {
			var n int
			fmt.Sscan(s, &n)
			records = append(records, txt(n))
		}
		if got := fmt.Sprint(len(fitting(records))); got != c.fit {
			t.Errorf("of %s: %s, want %s", c.sizes, got, c.fit)
		}
	}
	name, err := dnsmessage.NewName("db.example.")
	must(t, err)
	for want, r := range map[string]dnsmessage.ResourceBody{"SRV db.example:5432": &dnsmessage.SRVResource{Target: name, Port: 5432}, "TXT ab": &dnsmessage.TXTResource{TXT: []string{"a", "b"}}, "": &dnsmessage.MXResource{}} {
		if got := told(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for q, want := range map[string]string{"_sip._tcp.a.example": "a.example", "_x._udp.a": "a", "_x._tls.a": "a", "_x._tcp": "", "sip._tcp.a": "", "_sip._sctp.a": "", "_sip.tcp.a": "", "": "", "_" + strings.Repeat("x", maxService-1) + "._tcp.a": "a", "_" + strings.Repeat("x", maxService) + "._tcp.a": ""} {
		if got := ofService(q); got != want {
			t.Errorf("%q is the service of %q, want %q", q, got, want)
		}
	}
}
