package egress

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/listeners"
)

// ports are the ports that accept connections to foreign addresses, and the unused
// sockets for more. A socket stays in the network namespace in which it was made. So
// the launcher, which is in another namespace, can choose its port once it knows which
// one the program wants. Any goroutine may call its methods.
type ports struct {
	mu     sync.Mutex
	spares []listeners.Handle
	open   map[uint16]bool
	closed bool
}

func newPorts() *ports { return &ports{open: map[uint16]bool{}} }

// spare keeps a socket for later. It takes over the handle's file through a descriptor
// of its own.
func (p *ports) spare(h listeners.Handle) error {
	f, err := copied(h)
	if err != nil {
		return err
	}
	h.File = f
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spares = append(p.spares, h)
	return nil
}

// copied returns the handle's file through a descriptor of its own. Calls on it do not
// block, and Go's poller does not watch it.
func copied(h listeners.Handle) (*os.File, error) {
	var fd int
	err := descriptor.Of(h.File, func(have int) (err error) {
		fd, err = unix.FcntlInt(uintptr(have), unix.F_DUPFD_CLOEXEC, 3)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, err
	}
	err = unix.SetNonblock(fd, false) // os.NewFile leaves a blocking descriptor out of the poller
	f := os.NewFile(uintptr(fd), string(h.Kind))
	if err = errors.Join(err, unix.SetNonblock(fd, true)); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	return f, nil
}

func (p *ports) opened(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[port] = true
}

func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	listeners.Close(p.spares)
	p.spares = nil
}

// take returns a spare for a port, or none if the port is open or no spare is left.
func (p *ports) take(port uint16) (listeners.Handle, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.open[port] || port == 0 || len(p.spares) == 0 {
		return listeners.Handle{}, false
	}
	h := p.spares[0]
	p.spares = p.spares[1:]
	p.open[port] = true
	return h, true
}

// Open makes the egress accept connections to a port, if a spare socket is left. Once
// it returns, it does. It is for the egress of a World; any other has no spares.
func (e *Egress) Open(port uint16) error {
	h, ok := e.ports.take(port)
	if !ok {
		return nil
	}
	defer h.File.Close()
	err := descriptor.Of(h.File, func(fd int) error {
		six, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		var at unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
		if six == unix.AF_INET6 {
			at = &unix.SockaddrInet6{Port: int(port)}
		}
		if err := unix.Bind(fd, at); err != nil {
			return os.NewSyscallError("bind", err)
		}
		return os.NewSyscallError("listen", unix.Listen(fd, unix.SOMAXCONN))
	})
	if err != nil {
		return fmt.Errorf("cannot take connections to port %d: %w", port, err)
	}
	l, err := net.FileListener(h.File)
	if err != nil {
		return fmt.Errorf("cannot take connections to port %d: %w", port, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		l.Close()
		return errors.New("the sandbox is gone")
	}
	e.open[l] = struct{}{}
	e.goes(func() { e.accept(l, e.out, h.Gated) })
	return nil
}
