// Package confine takes from a launcher, for good and on every thread, what it does
// not need once its server runs: the launcher reads the JSON, the DNS and the TLS of
// a stranger, and what such bytes could make of it has the launcher's rights.
//
// No new privileges, no capabilities, Landlock, a system call filter, no core and no debugger:
//
//	no_new_privs  every thread
//	capabilities  every thread: none but root's CAP_DAC_OVERRIDE
//	Landlock      every thread but the eye (seccomp.Eye), which opens no file
//	seccomp       every thread; the eye has a filter of its own
//	undumpable    the process
//
// It is irrevocable. An error leaves a process that is confined in part and must not
// go on.
//
// What reaches other processes (signals, their memory through the eye) is not this
// package's: a launcher has that taken from it before it has threads
// (sandbox/internal/scope).
package confine

import (
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// Needs is what a launcher keeps. The zero value keeps nothing but the descriptors
// that are open, and lacks both layers.
type Needs struct {
	ABI     int         // of Landlock, of which every right is decided about; 0: without that layer
	Rules   []Rule      // what Landlock leaves of files
	Connect []plan.Span // ports of TCP that may be connected to (ABI 4)

	Looks bool // into the server's processes, which is the eye's work then

	Filter bool // the filter is put on
	Calls  seccomp.Launcher
}

// Access is what a rule leaves below its path.
type Access uint8

// The kinds of access.
const (
	Read   Access = iota + 1 // read files
	List                     // read files and folders
	Empty                    // list, and take away empty folders
	Remove                   // list, and take away
	Edit                     // list, make, change, rename and take away files and folders
)

// Rule leaves one access to a file or to all below a folder. The path is resolved
// when the rule is made, and the rule is of what it led to then.
type Rule struct {
	Path   string
	Access Access
	// Needed has the confinement fail where the path is not there. Otherwise there
	// is nothing to leave.
	Needed bool
}
