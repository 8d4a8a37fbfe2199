package notify

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif. The thread id is that of the reader's pid
// namespace; the arguments are copies of registers and cannot change any more.
type notification struct {
	id    uint64
	tid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp. errno is negative here.
type response struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// receive takes the next notification; the kernel demands a zeroed struct.
func receive(fd int) (notification, error) {
	var n notification
	return n, notifyIoctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
}

func respond(fd int, r response) error {
	return notifyIoctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// addfd is struct seccomp_notif_addfd.
type addfd struct {
	id         uint64
	flags      uint32
	srcfd      uint32
	newfd      uint32
	newfdFlags uint32
}

// hand gives the waiting thread a copy of a descriptor and returns its number there.
func hand(fd int, id uint64, file int, flags uint32) (int, error) {
	a := addfd{id: id, srcfd: uint32(file), newfdFlags: flags}
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// valid reports whether the notifying thread still waits, and so whether the data read
// from /proc by its id was its own.
func valid(fd int, id uint64) bool {
	return notifyIoctl(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == nil
}

// syncWakeUp makes an answer twice as fast if the kernel supports it (6.6).
func syncWakeUp(fd int) {
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}

func notifyIoctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
