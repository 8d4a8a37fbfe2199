package stage

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queue makes a POSIX message queue with the kernel's defaults.
func queue(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)),
		unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("mq_open", errno)
	}
	return unix.Close(int(fd))
}

// unqueue removes it.
func unqueue(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0); errno != 0 {
		return os.NewSyscallError("mq_unlink", errno)
	}
	return nil
}
