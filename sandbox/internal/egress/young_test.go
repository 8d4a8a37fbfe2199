package egress

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/hello/hellotest"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
)

// side is one end of a couple, and the peer's end of that connection.
type side struct{ here, peer int }

func newSide(t *testing.T) side {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return side{fds[0], fds[1]}
}

// says makes the peer send bytes and, with end, end its direction.
func (s side) says(t *testing.T, b []byte, end bool) {
	t.Helper()
	_, err := unix.Write(s.peer, b)
	must(t, err)
	if end {
		must(t, unix.Shutdown(s.peer, unix.SHUT_WR))
	}
}

// hears is what came for the peer, and whether it has ended.
func (s side) hears(t *testing.T) (got []byte, ended bool) {
	t.Helper()
	b := make([]byte, 16<<10)
	for {
		n, err := unix.Read(s.peer, b)
		if n <= 0 {
			return got, err == nil
		}
		got = append(got, b[:n]...)
	}
}

// The bytes of a young connection pass as they come, both ways. Whatever it cannot be served
// with here, it is handed over with every byte that was read and not yet written.
func TestYoungConnectionsPassTheirBytes(t *testing.T) {
	tls := hellotest.Build(16384, hellotest.SNI("evil.example"))
	type row struct {
		say    []byte
		end    bool
		peeks  bool
		full   bool // the reader takes nothing
		before int64
		last   bool // the event says that the side has ended
		then   fate
		passed int // bytes that the other side got
		peeked bool
	}
	for name, c := range map[string]row{
		"nothing":                        {then: stays},
		"some":                           {say: []byte("hello"), then: stays, passed: 5},
		"an end":                         {end: true, then: stays},
		"some and an end, in one event":  {say: []byte("hello"), end: true, last: true, then: stays, passed: 5},
		"as much as may pass":            {say: []byte("x"), before: sipped - 1, then: stays, passed: 1},
		"one byte more":                  {say: []byte("xy"), before: sipped - 1, then: grows, passed: 2},
		"a whole buffer":                 {say: make([]byte, 1<<10), then: stays, passed: 1 << 10},
		"more than a buffer":             {say: make([]byte, 3<<10+1), then: stays, passed: 3<<10 + 1},
		"a reader that takes its time":   {say: []byte("hello"), full: true, then: grows},
		"plain text, looked at":          {say: []byte("hello, world"), peeks: true, then: stays, passed: 12},
		"TLS, looked at":                 {say: tls, peeks: true, then: grows, peeked: true},
		"perhaps TLS, looked at":         {say: tls[:1], peeks: true, then: grows, peeked: true},
		"TLS, not looked at":             {say: tls, then: stays, passed: len(tls)},
		"nothing yet, looked at":         {peeks: true, then: stays, peeked: true},
		"an end without a word, watched": {end: true, peeks: true, then: stays},
	} {
		for _, fromIn := range []bool{true, false} {
			if c.peeks && !fromIn {
				continue // only the program is looked at
			}
			t.Run(fmt.Sprint(name, " ", fromIn), func(t *testing.T) {
				from, to := newSide(t), newSide(t)
				p := &couple{in: from.here, out: to.here, peeks: c.peeks}
				way, count := outward, &p.sent
				if !fromIn {
					p.in, p.out, way, count = to.here, from.here, inward, &p.received
				}
				*count = c.before
				filled := 0
				for b := make([]byte, 4<<10); c.full; filled++ {
					if _, err := unix.Write(to.here, b); err != nil {
						break
					}
				}
				from.says(t, c.say, c.end)
				if then := p.pour(fromIn, c.last, make([]byte, 1<<10)); then != c.then {
					t.Errorf("its fate is %d, want %d", then, c.then)
				}
				got, ended := to.hears(t)
				got = got[min(len(got), filled*4<<10):]
				if len(got) != c.passed || !bytes.Equal(got, c.say[:len(got)]) || ended != c.end || *count != c.before+int64(c.passed) || p.peeks != c.peeked {
					t.Errorf("passed %d bytes of %d, ended %v, counted %d, still looks: %v", len(got), len(c.say), ended, *count, p.peeks)
				}
				rest := p.waits[way]
				if c.peeked { // still unread
					b := make([]byte, len(c.say)+1)
					n, _ := unix.Read(from.here, b)
					rest = b[:max(n, 0)]
				}
				if left := c.say[len(got):]; !bytes.Equal(rest, left) {
					t.Errorf("%d bytes wait, want %d", len(rest), len(left))
				}
				if p.ended[way] != c.end || p.ended[1-way] {
					t.Errorf("ended: %v", p.ended)
				}
			})
		}
	}
}

