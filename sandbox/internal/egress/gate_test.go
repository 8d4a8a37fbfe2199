package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
)

// A program that waits for a service, tries a list of hosts, or checks whether a port
// is open depends on the result of connect(2). That must be the same inside as outside.
func TestConnectEndsAsOutside(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.name("n.example", "203.0.113.5", "2001:db8:1::5")
		w.peer("203.0.113.5:8080", says("four"))
		w.peer("[2001:db8:1::5]:8080", says("six"))
		w.peer("127.0.0.1:5432", says("local"))
		errnos := map[string]syscall.Errno{"203.0.113.11:1": unix.EHOSTUNREACH, "203.0.113.12:1": unix.ENETUNREACH, "203.0.113.13:1": unix.ECONNREFUSED,
			"203.0.113.14:1": unix.EPERM, "[2001:db8:1::11]:1": unix.EHOSTUNREACH, "[2001:db8:1::12]:1": unix.ENETUNREACH, "[2001:db8:1::13]:1": unix.ECONNREFUSED}
		cfg := w.config(network(t, "n.example:8080-8081", "localhost:5432", "localhost:5433", "203.0.113.0/28:1", "[2001:db8:1::/120]:1"))
		cfg.Dial = func(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
			if errno, ok := errnos[to.String()]; ok {
				return nil, os.NewSyscallError("connect", errno)
			}
			return dial(ctx, to, check)
		}
		w.serve(cfg)
		w.resolve("n.example", dnsmessage.TypeA)
		w.resolve("n.example", dnsmessage.TypeAAAA)
		told := maps.Clone(errnos)
		told["203.0.113.14:1"] = unix.ECONNREFUSED // the host's firewall has no message for it
		for addr, want := range map[string]syscall.Errno{"203.0.113.5:8081": unix.ECONNREFUSED, "[2001:db8:1::5]:8081": unix.ECONNREFUSED,
			"127.0.0.1:5433": unix.ECONNREFUSED, "[::1]:5433": unix.ECONNREFUSED} {
			told[addr] = want
		}
		for addr, want := range told {
			began := time.Now()
			c, err := w.dial(addr)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, %v; want %v", addr, c, err, want)
			}
			if time.Since(began) > patience/2 {
				t.Errorf("%s: told after %v", addr, time.Since(began))
			}
		}
		// The twin: a connection to a listener succeeds.
		for addr, want := range map[string]string{"203.0.113.5:8080": "four", "[2001:db8:1::5]:8080": "six", "127.0.0.1:5432": "local"} {
			c, err := w.dial(addr)
			must(t, err)
			if got, err := talk(c, ""); got != want || err != nil {
				t.Errorf("%s: %q, %v", addr, got, err)
			}
		}
	})
}

// If nobody answers, the program waits and retransmits, as it would outside, and a
// person is told.
func TestNobodyAnswers(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		cfg := w.config(network(t, "203.0.113.5:8080"))
		var mu sync.Mutex
		dials := 0
		cfg.Dial = func(ctx context.Context, _ netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
			mu.Lock()
			dials++
			mu.Unlock()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		cfg.Limits.Connect = patience / 2
		w.serve(cfg)
		fd := w.begin("203.0.113.5:8080")
		defer unix.Close(fd)
		w.await(func(ev audit.Event) bool { return ev.Errno == "ETIMEDOUT" && ev.Subject == "203.0.113.5:8080" })
		if errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 || err != nil {
			t.Errorf("the program was told %v, %v", syscall.Errno(errno), err)
		}
		w.until(func() bool {
			return slices.Contains(w.told, "cannot reach 203.0.113.5:8080, which p.toml:1:1 allows: nobody answered within 1.5s")
		})
		mu.Lock()
		defer mu.Unlock()
		if dials != 1 { // the kernel retransmitted after a second
			t.Errorf("dialled %d times", dials)
		}
	})
}

