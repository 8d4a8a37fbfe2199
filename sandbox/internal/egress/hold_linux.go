package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/interfaces"
	"mcpen/sandbox/internal/listeners"
)

// The most connections held at a gate at once, and the time for which a connection made
// outside waits for the program to accept it.
const (
	maxHeld  = 1024
	heldLife = 10 * time.Second
)

// tendHeld ends the connections that no program accepts.
func (e *Egress) tendHeld() {
	for e.pause(heldLife / 2) {
		for _, h := range e.held.late(time.Now()) {
			h.close(e)
		}
	}
}

// gate is the launcher's end of a gate. Any goroutine may call its methods.
type gate struct {
	e         *Egress
	tap, back *packets
}

// packets is a raw socket.
type packets struct {
	*os.File
	six bool
}

// newPackets takes over the handle's socket through a descriptor of its own.
func newPackets(h listeners.Handle) (*packets, error) {
	var family int
	err := descriptor.Of(h.File, func(have int) (err error) {
		family, err = unix.GetsockoptInt(have, unix.SOL_SOCKET, unix.SO_DOMAIN)
		return os.NewSyscallError("getsockopt", err)
	})
	if err != nil {
		return nil, err
	}
	f, err := copied(h)
	if err != nil {
		return nil, err
	}
	return &packets{f, family == unix.AF_INET6}, nil
}

// send sends a packet, from the IP header on. The peer retransmits if it is lost.
func (p *packets) send(b []byte) {
	var to unix.Sockaddr = &unix.SockaddrInet6{}
	if p.six {
		to.(*unix.SockaddrInet6).Addr = [16]byte(b[24:])
	} else {
		to = &unix.SockaddrInet4{Addr: [4]byte(b[16:])}
	}
	_ = descriptor.Of(p, func(fd int) error { return unix.Sendto(fd, b, unix.MSG_DONTWAIT, to) })
}

// receive returns an opening, from the IP header on, or EAGAIN. For IPv6 it builds the
// header from the kernel's ancillary data, as the kernel does not deliver it.
func (p *packets) receive(fd int, b, oob []byte) (packet []byte, err error) {
	const head = 40
	if !p.six {
		n, err := unix.Read(fd, b)
		return b[:max(n, 0)], err
	}
	n, on, _, from, err := syscall.Recvmsg(fd, b[head:], oob, unix.MSG_DONTWAIT)
	if err != nil {
		return nil, err
	}
	src, ok := from.(*syscall.SockaddrInet6)
	dst := pktinfo6(oob[:on])
	if !ok || !dst.IsValid() {
		return nil, nil
	}
	clear(b[:head])
	b[0], b[5], b[6], b[7] = 6<<4, byte(n), unix.IPPROTO_TCP, 64
	copy(b[8:], src.Addr[:])
	copy(b[24:], dst.AsSlice())
	return b[:head+n], nil
}

// pktinfo6 is the destination address of a packet (ipv6(7), IPV6_PKTINFO).
func pktinfo6(oob []byte) netip.Addr {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range msgs {
		if m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16 {
			return netip.AddrFrom16([16]byte(m.Data))
		}
	}
	return netip.Addr{}
}

// listen makes the loop receive openings.
func (g *gate) listen() error {
	b, oob := make([]byte, 40+listeners.MaxOpening), make([]byte, 64)
	return g.e.loop.open(g.tap.File, func(a *ear) {
		packet, err := g.tap.receive(a.fd, b, oob)
		if err == unix.EAGAIN {
			return
		}
		if err != nil {
			a.rest(func() { g.e.pause(10 * time.Millisecond) })
			return
		}
		s, ok := parseSYN(packet)
		if !ok || !g.isNew(s) {
			return
		}
		s.raw = append([]byte(nil), s.raw...)
		if g.e.rate.Allow() {
			g.opening(s)
			return
		}
		a.rest(func() {
			if g.e.admitted() == nil {
				g.opening(s)
			}
		})
	})
}

// isNew reports whether an opening still needs a connection outside. If the opening
// repeats one whose connection outside exists, isNew passes it on.
func (g *gate) isNew(s segment) bool {
	again, full := g.e.held.again(s.flow)
	if again == inside {
		g.back.send(s.again())
	}
	return again == nowhere && !full // an opening dropped here gets its answer later, or repeats
}

