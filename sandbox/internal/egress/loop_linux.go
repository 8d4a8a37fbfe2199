package egress

import (
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// loop waits for gates, for listeners and for young connections. One goroutine does,
// in epoll_wait(2) itself and not in Go's poller: what most connections cost was the
// waking of a thread for each of their steps. What it calls must not wait for
// anybody. Its methods may be called from any goroutine.
type loop struct {
	e    *Egress
	ep   int // an epoll instance (epoll(7))
	bell int // an eventfd that ends the loop (eventfd(2))

	mu   sync.Mutex
	of   map[int]func(events uint32) // by descriptor
	kept []io.Closer                 // closed at the end
	runs bool                        // somebody waits
	over bool                        // nobody waits any more, and the descriptors are closed
}

// newLoop makes a loop, which runs from the first file that is opened. The caller
// closes it.
func newLoop(e *Egress) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
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

// Close has serve return, which closes what was kept.
func (l *loop) Close() error {
	l.mu.Lock()
	over, runs := l.over, l.runs
	if !over && runs {
		_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	l.mu.Unlock()
	if !over && !runs {
		l.end()
	}
	return nil
}

// end closes what was kept, and what is the loop's own.
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

// serve calls what was added until the loop is closed.
func (l *loop) serve() {
	defer l.end()
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(l.ep, events[:], -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, ev := range events[:max(n, 0)] {
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

// add has f called on the loop when one of the events is there (epoll_ctl(2)). It
// returns false where nobody waits for it. The descriptor is the caller's, who calls
// drop before it is closed.
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

// drop takes out what was added. The kernel forgets a descriptor with its last copy.
func (l *loop) drop(fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fd := range fds {
		delete(l.of, fd)
	}
}

// leave has the kernel forget descriptors whose copies live on.
func (l *loop) leave(fds ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fd := range fds {
		if !l.over {
			_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
		}
	}
}

// ear is a descriptor that the loop hears one thing after the other by, until there
// is no more: hear returns false then. Where the next thing would have the loop wait,
// the ear rests. The loop alone calls its methods.
type ear struct {
	l  *loop
	fd int
}

// earful is how many things one ear is heard for before others have their turn.
const earful = 64

// keep has c closed behind the last call of what was added.
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

// open begins to hear by a file.
func (l *loop) open(f *os.File, hear func(*ear) bool) error {
	l.mu.Lock()
	if !l.runs && !l.over {
		l.runs = true
		l.e.goes(l.serve)
	}
	l.mu.Unlock()
	return onFile(f, func(fd int) error {
		a := &ear{l: l, fd: fd}
		if !l.add(fd, unix.EPOLLIN, func(uint32) {
			for n := 0; n < earful && hear(a); n++ {
			}
		}) {
			return net.ErrClosed
		}
		return nil
	})
}

// rest hears nothing until f returns, which runs on a goroutine of its own. It
// returns false, for hear.
func (a *ear) rest(f func()) bool {
	a.l.leave(a.fd)
	a.l.e.goes(func() {
		f()
		a.l.mu.Lock()
		defer a.l.mu.Unlock()
		if !a.l.over && a.l.of[a.fd] != nil {
			_ = a.l.watch(a.fd, unix.EPOLLIN) // a descriptor that is closed has nothing to say
		}
	})
	return false
}