// A server that knows the gate's mark and sets it bypasses the gate, but not the rules.
func TestTheMarkLiftsNothing(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		w.peer("203.0.113.6:8080", echo)
		w.serve(w.config(network(t, "203.0.113.5:8080")))
		marked := func(addr string) (c *net.TCPConn, err error) {
			w.inside(func() {
				d := net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) error {
					return descriptor.Raw(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, listeners.Mark) })
				}}
				var conn net.Conn
				if conn, err = d.Dial("tcp", addr); err == nil {
					c = conn.(*net.TCPConn)
					err = c.SetDeadline(time.Now().Add(patience))
				}
			})
			return c, err
		}
		c, err := marked("203.0.113.5:8080")
		must(t, err)
		if got, err := talk(c, "x"); got != "x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if c, err := marked("203.0.113.6:8080"); err == nil {
			wantReset(t, c)
		}
		w.await(is(audit.KindConnect, audit.Refused, "203.0.113.6:8080"))
	})
}

// A connection that no program accepts ends. One is made for each that is accepted.
func TestHeldConnectionsEnd(t *testing.T) {
	hs := waiting{of: map[flow]*hold{}}
	f := flow{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("203.0.113.5:2")}
	a, b := net.Pipe()
	defer b.Close()
	h := &hold{}
	hs.add(f, h)
	if is, full := hs.again(f); is != outside || full {
		t.Errorf("%v, %v", is, full)
	}
	began := time.Now()
	if hs.made(f, &hold{}, pipe{a}, began) || !hs.made(f, h, pipe{a}, began) {
		t.Error("a connection is whoever's does not wait")
	}
	if is, _ := hs.again(f); is != inside {
		t.Errorf("%v", is)
	}
	if late := hs.late(began.Add(heldLife - 1)); len(late) > 0 {
		t.Errorf("too soon: %+v", late)
	}
	if late := hs.late(began.Add(heldLife)); len(late) != 1 || late[0].conn == nil || hs.take(f) != nil || len(hs.of) > 0 {
		t.Errorf("it is still held: %+v", late)
	}
	hs.add(f, &hold{})
	if late := hs.late(began.Add(heldLife)); len(late) > 0 || hs.take(f) == nil {
		t.Error("what is being made is ended")
	}
	if hs.made(f, h, pipe{a}, began) {
		t.Error("what was taken before it was made waits again")
	}
	for i := range maxHeld {
		hs.add(flow{netip.AddrPortFrom(f.from.Addr(), uint16(i+10)), f.to}, &hold{})
	}
	if is, full := hs.again(f); is != nowhere || !full {
		t.Errorf("of %d: %v, %v", maxHeld, is, full)
	}
	// A connection to another address of another name is of no use.
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(network(t, "a.n.example:80", "b.n.example:80")))
	must(t, err)
	defer e.Close()
	first, second := grant{e.cfg.Network.Hosts[0], "a.n.example"}, grant{e.cfg.Network.Hosts[1], "b.n.example"}
	held := &hold{call: call{grant: first}, conn: pipe{a}}
	if held.use(second, f.to) != nil {
		t.Error("b is led to where a leads")
	}
	if held.use(first, f.to) == nil || held.use(first, f.to) != nil {
		t.Error("it is used once, by its own grant")
	}
	again := first
	again.rule.Private = true
	there := &ends{Conn: a, remote: net.TCPAddrFromAddrPort(f.to)}
	for name, c := range map[string]struct {
		grant grant
		to    netip.AddrPort
		want  bool
	}{
		"another rule for the name": {again, netip.AddrPortFrom(f.to.Addr(), 9), true}, "another name, its address": {second, f.to, true}, "another name, another port of the address": {second, netip.AddrPortFrom(f.to.Addr(), 9), false}, "no name": {grant{rule: first.rule}, f.from, false},
	} {
		if h := (&hold{call: call{grant: first}, conn: there}); (h.use(c.grant, c.to) != nil) != c.want {
			t.Errorf("%s is led there: %v", name, !c.want)
		}
	}
}

