package sandbox

import (
	"errors"
	"fmt"
	"syscall"

	"mcpen/sandbox/internal/child"
)

// Lack is an error of the machine: a part of the sandbox could not be built.
// Nothing was started.
type Lack struct {
	Step string // that failed, as in "build the sandbox"
	Err  error

	grouping bool // it happened while control groups were made
}

// Error names the step and its cause.
func (e *Lack) Error() string { return fmt.Sprintf("cannot %s: %v", e.Step, e.Err) }

// Unwrap returns the cause.
func (e *Lack) Unwrap() error { return e.Err }

// NotExecutable is an error of the program: the sandbox stood, execve failed.
type NotExecutable struct {
	Path string
	Err  error
}

// Error says which program and why.
func (e *NotExecutable) Error() string { return fmt.Sprintf("cannot execute %q: %v", e.Path, e.Err) }

// Unwrap returns the cause, which is an errno.
func (e *NotExecutable) Unwrap() error { return e.Err }

// failed turns the message of a stage inside into an error.
func failed(m child.Message, path string) error {
	cause := errors.New(m.Error)
	if m.Step == "execute the server" {
		if m.Errno != 0 {
			return &NotExecutable{Path: path, Err: syscall.Errno(m.Errno)}
		}
		return &NotExecutable{Path: path, Err: cause}
	}
	if m.Step == "" {
		return cause
	}
	return &Lack{Step: m.Step, Err: cause}
}
