package seccomp

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// LoadAll puts every thread of this process under the filter, for good, and so every
// thread that there will be. No thread has a filter that this one has not, and this
// one has no_new_privs.
func LoadAll(f Filter) error {
	if err := f.loadable(); err != nil {
		return err
	}
	_, err := install(f, unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
	return err
}

// Seal takes from every thread but the eye what only the eye needs, and from all of
// them what confines them further. It is the last step, behind LoadAll.
func Seal() error {
	f, err := forRest(runtime.GOARCH)
	if err != nil {
		return err
	}
	if err := f.loadable(); err != nil {
		return err
	}
	insns := f.insns()
	prog := &unix.SockFprog{Len: uint16(len(insns)), Filter: &insns[0]}
	var pin runtime.Pinner
	pin.Pin(prog)
	pin.Pin(&insns[0])
	defer pin.Unpin()
	// Where it fails on a thread when it succeeded on another the process is killed.
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