// Any packet at the gate can be parsed, and a sent packet has valid checksums.
func FuzzSegments(f *testing.F) {
	four, six := synOf("192.0.2.1:40000", "203.0.113.5:443"), synOf("[2001:db8::1]:40000", "[2001:db8:1::5]:443")
	f.Add(four)
	f.Add(six)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseSYN(b)
		if !ok {
			return
		}
		for _, out := range [][]byte{s.again(), s.reset(), s.unreachable(1)} {
			if out[0]>>4 == 4 && fold(sum(0, out[:int(out[0]&15)*4])) != 0xffff {
				t.Errorf("the header of %x has a wrong sum", out)
			}
		}
		if again, ok := parseSYN(s.again()); !ok || again.flow != s.flow {
			t.Errorf("%x sent again is %+v", b, again.flow)
		}
		out := s.reset()
		if fold(sum(pseudo(s.to.Addr(), s.from.Addr(), unix.IPPROTO_TCP, 20), out[len(out)-20:])) != 0xffff {
			t.Errorf("%x has a wrong sum", out)
		}
	})
}

func synOf(from, to string) []byte {
	s := segment{flow: flow{netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)}}
	s.flow = flow{s.to, s.from} // header swaps the ends
	b := s.header(unix.IPPROTO_TCP, 20)
	tcp := b[len(b)-20:]
	tcp[0], tcp[1], tcp[2], tcp[3], tcp[12], tcp[13] = byte(s.to.Port()>>8), byte(s.to.Port()), byte(s.from.Port()>>8), byte(s.from.Port()), 5<<4, flagSYN
	return b
}

func TestSegmentsAreRead(t *testing.T) {
	for _, ends := range [][2]string{{"192.0.2.1:40000", "203.0.113.5:443"}, {"[2001:db8::1]:40000", "[2001:db8:1::5]:443"}} {
		b := synOf(ends[0], ends[1])
		s, ok := parseSYN(b)
		if !ok || fmt.Sprint(s.from, s.to) != ends[0]+" "+ends[1] {
			t.Errorf("%v: %+v, %v", ends, s.flow, ok)
		}
		b[len(b)-7] |= flagACK
		if _, ok := parseSYN(b); ok {
			t.Errorf("%v: an answer is taken for an opening", ends)
		}
	}
}

// An opening that comes again while its connection outside is made is not decided a second
// time. Once that is made it goes on to the listener, which missed the first.
func TestARepeatedOpeningGoesOn(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		e, err := Serve(t.Context(), nil, w.config(plan.Network{}))
		must(t, err)
		defer e.Close()
		raw := func(protocol int) int {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
			must(t, err)
			return fd
		}
		back, err := newPackets(listeners.Handle{File: os.NewFile(uintptr(raw(unix.IPPROTO_RAW)), "back")})
		must(t, err)
		defer back.Close()
		tap := raw(unix.IPPROTO_TCP)
		defer unix.Close(tap)
		g := &gate{e: e, back: back}
		s, ok := parseSYN(synOf("127.0.0.1:40000", "127.0.0.1:7000"))
		if !ok {
			t.Fatal("no opening")
		}
		isNew := func(want bool, passed int) {
			t.Helper()
			if got := g.isNew(s); got != want {
				t.Errorf("it is new: %v", got)
			}
			came := 0
			for b := make([]byte, 200); ; {
				if came < passed {
					_, _ = unix.Poll([]unix.PollFd{{Fd: int32(tap), Events: unix.POLLIN}}, int(patience/time.Millisecond))
				}
				n, err := unix.Read(tap, b)
				if err != nil {
					break
				}
				if n == 40 && b[33] == flagSYN && b[8] == listeners.Mark { // not the kernel's answer
					came++
				}
			}
			if came != passed {
				t.Errorf("%d are passed on, want %d", came, passed)
			}
		}
		isNew(true, 0)
		h := &hold{}
		e.held.add(s.flow, h)
		isNew(false, 0)
		here, _ := net.Pipe()
		if !e.held.made(s.flow, h, here, time.Now()) {
			t.Error("not made")
		}
		isNew(false, 1)
		e.held.take(s.flow)
		for i := range maxHeld { // no room
			e.held.add(flow{from: netip.AddrPortFrom(s.from.Addr(), uint16(i+1)), to: s.from}, &hold{})
		}
		isNew(false, 0)
	})
}

