package launch

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dieBy ends this process by a signal, so that its parent sees how the server ended. It
// first removes the Go runtime's handlers, and disables the core dump, which would show
// the wrong program.
func dieBy(sig syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // if it fails, there is a core file at worst
	var def struct {
		handler  uintptr
		flags    uint64
		restorer uintptr
		mask     uint64
	}
	unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&def)), 0, 8, 0, 0)
	_ = unix.Kill(unix.Getpid(), sig)
	// Another thread may receive it.
	time.Sleep(time.Second)
}
