package writes

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setTimes sets the times of what a descriptor of O_PATH leads to, a symlink
// included; nil stands for now. The path is empty and not absent: an absent one
// takes no descriptor of O_PATH.
func setTimes(fd int, times *[2]unix.Timespec) error {
	empty := [1]byte{}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(times)), unix.AT_EMPTY_PATH, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
