package egress

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/hello"
)

// young are the connections that were just made. The loop copies the bytes of all of
// them: most connections carry little and end soon, and a goroutine for each direction,
// which wakes another processor, costs more than the connection. join takes over a
// connection that carries more than sipped, has to wait for its reader, speaks TLS or
// grows older than aliveAfter. Any goroutine may call its methods.
type young struct {
	e   *Egress
	buf []byte // belongs to the loop

	mu   sync.Mutex
	of   map[*couple]struct{}
	over bool // the loop serves no connection any more
}

// beYoung starts to serve young connections. It does not if the idle limit is shorter
// than aliveAfter, if Dial or a World makes the connections, or if there are no hosts.
func (e *Egress) beYoung() {
	if !e.plain || e.cfg.World != nil || e.cfg.Limits.Idle < aliveAfter || len(e.cfg.Network.Hosts) == 0 {
		return
	}
	y := &young{e: e, buf: make([]byte, 16<<10), of: map[*couple]struct{}{}}
	e.young = y
	e.loop.keep(y)
	e.goes(y.tend)
}

// Close ends them all.
func (y *young) Close() error {
	y.mu.Lock()
	y.over = true
	y.mu.Unlock()
	for _, p := range y.all(func(*couple) bool { return true }) {
		y.finish(p, "closed with the sandbox", true)
	}
	return nil
}

// couple is one young connection.
type couple struct {
	c     call
	at    string // the address outside
	gs    []grant
	dst   netip.AddrPort
	began time.Time // by the egress's clock
	made  time.Time

	mu       sync.Mutex
	in, out  int  // the descriptors, which the couple owns until it is gone
	gone     bool // closed, or handed over
	peeks    bool // the program's first bytes are still unchecked
	ended    [2]bool
	waits    [2][]byte // bytes read and not yet written
	sent     int64
	received int64
}

// The directions of a couple.
const (
	outward = iota
	inward
)

// Close ends the couple with a reset on both sides.
func (p *couple) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(true)
	return nil
}

// end closes both sides; with a reset if hard is set. The caller must hold the lock.
func (p *couple) end(hard bool) {
	if p.gone {
		return
	}
	p.gone = true
	if hard {
		reset(p.in)
		reset(p.out)
		return
	}
	unix.Close(p.in)
	unix.Close(p.out)
}

// add begins to pass the bytes of p. If it cannot, it returns false, and p still
// belongs to the caller.
func (y *young) add(p *couple) bool {
	y.mu.Lock()
	if y.over {
		y.mu.Unlock()
		return false
	}
	y.of[p] = struct{}{}
	y.mu.Unlock()
	const events = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	if y.e.loop.add(p.in, events, func(ev uint32) { y.pass(p, true, ev) }) &&
		y.e.loop.add(p.out, events, func(ev uint32) { y.pass(p, false, ev) }) {
		return true
	}
	return !y.take(p) // somebody else ended it meanwhile
}

// take removes p, and reports whether it was there: the caller that removed it must end
// it.
func (y *young) take(p *couple) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if _, here := y.of[p]; !here {
		return false
	}
	delete(y.of, p)
	y.e.loop.drop(p.in, p.out)
	return true
}

// all returns the couples for which older is true.
func (y *young) all(older func(*couple) bool) (out []*couple) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for p := range y.of {
		if older(p) {
			out = append(out, p)
		}
	}
	return out
}

// tend hands over the couples that are no longer young.
func (y *young) tend() {
	for y.e.pause(aliveAfter) {
		y.age(time.Now())
	}
}

func (y *young) age(now time.Time) {
	for _, p := range y.all(func(p *couple) bool { return now.Sub(p.made) >= aliveAfter }) {
		y.handOver(p)
	}
}

// pass handles an event.
func (y *young) pass(p *couple, fromIn bool, events uint32) {
	p.mu.Lock()
	then := stays
	if !p.gone {
		then = p.pour(fromIn, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0, y.buf)
	}
	p.mu.Unlock()
	switch then {
	case closes:
		y.finish(p, "closed", false)
	case breaks:
		y.finish(p, "reset", true)
	case grows:
		y.handOver(p)
	}
}

