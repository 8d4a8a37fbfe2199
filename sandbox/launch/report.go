package launch

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// The exit codes of mcpen itself. A server's own code passes through.
const (
	ExitUsage         = 2   // wrong usage, or a mistake in a profile
	ExitRefused       = 3   // refused by policy
	ExitSandbox       = 125 // the sandbox could not be built
	ExitNotExecutable = 126 // the program cannot be executed
)

// Limited is the hint for an error that a limit on the user's processes caused, as
// opposed to a lack of the machine; "" for any other.
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

// Error is an error with an exit code and, if there is one, a hint to paste.
type Error struct {
	Code int
	Err  error
	Hint string
}

// Error is the error's own text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error without its code.
func (e *Error) Unwrap() error { return e.Err }

// Say writes a text for a person, each line with its kind.
func Say(w io.Writer, kind, text string) {
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintf(w, "mcpen: %s: %s\n", kind, line)
	}
}

// Red returns a line in red if the writer is a terminal, else the line unchanged.
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

// Report writes an error for a person, each part of it with its hint, and returns its
// exit code. It is the only place that formats the errors of all packages.
func Report(w io.Writer, err error) int {
	code, parts := told(err)
	for _, p := range parts {
		Say(w, "error", p.text)
		if p.hint != "" {
			Say(w, "hint", p.hint)
		}
	}
	return code
}

// part is one mistake of an error that may hold several.
type part struct{ text, hint string }

// told splits an error into its parts. The code of an Error also applies to the
// mistakes in it.
func told(err error) (code int, parts []part) {
	var mistakes policy.Mistakes
	var problems plan.Problems
	var notFound *program.FindError
	var notExec *sandbox.NotExecutable
	var lack *sandbox.Lack
	var coded *Error
	switch {
	case errors.As(err, &mistakes):
		code = ExitUsage
		if errors.As(err, &coded) {
			code = coded.Code
		}
		for _, m := range mistakes {
			parts = append(parts, part{m.Error(), m.Hint})
		}
		return code, parts
	case errors.As(err, &problems):
		for _, p := range problems {
			parts = append(parts, part{plan.Problems{p}.Error(), p.Advice()})
		}
		return problemsCode(problems), parts
	case errors.As(err, &notFound):
		return int(notFound.Kind), []part{{notFound.Error(), notFound.Hint}}
	case errors.As(err, &notExec):
		return ExitNotExecutable, []part{{text: notExec.Error()}}
	case errors.As(err, &lack):
		return ExitSandbox, []part{{lack.Error(), cmp.Or(Limited(lack), "mcpen doctor")}}
	case errors.As(err, &coded):
		return coded.Code, []part{{coded.Error(), coded.Hint}}
	}
	return 1, []part{{text: err.Error()}}
}

func problemsCode(p plan.Problems) int {
	switch {
	case p.Refused():
		return ExitRefused
	case p.Lack():
		return ExitSandbox
	}
	return ExitUsage
}

// End returns the exit code that passes a server's end on. If a signal ended the
// server, End ends this process by the same signal; it returns only if the signal
// fails.
func End(e sandbox.Exit) int {
	if e.Signal != 0 {
		dieBy(e.Signal)
		return 128 + int(e.Signal)
	}
	return e.Code
}

// Reviewed is the signal by which a review notifies running servers.
const Reviewed = syscall.SIGUSR1

// Usage is a mistake on the command line, with a hint.
func Usage(hint, format string, args ...any) error {
	return &Error{Code: ExitUsage, Err: fmt.Errorf(format, args...), Hint: hint}
}
