package seccomp

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// LoadAll puts every thread of this process under the filter, for good, and so
// every thread that there will be. All of them must have no_new_privs. A thread
// for which it fails when it succeeded on another ends the process (libpsx).
func LoadAll(f Filter) error {
	if err := f.loadable(); err != nil {
		return err
	}
	insns := f.insns()
	prog := &unix.SockFprog{Len: uint16(len(insns)), Filter: &insns[0]}
	var pin runtime.Pinner
	pin.Pin(prog)
	pin.Pin(&insns[0])
	defer pin.Unpin()
	if _, _, errno := psx.Syscall3(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(prog))); errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// loadable is an error where the filter cannot be loaded without a listener.
func (f Filter) loadable() error {
	if err := f.check(); err != nil {
		return err
	}
	if f.listens {
		return fmt.Errorf("internal error: a seccomp filter with a listener loaded without one")
	}
	if f.arch != runtime.GOARCH {
		return fmt.Errorf("internal error: a seccomp filter for %s on %s", f.arch, runtime.GOARCH)
	}
	return nil
}
