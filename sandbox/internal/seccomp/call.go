package seccomp

import "syscall"

// Call is one call that was refused, or an open that fails for want of a rule.
type Call struct {
	PID     int    // of the process, as this process sees it; 0: it was gone before anything was known
	Program string // its name as it set it, printable
	Name    string // of the call; "system call 999" where it has none
	Args    [6]uint64
	Errno   syscall.Errno // what the program got; of an open, what it is about to get
	Path    string        // of an open: absolute, inside; lexically resolved
	More    int           // calls of this name since the last report that were not reported
}
