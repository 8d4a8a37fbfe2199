package child

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/opencontainers/runc/libcontainer"
	// Joins the namespaces in a C constructor, before the Go runtime starts.
	_ "github.com/opencontainers/runc/libcontainer/nsenter"
	"golang.org/x/sys/unix"
)

// Pid1Name is the argv of pid 1. A person would not type it.
const Pid1Name = "mcpen-pid1"

// PR_SET_PDEATHSIG depends on the parent's thread, and so does the fate of a process's
// children at its execve. So a stage does all its work on the process's first thread.
func init() {
	if len(os.Args) == 2 && os.Args[1] == Pid1Name {
		runtime.LockOSThread()
	}
}

// Hook runs a stage and does not return, if this process is one; otherwise it returns
// at once. It must be the first call of main.
func Hook() {
	if len(os.Args) == 2 && os.Args[1] == "init" && os.Getenv("_LIBCONTAINER_INITPIPE") != "" {
		runtime.LockOSThread()
		// libcontainer sets a death signal, but its first stage clears it by forking
		// the next one. A stage that waits for its launcher would then wait for ever if
		// the launcher was killed. libcontainer restores this one when it changes
		// credentials.
		if prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)) != nil {
			os.Exit(1) // the launcher sees that it is gone
		}
		libcontainer.Init() // does not return
	}
	if len(os.Args) == 2 && os.Args[0] == mediatorName {
		os.Exit(mediate(os.Args[1]))
	}
	if len(os.Args) == 2 && os.Args[1] == Pid1Name {
		debug.SetGCPercent(-1) // nothing here lives long enough to collect, until Shrink
		os.Exit(pid1())
	}
}

// stepError is an error with the step that failed.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return fmt.Sprintf("cannot %s: %v", e.step, e.err) }
func (e *stepError) Unwrap() error { return e.err }

// step wraps an error, if there is one.
func step(name string, err error) error {
	if err == nil {
		return nil
	}
	return &stepError{name, err}
}

// failure converts an error to a message.
func failure(err error) Message {
	m := Message{Kind: Failed, Error: err.Error()}
	var s *stepError
	if errors.As(err, &s) {
		m.Step, m.Error = s.step, s.err.Error()
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		m.Errno = int(errno)
	}
	return m
}

// prctl wraps the one system call of which this package uses many options.
func prctl(option int, arg uintptr) error {
	return os.NewSyscallError("prctl", unix.Prctl(option, arg, 0, 0, 0))
}
