package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait is epoll_wait(2) without Go's monitor, which would look after a thread that
// waits so: in the relay nothing else runs.
func epollWait(ep int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