// A connection closes once both of its directions have ended, and breaks if one of its
// sides is gone.
func TestYoungConnectionsEnd(t *testing.T) {
	in, out := newSide(t), newSide(t)
	p := &couple{in: in.here, out: out.here}
	in.says(t, nil, true)
	out.says(t, []byte("bye"), true)
	if then := p.pour(true, true, make([]byte, 100)); then != stays || !p.ended[outward] {
		t.Errorf("one direction: %d, %v", then, p.ended)
	}
	if then := p.pour(false, true, make([]byte, 100)); then != closes {
		t.Errorf("both: %d", then)
	}
	if got, ended := in.hears(t); string(got) != "bye" || ended { // its end comes with the close
		t.Errorf("%q, %v", got, ended)
	}
	if then := p.pour(true, true, make([]byte, 100)); then != stays { // a late event
		t.Errorf("what has ended ends again: %d", then)
	}
	unconnected, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(unconnected)
	for fd, want := range map[int]fate{unconnected: stays, -1: breaks} { // one that was reset is told by its own event
		if then := (&couple{}).close(outward, fd); then != want {
			t.Errorf("an end for descriptor %d: %d, want %d", fd, then, want)
		}
	}
	if then := (&couple{in: -1, out: out.here}).pour(true, false, make([]byte, 100)); then != breaks {
		t.Errorf("a side that cannot be read: %d", then)
	}
}

// Whoever takes a connection first ends it, or hands it over; a second one does nothing.
func TestAYoungConnectionHasOneEnd(t *testing.T) {
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(network(t, "203.0.113.5:8080")))
	must(t, err)
	in, out := newSide(t), newSide(t)
	own := func(s side) int {
		fd, err := unix.FcntlInt(uintptr(s.here), unix.F_DUPFD_CLOEXEC, 3)
		must(t, err)
		return fd
	}
	e.conns <- struct{}{}
	e.conns <- struct{}{}
	before := e.opens()
	p := &couple{in: own(in), out: own(out), at: "203.0.113.5:8080", c: call{subject: "a.example:1"}, sent: 3, received: 4, began: w.clock()}
	if !e.keep(p) || !e.young.add(p) {
		t.Fatal("not added")
	}
	for range 2 {
		e.young.finish(p, "closed", false)
		e.young.handOver(p)
	}
	if len(e.conns) != 1 || e.opens() != before || len(w.events) != 1 || w.events[0].Detail != "closed" || w.events[0].Sent != 3 || w.events[0].Received != 4 || w.events[0].Address != "203.0.113.5:8080" {
		t.Errorf("%d slots, %d open, recorded %+v", len(e.conns), e.opens()-before, w.events)
	}
	<-e.conns
	// Behind Close none is added, and none is handled.
	e.stop()
	if e.young.add(&couple{in: -1, out: -1}) {
		t.Error("added behind Close")
	}
	e.conns <- struct{}{}
	e.handles(own(in), flow{}, func(stream) { t.Error("handled behind Close") })
	must(t, e.Close())
	if len(e.conns) != 0 {
		t.Errorf("%d slots are taken", len(e.conns))
	}
}

