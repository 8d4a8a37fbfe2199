package seccomp

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// LoadAll irrevocably loads the filter on every thread of this process, and so on every
// later thread. No thread may have a filter that the calling thread lacks, and the
// calling thread must have no_new_privs.
func LoadAll(f Filter) error {
	if err := f.loadable(); err != nil {
		return err
	}
	_, err := install(f, unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
	return err
}

// Seal denies the eye's calls to every thread but the eye, and further confinement to
// all of them. It is the last step, after LoadAll.
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
	// If the call fails on a thread after it succeeded on another, psx kills the
	// process.
	if _, _, errno := psx.Syscall3(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(prog))); errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// loadable returns an error if the filter cannot be loaded without a listener.
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
