package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
)

// The counts of a minute are written once the minute is over, while the server runs and
// not only at its end. If the log fails then, that is reported.
func TestMinutesAreReportedWhileItRuns(t *testing.T) {
	w := newQuietWorld(t)
	cfg := w.config(plan.Network{})
	fails := make(chan bool, 1)
	fails <- false
	cfg.Sink = func(ev audit.Event) error {
		bad := <-fails
		fails <- bad
		if bad {
			return errors.New("the disk is full")
		}
		return w.sink(ev)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Egress{cfg: cfg, ctx: ctx, cancel: cancel, ledger: newLedger(cfg.Sink, w.tell, w.clock)}
	due, done := make(chan time.Time), make(chan struct{})
	go func() { e.tend(due); close(done) }()
	note := func() {
		must(t, e.ledger.note(audit.Event{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "a:1"}))
	}
	note()
	note()
	w.pass(window)
	due <- time.Time{}
	w.await(func(ev audit.Event) bool { return ev.Detail == "1 more within a minute" })
	note()
	note()
	w.pass(window)
	<-fails
	fails <- true
	due <- time.Time{}
	due <- time.Time{} // the one before is over
	w.mu.Lock()
	told := strings.Join(w.told, "\n")
	w.mu.Unlock()
	if !strings.Contains(told, "cannot record what the server did on the network: the disk is full") {
		t.Errorf("told %q", told)
	}
	cancel() // without Close
	<-done
	if !e.closed {
		t.Error("the context ended, and what was open stays open")
	}
}

// A connection that becomes ready after the sandbox is gone is closed: nobody else
// would end it.
func TestNoConnectionAfterClose(t *testing.T) {
	w := newQuietWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	cfg := w.config(plan.Network{})
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	must(t, e.Close())
	out, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	there, err := l.Accept()
	must(t, err)
	defer there.Close()
	if e.keep(out) {
		t.Error("kept after Close")
	}
	must(t, there.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := there.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still there: %v", err)
	}
	for range cap(e.dials) {
		e.dials <- struct{}{} // no slot is free
	}
	if _, err := e.connect(call{}); !errors.Is(err, context.Canceled) {
		t.Errorf("connects after Close: %v", err)
	}
}

// The log names the program's intended address only if the program got a different one.
func TestLogSaysWhatWasMeant(t *testing.T) {
	w := newQuietWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	e, err := Serve(context.Background(), nil, w.config(plan.Network{}))
	must(t, err)
	defer e.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer out.Close()
	is := l.Addr().String()
	must(t, e.allowed(call{subject: "a", meant: is}, out.(stream)))
	must(t, e.allowed(call{subject: "b", meant: "203.0.113.9:443"}, out.(stream)))
	e.failed(call{subject: "c", meant: "203.0.113.9:443"}, fmt.Errorf("dial: %w", unix.EHOSTUNREACH))
	if len(w.events) != 3 {
		t.Fatalf("%+v", w.events)
	}
	for i, want := range []audit.Event{{Address: is}, {Address: is, Detail: "the program meant 203.0.113.9:443"}, {Address: "203.0.113.9:443", Detail: "allowed, but it cannot be reached: dial: no route to host"}} {
		if ev := w.events[i]; ev.Address != want.Address || ev.Detail != want.Detail {
			t.Errorf("%+v, want %+v", ev, want)
		}
	}
	if len(w.told) != 1 || !strings.Contains(w.told[0], "cannot reach c") || !strings.Contains(w.told[0], "no route to host") {
		t.Errorf("told %q", w.told)
	}
}

// An answer belongs to the question that was asked, even a failed one: it is cached,
// and given to the next program that asks, under its name.
func TestFailedAnswersKeepTheirNames(t *testing.T) {
	w := newQuietWorld(t)
	n := network(t, "a.example:443", "*.wild.example:443")
	cfg := w.config(n)
	cfg.Lookup = func(_ context.Context, name string, _ dnsmessage.Type) (dns.Records, error) {
		if name == "missing.wild.example" {
			return dns.Records{Missing: true}, nil
		}
		return dns.Records{}, errors.New("no name server answers")
	}
	cfg.Own = func() ([]netip.Prefix, error) { return nil, errors.New("nobody knows") }
	e, err := Serve(context.Background(), nil, cfg)
	must(t, err)
	defer e.Close()
	for name, rcode := range map[string]dnsmessage.RCode{"a.example": dnsmessage.RCodeServerFailure, "missing.wild.example": dnsmessage.RCodeNameError} {
		q := asked{name: name, kind: dnsmessage.TypeA}
		rules, _ := e.rules.naming(name)
		if a := e.names.ask(q, rules); a.asked != q || dnsmessage.RCode(a.rcode) != rcode {
			t.Errorf("%s: %+v", name, a)
		}
		if a := e.names.resolve(q, rules); a.asked != q || dnsmessage.RCode(a.rcode) != rcode {
			t.Errorf("%s, the second time: %+v", name, a)
		}
	}
	// Below a wildcard the allowance runs out, and a refused name's answer carries that
	// name, too.
	rules, _ := e.rules.naming("x.wild.example")
	for i := range 500 {
		q := asked{name: fmt.Sprintf("n%d.wild.example", i), kind: dnsmessage.TypeA}
		a := e.names.ask(q, rules)
		if a.asked != q {
			t.Fatalf("%+v, asked for %+v", a, q)
		}
		if dnsmessage.RCode(a.rcode) == dnsmessage.RCodeRefused {
			return
		}
	}
	t.Error("500 new names below a wildcard, and none is refused")
}

// A link in use stays, however many are made after it; an unused one goes.
func TestUsedLinksStay(t *testing.T) {
	tb := newTable()
	now := time.Unix(1_700_000_000, 0)
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	learn := func(i int, name string) {
		tb.learn(answer{asked: asked{name: name, kind: dnsmessage.TypeA}, addrs: []netip.Addr{at(i)}}, now)
	}
	learn(0, "kept.example")
	learn(1, "lost.example")
	for i := range maxLinks - 2 {
		learn(2+i, "many.example")
	}
	for _, i := range []int{0, 1} {
		if len(tb.names(at(i), now)) != 1 {
			t.Fatalf("link %d is gone before the table is full", i)
		}
	}
	tb.use(at(0), "kept.example", now)
	learn(maxLinks, "many.example")
	if got := tb.names(at(0), now); len(got) != 1 || got[0] != "kept.example" {
		t.Errorf("a used link is %q", got)
	}
	if got := tb.names(at(1), now); len(got) != 0 {
		t.Errorf("the oldest link is still %q", got)
	}
	if tb.links.Len() != maxLinks || len(tb.byAddr) != maxLinks {
		t.Errorf("%d links of %d addresses", tb.links.Len(), len(tb.byAddr))
	}
	// Over time: a link ends a day after its last use, to the second.
	now = now.Add(linkLife - time.Second)
	tb.use(at(0), "kept.example", now)
	now = now.Add(time.Second)
	learn(2, "many.example")
	if got := tb.names(at(0), now); len(got) != 1 {
		t.Errorf("used a second ago, and gone: %q", got)
	}
	if got := tb.names(at(3), now); len(got) != 0 || tb.links.Len() != 2 {
		t.Errorf("not used for a day, and still %q; %d links", got, tb.links.Len())
	}
	// Two names of one address: the newest first, and each expires by itself.
	learn(0, "second.example")
	if got := tb.names(at(0), now); len(got) != 2 || got[0] != "second.example" {
		t.Errorf("%q", got)
	}
	for i := range maxAnswers + 5 {
		tb.learn(answer{asked: asked{name: fmt.Sprintf("n%d.example", i), kind: dnsmessage.TypeA}}, now)
	}
	if tb.order.Len() != maxAnswers || len(tb.answers) != maxAnswers {
		t.Errorf("%d answers in order, %d by name", tb.order.Len(), len(tb.answers))
	}
}

// A packet's address comes only from the control message that contains it.
func TestPacketInfoIsItsOwnMessage(t *testing.T) {
	addr := netip.MustParseAddr("2001:db8::7").As16()
	message := func(level, kind int32, data []byte) []byte {
		b := make([]byte, unix.CmsgSpace(len(data)))
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(data))))
		binary.NativeEndian.PutUint32(b[8:], uint32(level))
		binary.NativeEndian.PutUint32(b[12:], uint32(kind))
		copy(b[unix.CmsgLen(0):], data)
		return b
	}
	info := append(addr[:], 0, 0, 0, 1)
	other := message(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, make([]byte, 20))
	foreign := message(unix.SOL_SOCKET, unix.IPV6_PKTINFO, append(make([]byte, 15), 9, 0, 0, 0, 0))
	right := message(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info)
	for name, c := range map[string]struct {
		oob  []byte
		want bool
	}{"alone": {right, true}, "exactly an address": {message(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, addr[:]), true}, "behind another": {append(append([]byte{}, other...), right...), true}, "behind a foreign one": {append(append([]byte{}, foreign...), right...), true},
		"another alone": {other, false}, "a foreign one alone": {foreign, false}, "too short": {message(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, addr[:15]), false}, "nothing": {nil, false}, "no message": {[]byte{1, 2, 3}, false}} {
		got := pktinfo6(c.oob)
		if c.want && got != netip.AddrFrom16(addr) || !c.want && got.IsValid() {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// An opening whose destination the kernel does not tell opens nothing: it would be taken for
// one to another address. An IPv6 one gets its header back, which the kernel keeps.
func TestOpeningsWithoutADestination(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	} else {
		l.Close()
	}
	tcp := synOf("[::1]:40000", "[::1]:443")[40:]
	for name, tells := range map[string]bool{"told": true, "not told": false} {
		c, err := net.ListenPacket("udp6", "[::1]:0")
		must(t, err)
		f, err := c.(*net.UDPConn).File()
		must(t, err)
		must(t, descriptor.Of(f, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, map[bool]int{true: 1}[tells])
		}))
		p, err := newPackets(listeners.Handle{Kind: listeners.KindGate, File: f})
		must(t, err)
		f.Close()
		program, err := net.Dial("udp6", c.LocalAddr().String())
		must(t, err)
		_, err = program.Write(tcp)
		must(t, err)
		b, oob := make([]byte, 40+listeners.MaxOpening), make([]byte, 64)
		var packet []byte
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			must(t, descriptor.Of(p.File, func(fd int) error { packet, _ = p.receive(fd, b, oob); return nil }))
			if packet != nil || !tells || time.Now().After(end) {
				break
			}
		}
		s, ok := parseSYN(packet)
		if ok != tells || ok && (fmt.Sprint(s.from, s.to) != "[::1]:40000 [::1]:443" || len(packet) != 60 || packet[5] != 20 || packet[7] != 64) {
			t.Errorf("%s: %x is an opening %v: %v", name, packet, s.flow, ok)
		}
		program.Close()
		p.Close()
		c.Close()
	}
	// And a packet of another family has no such sender.
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if packet, err := (&packets{six: true}).receive(pair[1], make([]byte, 41), nil); packet != nil || err != unix.EAGAIN {
		t.Errorf("nothing is there: %x, %v", packet, err)
	}
	_, err = unix.Write(pair[0], tcp)
	must(t, err)
	if packet, err := (&packets{six: true}).receive(pair[1], make([]byte, 40+listeners.MaxOpening), make([]byte, 64)); len(packet) > 0 || err != nil {
		t.Errorf("%x, %v", packet, err)
	}
}

// Checksums are those of RFC 1071, section 3, also of an odd number of bytes.
func TestChecksums(t *testing.T) {
	for in, want := range map[string]uint16{"": 0, "\x01": 0x100, "\x00\x01": 1, "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7": 0xddf2, "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7\x01": 0xdef2, "\xff\xff\xff\xff": 0xffff, "\xff\xff\x00\x01": 1} {
		if got := fold(sum(0, []byte(in))); got != want {
			t.Errorf("%x: %#x, want %#x", in, got, want)
		}
	}
}
