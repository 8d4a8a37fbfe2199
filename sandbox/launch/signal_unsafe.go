package launch

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dieBy ends this process by a signal, so that whoever waits for it sees what
// happened to the server. The Go runtime's handlers are put aside first, and no
// core is dumped: it would be of the wrong program.
func dieBy(sig syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // at worst there is a core file
	var def struct {
		handler  uintptr
		flags    uint64
		restorer uintptr
		mask     uint64
	}
	unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&def)), 0, 8, 0, 0)
	_ = unix.Kill(unix.Getpid(), sig)
	// Another thread may be the one that takes it.
	time.Sleep(time.Second)
}