// opening decides on one packet. A connection to refuse goes on to the listener, which
// refuses and reports it.
func (g *gate) opening(s segment) {
	h := &hold{}
	var ok bool
	if h.call, h.gs, h.around, ok = g.e.foreseen(s.to); !ok {
		g.back.send(s.again())
		return
	}
	g.e.held.add(s.flow, h)
	if !g.atOnce(s, h) {
		g.e.goes(func() {
			conn, err := g.e.connect(h.call)
			g.ended(s, h, conn, err)
		})
	}
}

// atOnce begins a connection to a host with one address without a goroutine, and
// reports whether it did: a waiting goroutine costs more than the connection.
func (g *gate) atOnce(s segment, h *hold) bool {
	c := h.call
	if !g.e.plain || c.via.Via != "" || len(c.to) == 0 || len(c.to) > 1 && !c.to[0].Addr().IsLoopback() || !g.e.isYoung(h, s.to) {
		return false
	}
	select {
	case g.e.dials <- struct{}{}:
	default:
		return false
	}
	d, err := begin(c.to[0], c.check)
	if err != nil {
		<-g.e.dials
		return false // a goroutine tries again and reports
	}
	if !d.made && len(c.to) > 1 {
		unix.Close(d.fd)
		<-g.e.dials
		return false
	}
	out := &loose{fd: d.fd, to: c.to[0].String()}
	if d.made {
		<-g.e.dials
		g.arrived(s, h, out)
		return true
	}
	w := &dialling{g: g, s: s, h: h, d: d, out: out}
	w.await()
	return true
}

// dialling is a connection to a host that did not answer at once; the loop waits for
// it. Any goroutine may call its methods.
type dialling struct {
	g   *gate
	s   segment
	h   *hold
	d   dialled
	out *loose // whoever takes its descriptor handles the result
	end *time.Timer
	by  time.Time // the deadline, other addresses included
}

// await makes the loop wait for the host, up to the connect limit.
func (w *dialling) await() {
	e := w.g.e
	e.wg.Add(1)
	w.by = time.Now().Add(e.cfg.Limits.Connect)
	w.out.mu.Lock() // take waits
	w.end = time.AfterFunc(e.cfg.Limits.Connect, func() { w.failed(context.DeadlineExceeded) })
	w.out.mu.Unlock()
	if !e.keep(w) {
		return
	}
	if !e.loop.add(w.d.fd, unix.EPOLLOUT, func(uint32) { w.answered() }) {
		w.failed(net.ErrClosed)
	}
}

// answered handles the host's answer. The loop calls it.
func (w *dialling) answered() {
	err := w.d.connect()
	if err == unix.EALREADY {
		return
	}
	if err != nil {
		w.failed(os.NewSyscallError("connect", err))
		return
	}
	fd := w.take()
	if fd == -1 {
		return
	}
	w.g.e.loop.leave(fd) // another wait for the connection begins once the program connects
	w.done()
	w.g.arrived(w.s, w.h, &loose{fd: fd, to: w.out.to})
}

// failed makes a goroutine try the other addresses, if there are any.
func (w *dialling) failed(err error) {
	fd := w.take()
	if fd == -1 {
		return
	}
	unix.Close(fd)
	e := w.g.e
	e.goes(func() {
		ctx, cancel := context.WithDeadline(e.ctx, w.by)
		defer cancel()
		conn, err := e.orElsewhere(ctx, w.h.call)(nil, err)
		out, _ := conn.(stream)
		w.g.ended(w.s, w.h, out, err)
	})
	w.done()
}

// take ends the wait and gives the descriptor to its first caller. All others get -1.
func (w *dialling) take() int {
	fd := w.out.take()
	if fd != -1 {
		w.g.e.forget(w)
		w.g.e.loop.drop(fd)
	}
	return fd
}

// done releases everything that the wait held. Only the caller that took the descriptor
// calls it, once.
func (w *dialling) done() {
	w.end.Stop()
	<-w.g.e.dials
	w.g.e.wg.Done()
}

// Close abandons the connection.
func (w *dialling) Close() error {
	if fd := w.out.take(); fd != -1 {
		unix.Close(fd)
		w.done()
	}
	return nil
}

