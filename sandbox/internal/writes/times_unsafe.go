package writes

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setTimes sets the times of an O_PATH descriptor's target, even if that is a symlink;
// nil means the current time. The path is empty and not NULL: with NULL the call
// refuses an O_PATH descriptor.
func setTimes(fd int, times *[2]unix.Timespec) error {
	empty := [1]byte{}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(times)), unix.AT_EMPTY_PATH, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
