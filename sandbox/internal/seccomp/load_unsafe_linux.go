package seccomp

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Load irrevocably loads the filter on the calling thread; children and the executed
// program inherit it. The caller must have locked its goroutine to the thread and set
// no_new_privs, and must execute next: other threads keep their filters. Load refuses a
// filter that needs a listener: without one the kernel would answer ENOSYS to every
// notifying call.
func Load(f Filter) error {
	if f.listens {
		return fmt.Errorf("internal error: a seccomp filter with a listener loaded without one")
	}
	_, err := install(f, 0)
	return err
}

// install is seccomp(2) with SECCOMP_SET_MODE_FILTER.
func install(f Filter, flags uintptr) (int, error) {
	if err := f.check(); err != nil {
		return -1, err
	}
	if f.arch != runtime.GOARCH {
		return -1, fmt.Errorf("internal error: a seccomp filter for %s on %s", f.arch, runtime.GOARCH)
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return -1, os.NewSyscallError("prctl", err)
	}
	if set != 1 { // with CAP_SYS_ADMIN the kernel would not demand it
		return -1, fmt.Errorf("internal error: a seccomp filter without no-new-privileges")
	}
	insns := f.insns()
	prog := unix.SockFprog{Len: uint16(len(insns)), Filter: &insns[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(insns)
	if errno != 0 {
		return -1, os.NewSyscallError("seccomp", errno)
	}
	return int(fd), nil
}

// insns returns the filter as the kernel's structs.
func (f Filter) insns() []unix.SockFilter {
	insns := make([]unix.SockFilter, f.Len())
	for i := range insns {
		b := f.prog[i*size:]
		insns[i] = unix.SockFilter{
			Code: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3],
			K: binary.LittleEndian.Uint32(b[4:]),
		}
	}
	return insns
}
