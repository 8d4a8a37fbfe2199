package stage

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mqAttr is struct mq_attr (mq_getattr(3)).
type mqAttr struct{ flags, maxmsg, msgsize, curmsgs, _, _, _, _ int64 }

// queue makes a POSIX message queue for one short message. A user's queues are bounded
// in bytes (RLIMIT_MSGQUEUE, getrlimit(2)): ten of the kernel's default size, left
// behind by killed runs, would use up the limit.
func queue(name string) error {
	attr := mqAttr{maxmsg: 1, msgsize: 16}
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)),
		unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600, uintptr(unsafe.Pointer(&attr)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("mq_open", errno)
	}
	return unix.Close(int(fd))
}

// unqueue removes the queue. If the queue is gone already, that is no error: a person
// who cleans up after killed runs does not know which of them left it. Whether a
// sandbox can reach the queue is the question of another attack.
func unqueue(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0); errno != 0 && errno != unix.ENOENT {
		return os.NewSyscallError("mq_unlink", errno)
	}
	return nil
}