// Each opening is answered with its own bytes, also if others came while its host was waited
// for.
func TestOpeningsAreAnsweredEachByItself(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		cfg := w.config(network(t, "203.0.113.5:8080", "203.0.113.6:8081", "203.0.113.7:8082"))
		var mu sync.Mutex
		dials, all := 0, make(chan struct{})
		cfg.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
			mu.Lock()
			if dials++; dials == 3 {
				close(all)
			}
			mu.Unlock()
			<-all
			return nil, os.NewSyscallError("connect", unix.ECONNREFUSED)
		}
		w.serve(cfg)
		var fds []int
		for _, addr := range []string{"203.0.113.5:8080", "203.0.113.6:8081", "203.0.113.7:8082"} {
			fd := w.begin(addr)
			defer unix.Close(fd)
			fds = append(fds, fd)
		}
		for i, fd := range fds {
			for end := time.Now().Add(patience); time.Now().Before(end); {
				if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100); n > 0 && err == nil {
					break
				}
			}
			if errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); syscall.Errno(errno) != unix.ECONNREFUSED || err != nil {
				t.Errorf("connection %d: %v, %v", i, syscall.Errno(errno), err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if dials != 3 { // a wrong answer has no effect, and the kernel tries again
			t.Errorf("%d dialled for 3 connections", dials)
		}
	})
}

// A connection outside that no program accepts ends after a while, and one that is made for a
// program that no longer waits ends at once.
func TestHeldConnectionsAreTended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := Serve(t.Context(), nil, Config{Sink: func(audit.Event) error { return nil }, Warn: func(string) {}})
		must(t, err)
		e.goes(e.tendHeld)
		g := &gate{e: e}
		here, there := net.Pipe()
		ended := time.Duration(0)
		began := time.Now()
		go func() { _, _ = there.Read(make([]byte, 1)); ended = time.Since(began) }()
		s := segment{flow: flow{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("203.0.113.5:2")}}
		h := &hold{}
		e.held.add(s.flow, h)
		if !e.keep(here) || !e.held.made(s.flow, h, here, began) {
			t.Error("not made")
		}
		time.Sleep(3 * heldLife)
		synctest.Wait()
		if ended < heldLife || ended > 2*heldLife || e.opens() != 1 {
			t.Errorf("ended after %v; %d are kept", ended, e.opens())
		}
		late, there := net.Pipe()
		g.arrived(s, h, late)
		if _, err := there.Read(make([]byte, 1)); err != io.EOF || e.opens() != 1 {
			t.Errorf("nobody waits for it: %v; %d are kept", err, e.opens())
		}
		must(t, e.Close())
	})
}

