// Package notify answers the system calls that a seccomp filter hands to the launcher or
// the mediator instead of deciding them (seccomp_unotify(2)): it refuses them with the
// filter's errno, lets them continue to the kernel, or hands them to a mediator. It
// reports those that were refused and those that are about to fail for lack of a rule.
//
// Package seccomp decides which calls those are. Everything that this package reads of a
// waiting process can be changed by it meanwhile: it is for a report, and decides
// nothing, unless the mediator makes the call itself from the copy.
package notify

import (
	"net/netip"
	"syscall"
)

// Judge knows the world outside, for calls that go to the kernel and fail there for
// lack of a rule. A nil function knows nothing.
type Judge struct {
	Path func(path string) bool                // reports whether something exists there that the server does not see
	Addr func(to netip.AddrPort) syscall.Errno // the errno with which a TCP connection will fail, or 0
	// Each receives each open, program, bind, signal and connection before the kernel
	// does. If it is set, Path and Addr are not called.
	Each func(Sight)
}

// Call is one refused call, or an open or a connection that fails for lack of a rule.
type Call struct {
	PID     int    // of the process, as this process sees it; 0: it was gone before anything was known
	Program string // its name as it set it, printable
	Name    string // of the call; "system call 999" if it has none
	Args    [6]uint64
	Errno   syscall.Errno  // the program's errno; for an open, the one it is about to get
	Path    string         // of an open or a change: absolute, inside; of a change without symlinks
	Place   string         // of a change: the protected place that is the reason for the refusal
	Why     string         // of a change: the reason why the place is protected
	Single  string         // of a change: the single file of a rule that the change would replace, or beside which it would make another
	Folder  string         // of a change beside a single file: the folder that a rule may name instead, or ""
	Socket  bool           // of a connect: Path is a unix socket that no rule names
	Addr    netip.AddrPort // of a TCP connection: its destination
	More    int            // calls of this name since the last report that were not reported
}
