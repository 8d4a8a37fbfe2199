package writes

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// connectTo is connect(2) with the bytes of an address.
func connectTo(socket int, addr []byte) error {
	var p unsafe.Pointer
	if len(addr) > 0 {
		p = unsafe.Pointer(&addr[0])
	}
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(socket), uintptr(p), uintptr(len(addr))); errno != 0 {
		return errno
	}
	return nil
}