// A byte goes out at once on both sides of a connection and does not wait for the next one:
// a request in two writes would otherwise take 40 ms more.
func TestBytesDoNotWait(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		e := w.serve(w.config(network(t, "203.0.113.5:8080")))
		c, err := w.dial("203.0.113.5:8080")
		must(t, err)
		_, err = io.WriteString(c, "x")
		must(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		must(t, err)
		young := e.young.all(func(*couple) bool { return true })
		if len(young) != 1 {
			t.Fatalf("%d are young", len(young))
		}
		young[0].mu.Lock()
		for _, fd := range []int{young[0].in, young[0].out} {
			if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); on != 1 || err != nil {
				t.Errorf("TCP_NODELAY is %d, %v", on, err)
			}
		}
		young[0].mu.Unlock()
		// Its end is recorded when the sandbox ends.
		must(t, e.Close())
		wantReset(t, c)
		w.await(func(ev audit.Event) bool {
			return ev.Detail == "closed with the sandbox" && ev.Sent == 1 && ev.Received == 1 && ev.Subject == "203.0.113.5:8080"
		})
		if len(e.conns) > 0 {
			t.Errorf("%d slots are taken", len(e.conns))
		}
	})
}

// A young connection that cannot be handed over ends: its slot is free, and no descriptor of
// it stays.
func TestAHandOverThatFails(t *testing.T) {
	file := func() int {
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		must(t, err)
		return fd
	}
	socket := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		return fd
	}
	for name, c := range map[string]struct {
		in, out func() int
		stopped bool
		gone    bool
	}{
		"the program's end": {in: file, out: socket}, "the other": {in: socket, out: file}, "both": {in: file, out: file},
		"behind the end of the sandbox": {in: socket, out: socket, stopped: true}, "closed meanwhile": {in: socket, out: socket, gone: true},
	} {
		e, err := Serve(t.Context(), nil, newQuietWorld(t).config(network(t, "203.0.113.5:8080")))
		must(t, err)
		before, opens := countFDs(t), e.opens()
		p := &couple{in: c.in(), out: c.out()}
		e.conns <- struct{}{}
		if !e.keep(p) {
			t.Fatal("not kept")
		}
		e.young.of[p] = struct{}{}
		if c.gone {
			must(t, p.Close())
		}
		if c.stopped {
			e.mu.Lock()
			e.closed = true
			e.mu.Unlock()
		}
		e.young.handOver(p)
		if after := countFDs(t); after != before || len(e.conns) > 0 || e.opens() != opens || !p.gone {
			t.Errorf("%s: %d descriptors, %d before; %d slots; %d open, %d before", name, after, before, len(e.conns), e.opens(), opens)
		}
		must(t, e.Close())
	}
}

// What is of another listener, or comes at the end of the sandbox, does not begin. Nothing of
// it stays, and what another listener waits for goes on waiting.
func TestAConnectionThatDoesNotBegin(t *testing.T) {
	e, err := Serve(t.Context(), nil, newQuietWorld(t).config(network(t, "203.0.113.5:8080")))
	must(t, err)
	defer e.Close()
	from := mustAddrPort(t, "192.0.2.1:40000")
	for _, c := range []struct {
		to     string
		kind   listeners.Kind
		over   bool // the loop serves nothing more
		begins bool // as far as the listener is concerned
	}{
		{"127.0.0.1:8080", listeners.KindTCP, false, false}, {"203.0.113.5:8080", listeners.KindLocal, false, false},
		{"203.0.113.5:8080", listeners.KindTCP, true, true}, {"127.0.0.1:8080", listeners.KindLocal, true, true},
	} {
		sockets := countSockets(t)
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		f := flow{from, mustAddrPort(t, c.to)}
		one := &loose{to: c.to, fd: pair[1]}
		if !e.keep(one) {
			t.Fatal("not kept")
		}
		e.held.add(f, &hold{conn: one, at: time.Now()})
		e.young.mu.Lock()
		e.young.over = c.over
		e.young.mu.Unlock()
		e.conns <- struct{}{}
		began := e.begins(pair[0], f, listeners.Handle{Kind: c.kind, Gated: true})
		if !began {
			unix.Close(pair[0])
			<-e.conns
			h, left := e.held.takeLoose(f)
			if h == nil || left != one {
				t.Errorf("%+v: it waits no more", c)
			} else {
				h.close(e)
			}
		}
		if began != c.begins || len(e.conns) > 0 || e.opens() != 1 || countSockets(t) != sockets || len(e.held.of) > 0 || len(e.young.of) > 0 {
			t.Errorf("%+v: %v; %d slots, %d open, %d sockets, %d were; %d wait", c, began, len(e.conns), e.opens(), countSockets(t), sockets, len(e.held.of))
		}
	}
}

