package child

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// outlive makes pid 1 survive every signal from a server. The kernel drops a signal for
// which pid 1 has no handler (pid_namespaces(7)), but Go has a handler for each, which
// ends the process unless a channel is notified. An execve removes Go's handlers.
func outlive() { signal.Notify(make(chan os.Signal, 1)) }

// blockSignals delays signals until the Go program that this thread executes calls
// outlive; only then does the Go runtime unblock them. The exceptions are SIGSEGV and
// its like, which the runtime unblocks itself, so that they have a window while it
// starts, and SIGURG, with which the runtime interrupts its own threads.
func blockSignals() error {
	var set unix.Sigset_t
	for i := range set.Val {
		set.Val[i] = ^uint64(0)
	}
	set.Val[0] &^= 1 << (unix.SIGURG - 1)
	return os.NewSyscallError("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_SETMASK, &set, nil))
}
