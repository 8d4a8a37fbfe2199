package await

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Epoll is epoll_wait(2) without a time limit. After a signal it returns no event.
func (w *Waiter) Epoll(fd int, events []unix.EpollEvent) (int, error) {
	n, err := w.call(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0))
	if err != nil {
		return 0, os.NewSyscallError("epoll_pwait", err)
	}
	return n, nil
}

// Poll is poll(2) without a time limit. After a signal it returns no event.
func (w *Waiter) Poll(fds []unix.PollFd) (int, error) {
	n, err := w.call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), 0, 0)
	if err != nil {
		return 0, os.NewSyscallError("ppoll", err)
	}
	return n, nil
}
