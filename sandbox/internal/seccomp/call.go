package seccomp

import (
	"net/netip"
	"syscall"
)

// Judge knows what lies outside, for the calls that go to the kernel and fail
// there for want of a rule. A nil function knows of nothing.
type Judge struct {
	Path func(path string) bool                // is there something that the server does not see?
	Addr func(to netip.AddrPort) syscall.Errno // what a TCP connection will fail with, or 0
	// Each is told of each open, program, bind, signal and connection before the
	// kernel gets it, and then Path and Addr are not asked.
	Each func(Sight)
}

// Call is one call that was refused, or one that fails for want of a rule: an
// open, or a connection.
type Call struct {
	PID     int    // of the process, as this process sees it; 0: it was gone before anything was known
	Program string // its name as it set it, printable
	Name    string // of the call; "system call 999" where it has none
	Args    [6]uint64
	Errno   syscall.Errno  // what the program got; of an open, what it is about to get
	Path    string         // of an open or a change: absolute, inside; of a change without symlinks
	Place   string         // of a change: the protected place that it was refused for
	Why     string         // of a change: why the place is one
	Single  string         // of a change: the single file that a rule names, beside or in place of which it would make something
	Folder  string         // of a change beside a single file: what a rule may name instead, or ""
	Socket  bool           // of a connect: Path is a unix socket that no rule names
	Addr    netip.AddrPort // of a TCP connection: where it was to lead
	More    int            // calls of this name since the last report that were not reported
}
