package child

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// outlive has pid 1 outlive every signal of a server. The kernel drops those that pid 1
// has no handler for (pid_namespaces(7)); Go has one for each, which ends the process
// unless somebody asked to be notified. An execve brings the kernel's own way back.
func outlive() { signal.Notify(make(chan os.Signal, 1)) }

// blockSignals has signals wait until the Go program that this thread executes calls
// outlive. The Go runtime takes those that wait only then; it unblocks SIGSEGV and its
// like by itself, which have a window of the runtime's start. SIGURG, by which the
// runtime interrupts its own threads, is never waited for.
func blockSignals() error {
	var set unix.Sigset_t
	for i := range set.Val {
		set.Val[i] = ^uint64(0)
	}
	set.Val[0] &^= 1 << (unix.SIGURG - 1)
	return os.NewSyscallError("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_SETMASK, &set, nil))
}
