package egress

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/await"
	"mcpen/sandbox/internal/descriptor"
)

// loop waits for gates, listeners and young connections. One goroutine waits in
// epoll_wait(2), without Go's poller: most of the cost of a connection was to wake a
// thread for each of its steps. The functions that the loop calls must not block. Any
// goroutine may call its methods.
type loop struct {
	e    *Egress
	ep   int // an epoll instance (epoll(7))
	bell int // an eventfd that ends the loop (eventfd(2))

	mu   sync.Mutex
	of   map[int]func(events uint32) // the functions to call, by descriptor
	kept []io.Closer                 // closed at the end
	runs bool                        // serve was started
	over bool                        // serve has ended, and the descriptors are closed
}

// newLoop makes a loop, which starts with the first open. The caller must close it.
func newLoop(e *Egress) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(ep)
		return nil, os.NewSyscallError("eventfd2", err)
	}
	l := &loop{e: e, ep: ep, bell: bell, of: map[int]func(uint32){}}
	if err := l.watch(bell, unix.EPOLLIN); err != nil {
		l.Close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return l, nil
}

// Close ends serve, which closes the kept closers.
func (l *loop) Close() error {
	l.mu.Lock()
	runs := l.runs
	if runs && !l.over {
		_, _ = unix.Write(l.bell, binary.NativeEndian.AppendUint64(nil, 1))
	}
	l.mu.Unlock()
	if !runs {
		l.end()
	}
	return nil
}

// end closes the kept closers and the loop's own descriptors.
func (l *loop) end() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	l.over = true
	kept := l.kept
	l.mu.Unlock()
	for _, c := range kept {
		c.Close()
	}
	unix.Close(l.ep)
	unix.Close(l.bell)
}

// serve calls the added functions until the loop is closed.
func (l *loop) serve() {
	defer l.end()
	var wait await.Waiter
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := wait.Epoll(l.ep, events)
		if err != nil {
			return
		}
		for _, ev := range events[:n] {
			if int(ev.Fd) == l.bell {
				return
			}
			l.mu.Lock()
			f := l.of[int(ev.Fd)]
			l.mu.Unlock()
			if f != nil {
				f(ev.Events)
			}
		}
	}
}

// add makes the loop call f at one of the events (epoll_ctl(2)). It returns false if
// the loop cannot wait for them. The descriptor still belongs to the caller, which must
// call drop before it closes the descriptor.
func (l *loop) add(fd int, events uint32, f func(events uint32)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.watch(fd, events) != nil {
		return false
	}
	l.of[fd] = f
	return true
}

func (l *loop) watch(fd int, events uint32) error {
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// drop removes the functions of descriptors. The kernel forgets a descriptor when its
// last copy is closed.
func (l *loop) drop(fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fd := range fds {
		delete(l.of, fd)
	}
}

// leave makes the kernel forget descriptors that have other copies.
func (l *loop) leave(fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fd := range fds {
		if !l.over {
			_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
		}
	}
}

// ear is a descriptor from which the loop takes one item after another. Where an item
// would make the loop wait, the ear rests. Only the loop may call its methods.
type ear struct {
	l  *loop
	fd int
}

// keep makes the loop close c after its last call of a function. It returns false, and
// closes c, if the loop has ended.
func (l *loop) keep(c io.Closer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		c.Close()
		return false
	}
	l.kept = append(l.kept, c)
	return true
}

// open adds an ear for a file, and starts the loop if necessary. hear takes one item, if
// there is one, and must not block.
func (l *loop) open(f *os.File, hear func(*ear)) error {
	l.mu.Lock()
	if !l.runs && !l.over {
		l.runs = true
		l.e.goes(l.serve)
	}
	l.mu.Unlock()
	return descriptor.Of(f, func(fd int) error {
		a := &ear{l: l, fd: fd}
		if !l.add(fd, unix.EPOLLIN, func(uint32) { hear(a) }) {
			return net.ErrClosed
		}
		return nil
	})
}

// rest stops the ear until f returns. f runs on a new goroutine.
func (a *ear) rest(f func()) {
	a.l.leave(a.fd)
	a.l.e.goes(func() {
		f()
		a.l.mu.Lock()
		defer a.l.mu.Unlock()
		if !a.l.over {
			_ = a.l.watch(a.fd, unix.EPOLLIN)
		}
	})
}