// ended tells the program how the connection outside ended.
func (g *gate) ended(s segment, h *hold, conn stream, err error) {
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
	if g.e.isYoung(h, s.to) {
		g.arrived(s, h, loosen(conn))
		return
	}
	g.arrived(s, h, conn)
}

// arrived lets the program's connection through, since the one outside is made.
func (g *gate) arrived(s segment, h *hold, conn io.Closer) {
	if !g.e.keep(conn) {
		return
	}
	if !g.e.held.made(s.flow, h, conn, time.Now()) { // the program connected without it
		g.e.forget(conn)
		abort(conn)
		return
	}
	g.back.send(s.again())
}

// isYoung reports whether young can begin the connection for h, provided that its end
// inside came through one of young's listeners.
func (e *Egress) isYoung(h *hold, to netip.AddrPort) bool {
	return e.young != nil && (to.Addr().IsLoopback() || looks(h.gs, to.Port()) != demanded)
}

// foreseen is the connection that a program would get at an address, judged by the
// address alone.
func (e *Egress) foreseen(to netip.AddrPort) (call, []grant, interfaces.Surroundings, bool) {
	if to.Addr().IsLoopback() {
		rule, ok := e.rules.local[to.Port()]
		return e.localCall(to, rule), nil, interfaces.Surroundings{}, ok
	}
	gs, around, bad := e.granted(to)
	if bad != nil {
		return call{}, nil, interfaces.Surroundings{}, false
	}
	return e.call(gs[0], to, around), gs, around, true
}

// hold is a connection that waits at a gate.
type hold struct {
	call   call
	gs     []grant
	around interfaces.Surroundings
	conn   io.Closer // the connection outside, a stream or a loose, once it is made
	at     time.Time // the time it was made
}

// whole converts the connection outside to a stream, if it is a loose.
func (h *hold) whole(e *Egress) {
	if h == nil {
		return
	}
	one, ok := h.conn.(*loose)
	if !ok {
		return
	}
	conn, err := one.connection()
	e.forget(one)
	unix.Close(one.take())
	if h.conn = nil; err == nil && e.keep(conn) {
		h.conn = conn
	}
}

// use returns the connection outside, if g allows it.
func (h *hold) use(g grant, dst netip.AddrPort) stream {
	if h == nil {
		return nil
	}
	conn, ok := h.conn.(stream)
	if !ok || g != h.call.grant && g.name != h.call.grant.name && remote(conn, "") != dst.String() {
		return nil // to another address of another name
	}
	h.conn = nil
	return conn
}

// close closes a connection that nobody used.
func (h *hold) close(e *Egress) {
	if h != nil && h.conn != nil {
		e.forget(h.conn)
		abort(h.conn)
	}
}

// waiting are the waiting connections. Any goroutine may call its methods.
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

// again reports where the connection of a repeated opening waits, and whether the store
// is full.
func (hs *waiting) again(f flow) (is waits, full bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of[f]
	switch {
	case h == nil:
		return nowhere, len(hs.of) >= maxHeld
	case h.at.IsZero():
		return outside, false
	}
	return inside, false
}

func (hs *waiting) add(f flow, h *hold) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.of[f] = h
}

// made records that the connection outside is made, and returns false if h no longer
// waits.
func (hs *waiting) made(f flow, h *hold, conn io.Closer, now time.Time) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.of[f] != h {
		return false
	}
	h.conn, h.at = conn, now
	return true
}

// late removes the connections that were not accepted in time. Scanning all of them now
// and then costs less than a timer for each.
func (hs *waiting) late(now time.Time) (out []*hold) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for f, h := range hs.of {
		if !h.at.IsZero() && now.Sub(h.at) >= heldLife {
			delete(hs.of, f)
			out = append(out, h)
		}
	}
	return out
}

// take removes and returns a connection, or returns nil for one that never waited.
func (hs *waiting) take(f flow) *hold {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of[f]
	delete(hs.of, f)
	return h
}

// takeLoose is take for a connection outside that is a loose.
func (hs *waiting) takeLoose(f flow) (*hold, *loose) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of[f]
	if h == nil {
		return nil, nil
	}
	one, ok := h.conn.(*loose)
	if !ok {
		return nil, nil
	}
	delete(hs.of, f)
	return h, one
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