// fate is the next state of a couple.
type fate int

const (
	stays  fate = iota
	closes      // both directions have ended
	breaks      // with a reset
	grows       // the loop no longer handles it
)

// pour reads the available bytes from one side and writes them to the other. last
// reports that this side has ended and will cause no further event. The caller must
// hold the lock.
func (p *couple) pour(fromIn, last bool, buf []byte) fate {
	from, to, way, count := p.in, p.out, outward, &p.sent
	if !fromIn {
		from, to, way, count = p.out, p.in, inward, &p.received
	}
	for !p.ended[way] {
		var err error
		if fromIn && p.peeks { // nothing passes before the check
			var n int
			n, _, err = unix.Recvfrom(from, buf[:hello.MaxSpeaking], unix.MSG_PEEK)
			if err == nil && n > 0 && hello.Speaking(buf[:n]) != hello.Plain {
				return grows
			}
			p.peeks = err != nil
		}
		var n int
		if err == nil {
			n, err = unix.Read(from, buf)
		}
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return stays
		case err != nil:
			return breaks
		case n == 0:
			return p.close(way, to)
		}
		m, _ := unix.Write(to, buf[:n])
		m = max(m, 0)
		*count += int64(m)
		switch {
		case m < n: // join tries once more, and handles an error
			p.waits[way] = append([]byte(nil), buf[m:n]...)
			return grows
		case *count > sipped:
			return grows
		case n < len(buf) && !last: // there was no more (epoll(7))
			return stays
		}
	}
	return stays
}

// close passes the end of one direction on. The caller must hold the lock.
func (p *couple) close(way, to int) fate {
	p.ended[way] = true
	if p.ended[outward] && p.ended[inward] {
		return closes
	}
	if err := unix.Shutdown(to, unix.SHUT_WR); err != nil && err != unix.ENOTCONN {
		return breaks
	}
	return stays
}

// finish closes p and records how it ended.
func (y *young) finish(p *couple, how string, hard bool) {
	if !y.take(p) {
		return
	}
	defer func() { <-y.e.conns }()
	y.e.forget(p)
	p.mu.Lock()
	if p.gone { // closed by stop
		how = "closed with the sandbox"
	}
	p.end(hard)
	sent, received := p.sent, p.received
	p.mu.Unlock()
	y.e.recordEnd(p.c, p.at, how, begun{at: p.began, sent: sent, received: received})
}

// handOver hands p over to join.
func (y *young) handOver(p *couple) {
	if !y.take(p) {
		return
	}
	y.e.forget(p)
	in, out, err := y.apart(p)
	if err == nil && !(y.e.keep(in) && y.e.keep(out)) {
		abort(out)
		err = net.ErrClosed
	}
	if err != nil {
		<-y.e.conns
		return
	}
	c := p.c
	c.begun = begun{at: p.began, sent: p.sent, received: p.received, back: p.waits[inward]}
	c.first = func() ([]byte, error) { return p.waits[outward], nil }
	if p.peeks {
		c.first = y.e.peeking(in, p.gs, p.dst)
	}
	y.e.goes(func() {
		defer func() { <-y.e.conns }()
		defer y.e.forget(in)
		defer in.Close()
		defer y.e.forget(out)
		defer out.Close()
		y.e.join(in, out, c)
	})
}

// apart makes connections of package net from the couple's descriptors.
func (y *young) apart(p *couple) (in, out stream, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil, nil, net.ErrClosed
	}
	y.e.loop.leave(p.in, p.out)
	if in, err = connection(p.in); err == nil {
		if out, err = connection(p.out); err != nil {
			abort(in)
			in = nil
		}
	}
	p.end(err != nil)
	return in, out, err
}

// connection is a connection of package net with a copy of the descriptor.
func connection(fd int) (stream, error) {
	have, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(have), "connection")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	s, ok := c.(stream)
	if !ok {
		c.Close()
		return nil, net.UnknownNetworkError(c.LocalAddr().Network())
	}
	return s, nil
}
