package egress

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/listeners"
)

// loose is a connection outside that is only a descriptor. Any goroutine may call its
// methods.
type loose struct {
	to string // the address of its peer
	mu sync.Mutex
	fd int // -1: it is closed, or belongs to somebody else
}

// loosen converts a plain TCP connection to a loose, and leaves any other as it is.
func loosen(conn stream) io.Closer {
	t, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	one := loose{to: remote(t, "")}
	if err := descriptor.Of(t, func(fd int) (err error) {
		one.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return err
	}); err != nil {
		return conn
	}
	t.Close()
	return &one
}

// Close ends the connection with a reset.
func (s *loose) Close() error {
	reset(s.take())
	return nil
}

// take gives up the descriptor, or returns -1.
func (s *loose) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.fd
	s.fd = -1
	return fd
}

// connection returns a connection of package net with a copy of the descriptor.
func (s *loose) connection() (stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return connection(s.fd)
}

// reset closes a connection with a reset, so that the other side does not take the end
// for an orderly one. It does nothing to -1.
func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// isQuick reports whether young may handle the connections to a listener: not if a rule
// demands TLS on all of them.
func (e *Egress) isQuick(h listeners.Handle) bool {
	return e.young != nil && h.Gated && (h.Kind == listeners.KindLocal || h.Kind == listeners.KindTCP && !e.rules.demand(h.Port))
}

// startQuick serves a listener for whose connections young begins. Connections that
// young cannot begin go to handle.
func (e *Egress) startQuick(h listeners.Handle, handle func(stream)) error {
	f, err := copied(h)
	if err != nil {
		return err
	}
	if err := descriptor.Of(f, func(fd int) error { // accepted sockets inherit the option
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}); err != nil {
		f.Close()
		return err
	}
	if !e.loop.keep(f) {
		return net.ErrClosed
	}
	return e.loop.open(f, func(a *ear) { e.acceptQuick(a, h, handle) })
}

// acceptQuick takes one connection of such a listener, if there is one.
func (e *Egress) acceptQuick(a *ear, h listeners.Handle, handle func(stream)) {
	fd, from, err := syscall.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR || err == unix.ECONNABORTED:
		return
	case err != nil:
		a.rest(func() {
			if e.ctx.Err() == nil {
				e.trouble("accept", os.NewSyscallError("accept4", err)) // out of descriptors, most likely
			}
			e.pause(100 * time.Millisecond)
		})
		return
	}
	take := func() {
		f := flow{from: addrPort(from)}
		if at, err := syscall.Getsockname(fd); err == nil {
			f.to = addrPort(at)
		}
		if !e.begins(fd, f, h) {
			e.handles(fd, f, handle)
		}
	}
	select {
	case e.conns <- struct{}{}:
		take()
	default:
		a.rest(func() {
			if !e.admit() {
				unix.Close(fd)
				return
			}
			take()
		})
	}
}

// begins makes young begin an accepted connection, if its end outside waits for it.
// young then owns the connection's slot.
func (e *Egress) begins(fd int, f flow, h listeners.Handle) bool {
	dst := f.to
	if dst.Addr().IsLoopback() != (h.Kind == listeners.KindLocal) { // see listeners.Handle.Shared
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
	if !e.keep(p) || e.allowedAt(p.c, p.at) != nil {
		e.gone(p)
		return true
	}
	_ = unix.SetsockoptInt(p.out, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // without it the connection is slower, and nothing worse
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

// handles does accept's work for an admitted connection.
func (e *Egress) handles(fd int, f flow, handle func(stream)) {
	in, err := connection(fd)
	unix.Close(fd)
	if err != nil || in.RemoteAddr() == nil { // it was already reset
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

// addrPort converts a socket's address; the zero AddrPort for other families. It comes
// from package syscall: package unix asks the kernel for the protocol of each address.
func addrPort(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
