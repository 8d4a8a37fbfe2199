package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
)

// The exit codes of mcpen itself. A server's own code passes through.
const (
	ExitUsage         = 2   // wrong usage, or a mistake in a profile
	ExitRefused       = 3   // refused by policy
	ExitSandbox       = 125 // the sandbox could not be built
	ExitNotExecutable = 126 // the program cannot be executed
)

// Limited is the hint for an error that a limit on the user's processes caused, and
// not what the machine can do; "" for any other.
func Limited(err error) string {
	var start *os.PathError
	var call *os.SyscallError
	switch {
	case errors.As(err, &call) && call.Syscall == "inotify_init1" && call.Err == syscall.EMFILE:
		return "sudo sysctl fs.inotify.max_user_instances=1024"
	case errors.Is(err, syscall.EMFILE):
		return "ulimit -n 1024"
	case errors.As(err, &start) && start.Op == "fork/exec" && start.Err == syscall.EAGAIN: // clone(2)
		return `ulimit -u "$(ulimit -H -u)"`
	}
	return ""
}

// Error is an error with an exit code and, where there is one, something to
// paste.
type Error struct {
	Code int
	Err  error
	Hint string
}

// Error is the error's own text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error without its code.
func (e *Error) Unwrap() error { return e.Err }

// Say writes one text for a person, each line with its kind.
func Say(w io.Writer, kind, text string) {
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintf(w, "mcpen: %s: %s\n", kind, line)
	}
}

// Red is a line in red where the writer is a terminal, else the line as it is.
func Red(w io.Writer, line string) string {
	f, ok := w.(*os.File)
	if !ok {
		return line
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return line
	}
	return "\x1b[1;31m" + line + "\x1b[0m"
}

func warn(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "mcpen: warning: "+format+"\n", args...)
}

// Report writes an error with its hint and returns its exit code.
func Report(w io.Writer, err error) int {
	code, hint := 1, ""
	var lack *sandbox.Lack
	var notExec *sandbox.NotExecutable
	var coded *Error
	switch {
	case errors.As(err, &notExec):
		err, code = notExec, ExitNotExecutable
	case errors.As(err, &lack):
		err, code, hint = lack, ExitSandbox, "mcpen doctor"
		if limited := Limited(lack); limited != "" {
			hint = limited
		}
	case errors.As(err, &coded):
		err, code, hint = coded, coded.Code, coded.Hint
	}
	Say(w, "error", err.Error())
	if hint != "" {
		Say(w, "hint", hint)
	}
	return code
}

// End is the exit code that a server's end passes on. A server that a signal
// ended ends this process by the same signal; End returns where the signal
// cannot.
func End(e sandbox.Exit) int {
	if e.Signal != 0 {
		dieBy(e.Signal)
		return 128 + int(e.Signal)
	}
	return e.Code
}

// Reviewed is the signal with which a review tells running servers.
const Reviewed = syscall.SIGUSR1
