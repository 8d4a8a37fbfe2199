package relay

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// FD reads and writes a descriptor that somebody else may share: a pipe, a
// socket, a file, a terminal, /dev/null. It never touches the descriptor's
// flags. O_NONBLOCK belongs to the open file description, so setting it here
// would set it for the client, too (fcntl(2)), and one that the client set is
// met by waiting.
//
// Each call waits in poll(2) and is therefore ended by Close. Reads and writes
// may run at once with each other and with Close.
type FD struct {
	fd    int
	owned bool
	sock  bool
	wake  int // an eventfd that Close makes readable

	mu     sync.Mutex
	calls  int
	closed bool
}

// Borrow returns an FD whose Close leaves fd open: for stdin, stdout, stderr.
func Borrow(fd int) (*FD, error) { return newFD(fd, false) }

// Own returns an FD whose Close closes fd.
func Own(fd int) (*FD, error) { return newFD(fd, true) }

func newFD(fd int, owned bool) (*FD, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	_, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return &FD{fd: fd, owned: owned, sock: err == nil, wake: wake}, nil
}

// Read reads what is there, at least one byte. A descriptor that is not open
// gives io.EOF, for a client that starts a program with a closed stdin means
// just that; so does a peer that reset the connection.
func (f *FD) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !f.enter() {
		return 0, os.ErrClosed
	}
	defer f.leave()
	for {
		if err := f.wait(unix.POLLIN); err != nil {
			return 0, err
		}
		switch n, err := unix.Read(f.fd, p); {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err == unix.EBADF || err == unix.ECONNRESET, err == nil && n == 0:
			return 0, io.EOF
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		default:
			return n, nil
		}
	}
}

// Write writes all of p or returns how much of it was written and why not more.
// It returns an error that is unix.EPIPE where nobody reads any more; no
// SIGPIPE reaches the program's default action, for the Go runtime handles it.
func (f *FD) Write(p []byte) (int, error) {
	if !f.enter() {
		return 0, os.ErrClosed
	}
	defer f.leave()
	done := 0
	for done < len(p) {
		if err := f.wait(unix.POLLOUT); err != nil {
			return done, err
		}
		n, err := f.writeSome(p[done:])
		if err != nil && err != unix.EINTR && err != unix.EAGAIN {
			return done, os.NewSyscallError("write", err)
		}
		done += max(n, 0)
	}
	return done, nil
}

// writeSome writes what can be written without blocking. A socket can be told
// so for one call; a pipe that poll(2) calls writable takes PIPE_BUF bytes
// (pipe(7)), and this many do no harm elsewhere.
func (f *FD) writeSome(p []byte) (int, error) {
	if f.sock {
		return unix.SendmsgN(f.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	return unix.Write(f.fd, p[:min(len(p), pipeBuf)])
}

const pipeBuf = 4096 // PIPE_BUF of linux/limits.h

// wait returns when the descriptor is ready or will report why it never is.
func (f *FD) wait(events int16) error {
	fds := [...]unix.PollFd{{Fd: int32(f.fd), Events: events}, {Fd: int32(f.wake), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds[:], -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case fds[1].Revents != 0:
			return os.ErrClosed
		default:
			return nil
		}
	}
}

// Close ends calls that wait and makes later ones fail with os.ErrClosed. It
// does not wait for them; the last one closes what is to be closed.
func (f *FD) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if f.calls > 0 {
		_, err := unix.Write(f.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		return os.NewSyscallError("write", err)
	}
	return f.release()
}

func (f *FD) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.calls++
	return true
}

func (f *FD) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls--; f.calls == 0 && f.closed {
		_ = f.release() // an error would be EBADF or EIO of something nobody uses any more
	}
}

func (f *FD) release() error {
	err := unix.Close(f.wake)
	if f.owned {
		err = unix.Close(f.fd)
	}
	return os.NewSyscallError("close", err)
}