// A connection grows old: from then on it goes through the kernel, and not a byte is lost.
func TestYoungConnectionsAge(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		e := w.serve(w.config(network(t, "203.0.113.5:8080")))
		c, err := w.dial("203.0.113.5:8080")
		must(t, err)
		for i, young := range []int{1, 1, 0, 0} {
			_, err = io.WriteString(c, "x")
			must(t, err)
			_, err = io.ReadFull(c, make([]byte, 1))
			must(t, err)
			all := e.young.all(func(*couple) bool { return true })
			if len(all) != young {
				t.Fatalf("%d: %d are young, want %d", i, len(all), young)
			}
			for _, p := range all {
				e.young.age(p.made.Add(aliveAfter - time.Duration(1-i))) // the second time it is as old as that
			}
		}
		if got, err := talk(c, "y"); got != "y" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		w.await(func(ev audit.Event) bool { return ev.Detail == "closed" && ev.Sent == 5 && ev.Received == 5 })
	})
}

// deaf is a connection whose end cannot be passed on.
type deaf struct {
	pipe
	err error
}

func (d deaf) CloseWrite() error { return d.err }

// An end that cannot be passed on is an error, unless the other side is gone already.
func TestAnEndThatCannotBePassedOn(t *testing.T) {
	for is, want := range map[error]error{nil: nil, unix.ENOTCONN: nil, unix.EIO: unix.EIO} {
		src, program := net.Pipe()
		program.Close()
		dst, _ := net.Pipe()
		if n, err := pour(deaf{pipe{dst}, is}, pipe{src}); n != 0 || err != want {
			t.Errorf("%v: %d, %v", is, n, err)
		}
	}
}

// The first bytes of a connection pass through this process, which costs no pipe: most
// connections carry no more. The others go on in the kernel.
func TestFirstBytesAreSipped(t *testing.T) {
	for n, want := range map[int]error{0: io.EOF, 1: io.EOF, sipped - 1: io.EOF, sipped: nil, 3 * sipped: nil} {
		in, program := joined(t)
		out, host := joined(t)
		go func() { _, _ = program.Write(make([]byte, n)); _ = program.CloseWrite() }()
		read := make(chan int)
		go func() { k, _ := io.Copy(io.Discard, host); read <- int(k) }()
		k, err := sip(out, in)
		out.Close()
		if err != want || k < int64(min(n, sipped)) || k >= sipped+16<<10 || int(k) != <-read {
			t.Errorf("of %d bytes: %d, %v", n, k, err)
		}
	}
	here, _ := net.Pipe() // of no kernel: others copy it
	if k, err := sip(pipe{here}, pipe{here}); k != 0 || err != nil {
		t.Errorf("%d, %v", k, err)
	}
}

// Young begins the connections to a listener only behind a gate, which made the one outside
// before, and only where no rule demands to read first.
func TestWhichListenersAreQuick(t *testing.T) {
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(network(t, "a.example:8080", "a.example:8443 tls=true")))
	must(t, err)
	defer e.Close()
	without, err := Serve(t.Context(), nil, w.config(plan.Network{}))
	must(t, err)
	defer without.Close()
	for h, want := range map[listeners.Handle]bool{
		{Kind: listeners.KindTCP, Port: 8080, Gated: true}: true, {Kind: listeners.KindTCP, Port: 8080}: false, {Kind: listeners.KindTCP, Port: 8443, Gated: true}: false,
		{Kind: listeners.KindLocal, Port: 8443, Gated: true}: true, {Kind: listeners.KindLocal, Port: 8080}: false, {Kind: listeners.KindQueries, Port: 53, Gated: true}: false, {Kind: listeners.KindUnix, Gated: true}: false,
	} {
		if e.isQuick(h) != want || without.isQuick(h) {
			t.Errorf("%+v is quick: %v, and without hosts: %v", h, e.isQuick(h), without.isQuick(h))
		}
	}
}
