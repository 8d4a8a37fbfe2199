package child

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// dropAll empties the permitted, effective, inheritable and ambient sets of every
// thread of this process. capset(2) affects one thread, and a bug could use a thread
// that kept its set. A capability that leaves the inheritable set also leaves the
// ambient one (capabilities(7)).
func dropAll() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if _, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&none[0])), 0); errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}
