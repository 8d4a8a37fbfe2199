package host

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The operations of seccomp(2) that the package calls.
const (
	opSetModeFilter = 1
	opActionAvail   = 2
	opNotifSizes    = 3

	flagNewListener = 1 << 3
)

// actionAvail asks the kernel whether filters can return an action.
func actionAvail(action uint32) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, opActionAvail, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return errno
	}
	return nil
}

// notifSizes asks for the sizes of struct seccomp_notif and its kin. A kernel that
// answers can notify.
func notifSizes() error {
	var sizes [3]uint16
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, opNotifSizes, 0, uintptr(unsafe.Pointer(&sizes)))
	if errno != 0 {
		return errno
	}
	return nil
}

// setFilter installs a filter on the calling thread. It returns the listener where
// flags ask for one.
func setFilter(filter []unix.SockFilter, flags uintptr) (int, error) {
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, opSetModeFilter, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// restrict puts the calling thread into a Landlock domain that handles one access right
// and grants it nowhere.
func restrict() error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	if _, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
