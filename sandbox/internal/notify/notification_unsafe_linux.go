package notify

import (
	"syscall"
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

// receive takes the next notification; the kernel demands a zeroed struct. A signal may
// end it by EINTR: the caller then waits again.
func receive(fd int) (notification, error) {
	var n notification
	_, errno := notifyIoctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
	if errno != 0 {
		return n, errno
	}
	return n, nil
}

func respond(fd int, r response) error {
	_, err := uninterrupted(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
	return err
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
	return uninterrupted(fd, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
}

// valid reports whether the notifying thread still waits, and so whether the data read
// from /proc by its id was its own.
func valid(fd int, id uint64) bool {
	_, err := uninterrupted(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
	return err == nil
}

// syncWakeUp makes an answer twice as fast if the kernel supports it (6.6).
func syncWakeUp(fd int) {
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}

// uninterrupted makes a request again for as long as a signal interrupts it. The kernel
// waits for the filter's lock and does not make the request again by itself: it has
// done nothing yet (kernel/seccomp.c, mutex_lock_interruptible).
func uninterrupted(fd int, request uintptr, arg unsafe.Pointer) (int, error) {
	for {
		n, errno := notifyIoctl(fd, request, arg)
		switch errno {
		case 0:
			return n, nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

func notifyIoctl(fd int, request uintptr, arg unsafe.Pointer) (int, syscall.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return int(n), errno
}
