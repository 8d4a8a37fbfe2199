package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How many connections are held at a gate at once, and how long one that was made
// outside waits for the program to take it up.
const (
	maxHeld  = 1024
	heldLife = 10 * time.Second
)

// gate is the launcher's end of a gate. Its methods may be called from any
// goroutine.
type gate struct {
	e         *Egress
	tap, back *packets
}

// packets is a packet socket, and the device that it is tied to.
type packets struct {
	*os.File
	raw syscall.RawConn
	at  unix.SockaddrLinklayer
}

// newPackets takes over the handle's file.
func newPackets(h Handle) (*packets, error) {
	fd, err := unix.FcntlInt(h.File.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // Fd made it block
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &packets{File: os.NewFile(uintptr(fd), "packets")}
	sa, err := unix.Getsockname(fd)
	at, ok := sa.(*unix.SockaddrLinklayer)
	if err == nil && !ok {
		err = errors.New("it is no packet socket")
	}
	if err == nil {
		p.raw, err = p.SyscallConn()
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	p.at = unix.SockaddrLinklayer{Ifindex: at.Ifindex, Halen: at.Halen, Addr: at.Addr}
	return p, nil
}

// send sends a packet, from the header of IP on. One that is lost is sent for
// again.
func (p *packets) send(b []byte) {
	to := p.at
	to.Protocol = bigEndian(unix.ETH_P_IP)
	if b[0]>>4 == 6 {
		to.Protocol = bigEndian(unix.ETH_P_IPV6)
	}
	_ = p.raw.Control(func(fd uintptr) { _ = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &to) })
}

// serve sees to openings until the socket is closed.
func (g *gate) serve() {
	defer g.e.forget(g.tap)
	defer g.tap.Close()
	b := make([]byte, maxOpening)
	for {
		var n int
		var err error
		if e := g.tap.raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			return err != unix.EAGAIN
		}); e != nil {
			return // closed
		}
		if err != nil {
			if g.e.ctx.Err() != nil || !g.e.pause(10*time.Millisecond) { // ENETDOWN, for one
				return
			}
			continue
		}
		if s, ok := parseSYN(b[:n]); ok {
			s.raw = append([]byte(nil), s.raw...)
			g.opening(s)
		}
	}
}

// opening decides on one packet. What would be refused goes on to the listener,
// where it is refused and told of.
func (g *gate) opening(s segment) {
	again, full := g.e.held.again(s.flow)
	switch {
	case again == inside:
		g.back.send(s.again())
		return
	case again == outside || full: // it will be answered, or asks once more
		return
	}
	if g.e.admitted() != nil {
		return
	}
	h := &hold{}
	var ok bool
	if h.call, h.gs, h.around, ok = g.e.foreseen(s.to); !ok {
		g.back.send(s.again())
		return
	}
	g.e.held.add(s.flow, h)
	g.e.goes(func() { g.connect(s, h) })
}

// connect makes the connection outside, and lets the program know how that ended.
func (g *gate) connect(s segment, h *hold) {
	conn, err := g.e.connect(h.call)
	if err != nil {
		g.e.held.take(s.flow)
		g.e.failed(h.call, err)
		var errno syscall.Errno
		if errors.Is(err, context.DeadlineExceeded) {
			errno = unix.ETIMEDOUT
		} else {
			errors.As(err, &errno)
		}
		if b := s.refusal(errno); b != nil {
			g.tap.send(b)
		}
		return
	}
	if !g.e.keep(conn) {
		return
	}
	g.e.held.made(s.flow, conn, func() {
		g.e.forget(conn)
		abort(conn)
	})
	g.back.send(s.again())
}

// foreseen is the connection that a program would get at an address, judged by
// the address alone.
func (e *Egress) foreseen(to netip.AddrPort) (call, []grant, surroundings, bool) {
	if to.Addr().IsLoopback() {
		rule, ok := e.rules.local[to.Port()]
		return e.localCall(to, rule), nil, surroundings{}, ok
	}
	gs, around, bad := e.granted(to)
	if bad != nil {
		return call{}, nil, surroundings{}, false
	}
	return e.call(gs[0], to, around), gs, around, true
}

// hold is a connection that waits at a gate.
type hold struct {
	call   call
	gs     []grant
	around surroundings
	conn   stream // the one outside, when it is made
	end    *time.Timer
}

// use hands over the connection outside, if it is one that g allows.
func (h *hold) use(g grant, dst netip.AddrPort) stream {
	if h == nil || h.conn == nil {
		return nil
	}
	if g != h.call.grant && g.name != h.call.grant.name && remote(h.conn, "") != dst.String() {
		return nil // to another address of another name
	}
	conn := h.conn
	h.conn = nil
	return conn
}

// close closes what nobody used.
func (h *hold) close(e *Egress) {
	if h != nil && h.conn != nil {
		e.forget(h.conn)
		abort(h.conn)
	}
}

// waiting are the connections that wait. Its methods may be called from any goroutine.
type waiting struct {
	mu sync.Mutex
	of map[flow]*hold
}

// waits says where a connection waits.
type waits int

const (
	nowhere waits = iota
	outside       // for the host
	inside        // for the program to take it up
)

// again says where a connection waits whose opening came, and whether there is
// room for one more.
func (hs *waiting) again(f flow) (is waits, full bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of[f]
	switch {
	case h == nil:
		return nowhere, len(hs.of) >= maxHeld
	case h.conn == nil:
		return outside, false
	}
	return inside, false
}

func (hs *waiting) add(f flow, h *hold) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.of[f] = h
}

// made notes that the connection outside is there. Unless it is taken in time, it
// ends.
func (hs *waiting) made(f flow, conn stream, end func()) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of[f]
	h.conn = conn
	h.end = time.AfterFunc(heldLife, func() {
		hs.mu.Lock()
		mine := hs.of[f] == h
		if mine {
			delete(hs.of, f)
		}
		hs.mu.Unlock()
		if mine {
			end()
		}
	})
}

// take takes a connection out, or returns nil for one that never waited.
func (hs *waiting) take(f flow) *hold {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of[f]
	if h == nil {
		return nil
	}
	delete(hs.of, f)
	if h.end != nil {
		h.end.Stop()
	}
	return h
}

// flowOf is the connection as the gate saw it.
func flowOf(in stream) flow {
	a, ok := in.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return flow{}
	}
	from := a.AddrPort()
	return flow{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), destination(in)}
}
