package egress

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loose is a connection outside that is a descriptor alone. Its methods may be
// called from any goroutine.
type loose struct {
	to string // the address that it is connected to
	mu sync.Mutex
	fd int // -1: it is closed, or somebody else's
}

// loosen makes a loose one of a connection of TCP that nothing lies over, and leaves
// any other as it is.
func loosen(conn stream) io.Closer {
	t, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return conn
	}
	one := loose{to: remote(t, "")}
	if err := control(raw, func(fd int) (err error) {
		one.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return err
	}); err != nil {
		return conn
	}
	t.Close()
	return &one
}

// Close ends it with a reset.
func (s *loose) Close() error {
	if fd := s.take(); fd >= 0 {
		reset(fd)
	}
	return nil
}

// take gives the descriptor away, or -1.
func (s *loose) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.fd
	s.fd = -1
	return fd
}

// connection is a connection of package net with a copy of the descriptor.
func (s *loose) connection() (stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return connection(s.fd)
}

// reset closes a connection so that its other side does not take the end for an
// orderly one.
func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// isQuick reports whether the connections to a listener can be young's: not where
// a rule wants to see TLS on all of them.
func (e *Egress) isQuick(h Handle) bool {
	return e.young != nil && h.Gated && (h.Kind == KindLocal || h.Kind == KindTCP && !e.rules.demand(h.Port))
}

// startQuick serves a listener on whose connections young begins. What it cannot
// begin with goes to handle.
func (e *Egress) startQuick(h Handle, handle func(stream)) error {
	f, err := copied(h)
	if err != nil {
		return err
	}
	if err := onFile(f, func(fd int) error { // what it accepts has the same
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}); err != nil {
		f.Close()
		return err
	}
	if h.Kind == KindTCP {
		e.ports.opened(h.Port)
	}
	if !e.loop.keep(f) {
		return net.ErrClosed
	}
	return e.loop.open(f, func(a *ear) bool { return e.acceptQuick(a, h, handle) })
}

// acceptQuick takes one connection of such a listener, and returns false if there is
// none.
func (e *Egress) acceptQuick(a *ear, h Handle, handle func(stream)) bool {
	fd, from, err := unix.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	switch {
	case err == unix.EAGAIN:
		return false
	case err == unix.EINTR || err == unix.ECONNABORTED:
		return true
	case err != nil:
		return a.rest(func() {
			if e.ctx.Err() == nil {
				e.trouble("accept", os.NewSyscallError("accept4", err)) // out of descriptors, most likely
			}
			e.pause(100 * time.Millisecond)
		})
	}
	take := func() {
		f := flow{from: addrPort(from)}
		if at, err := unix.Getsockname(fd); err == nil {
			f.to = addrPort(at)
		}
		if !e.begins(fd, f, h) {
			e.handles(fd, f, handle)
		}
	}
	select {
	case e.conns <- struct{}{}:
		take()
		return true
	default:
		return a.rest(func() {
			if !e.admit() {
				unix.Close(fd)
				return
			}
			take()
		})
	}
}

// begins has young begin with an accepted connection, if its end outside waits for
// it. What was admitted is its own then.
func (e *Egress) begins(fd int, f flow, h Handle) bool {
	dst := f.to
	if dst.Addr().IsLoopback() != (h.Kind == KindLocal) { // see Handle.Shared
		return false
	}
	held, one := e.held.takeLoose(f)
	if held == nil {
		return false
	}
	e.forget(one)
	p := &couple{
		at: one.to, c: held.call, gs: held.gs, dst: dst, began: e.cfg.Now(), made: time.Now(), in: fd, out: one.take(),
		peeks: !dst.Addr().IsLoopback() && looks(held.gs, dst.Port()) != unseen,
	}
	if p.out < 0 || !e.keep(p) || e.allowedAt(p.c, p.at) != nil {
		e.gone(p)
		return true
	}
	_ = unix.SetsockoptInt(p.out, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // slower without, and no more
	if !e.young.add(p) {
		e.gone(p)
	}
	return true
}

// gone ends a couple that was not begun.
func (e *Egress) gone(p *couple) {
	e.forget(p)
	_ = p.Close()
	<-e.conns
}

// handles is what accept does with a connection that was admitted.
func (e *Egress) handles(fd int, f flow, handle func(stream)) {
	in, err := connection(fd)
	unix.Close(fd)
	if err != nil || in.RemoteAddr() == nil { // it was reset already
		e.held.take(f).close(e)
		if err == nil {
			abort(in)
		}
		<-e.conns
		return
	}
	e.goes(func() {
		defer func() { <-e.conns }()
		if !e.keep(in) {
			return
		}
		defer e.forget(in)
		defer in.Close()
		handle(in)
	})
}

// addrPort is an address of a socket, or the zero one.
func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
