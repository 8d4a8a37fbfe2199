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

// The names under which the stages are executed. They are not names that a
// person would type.
const (
	Pid1Name = "mcpen-pid1"
	execName = "mcpen-exec"
)

// Hook runs a stage and does not return, if this process is one; otherwise it
// returns at once. It has to be the first thing that main does.
func Hook() {
	if len(os.Args) == 2 && os.Args[1] == "init" && os.Getenv("_LIBCONTAINER_INITPIPE") != "" {
		runtime.LockOSThread()
		libcontainer.Init() // does not return
	}
	if len(os.Args) != 2 {
		return
	}
	switch os.Args[1] {
	case Pid1Name, execName:
		debug.SetGCPercent(-1) // nothing here lives long enough, until Shrink
	}
	switch os.Args[1] {
	case Pid1Name:
		// PR_SET_PDEATHSIG, Landlock and seccomp are of the thread.
		runtime.LockOSThread()
		os.Exit(pid1())
	case execName:
		runtime.LockOSThread()
		os.Exit(execute())
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

// failure is an error as a message.
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