// A connection that cannot be begun at once is left to a goroutine, and nothing of it stays.
func TestWhatCannotBeginAtOnce(t *testing.T) {
	crowded, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer crowded.Close()
	at := crowded.Addr().(*net.TCPAddr).AddrPort()
	f, err := crowded.(*net.TCPListener).File()
	must(t, err)
	must(t, descriptor.Of(f, func(fd int) error { return unix.Listen(fd, 0) }))
	f.Close()
	for range 2 { // one more than a backlog of 0 has room for
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		defer unix.Close(s)
		if err := unix.Connect(s, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	any := func(netip.AddrPort) error { return nil }
	six := netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer free.Close()
	open := free.Addr().(*net.TCPAddr).AddrPort()
	far := mustAddrPort(t, "203.0.113.5:8080")
	for name, c := range map[string]struct {
		call call
		full bool
		want bool
	}{
		"a local one": {call{to: []netip.AddrPort{open}, check: any}, false, true}, "the first of two local ones": {call{to: []netip.AddrPort{open, six}, check: any}, false, true},
		"no slot": {call{to: []netip.AddrPort{open}, check: any}, true, false}, "a local one that waits": {call{to: []netip.AddrPort{at, six}, check: any}, false, false},
		"no address": {call{check: any}, false, false}, "several": {call{to: []netip.AddrPort{far, open}, check: any}, false, false}, "refused": {call{to: []netip.AddrPort{open}, check: func(netip.AddrPort) error { return net.ErrClosed }}, false, false},
		"by a proxy": {call{to: []netip.AddrPort{open}, check: any, via: by("http://10.9.0.7:1", "")}, false, false},
	} {
		e, err := Serve(t.Context(), nil, newQuietWorld(t).config(network(t, "203.0.113.5:8080")))
		must(t, err)
		before := countFDs(t)
		for c.full && len(e.dials) < cap(e.dials) {
			e.dials <- struct{}{}
		}
		slots := len(e.dials)
		g := &gate{e: e}
		h := &hold{call: c.call}
		s := segment{flow: flow{mustAddrPort(t, "127.0.0.1:1"), open}}
		if got := g.atOnce(s, h); got != c.want { // nobody waits for it: it ends at once
			t.Errorf("%s begins at once: %v", name, got)
		}
		if after := countFDs(t); after != before || len(e.dials) != slots || e.opens() != 1 {
			t.Errorf("%s: %d descriptors, %d before; %d slots, %d before; %d are kept", name, after, before, len(e.dials), slots, e.opens())
		}
		must(t, e.Close())
	}
	// A wait that cannot begin ends like one that fails.
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(network(t, "203.0.113.5:8080")))
	must(t, err)
	f = spareSocket(t, false)
	defer f.Close()
	before := countFDs(t)
	e.loop.mu.Lock()
	e.loop.over = true
	e.loop.mu.Unlock()
	s, ok := parseSYN(synOf("127.0.0.1:1", "127.0.0.1:2"))
	raw, err := newPackets(listeners.Handle{File: f})
	must(t, err)
	if !(&gate{e: e, tap: raw, back: raw}).atOnce(s, &hold{call: call{subject: "n", to: []netip.AddrPort{at}, check: any}}) || !ok {
		t.Error("it did not begin")
	}
	w.awaitTold("cannot reach n, which default allows: use of closed network connection")
	raw.Close()
	e.loop.mu.Lock()
	e.loop.over = false
	e.loop.mu.Unlock()
	for end := time.Now().Add(patience); countFDs(t) > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the answer to the program is being sent
	}
	if len(e.dials) > 0 || countFDs(t) > before {
		t.Errorf("%d slots, %d descriptors, %d before", len(e.dials), countFDs(t), before)
	}
	must(t, e.Close())
	// The loop does not wait for what the end of the sandbox has closed: the descriptor may
	// belong to somebody else already.
	e, err = Serve(t.Context(), nil, w.config(network(t, "203.0.113.5:8080")))
	must(t, err)
	before = countFDs(t)
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	waits := 0
	must(t, fault.Watch([]uintptr{unix.SYS_EPOLL_CTL}, func(fault.Call) fault.Answer { waits++; return fault.Pass }, func() {
		if !(&gate{e: e}).atOnce(s, &hold{call: call{to: []netip.AddrPort{at}, check: any}}) {
			t.Error("it did not begin")
		}
	}))
	if waits > 0 || len(e.dials) > 0 || countFDs(t) != before {
		t.Errorf("the loop was told %d times; %d slots, %d descriptors, %d before", waits, len(e.dials), countFDs(t), before)
	}
	must(t, e.Close())
}
