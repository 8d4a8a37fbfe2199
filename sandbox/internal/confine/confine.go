// Package confine irrevocably removes from a launcher, on every thread, the rights that
// it does not need once its server runs. The launcher parses a stranger's JSON, DNS and
// TLS, and an exploit in such bytes would have the launcher's rights.
//
// No new privileges, no capabilities, Landlock, a system call filter, no core and no
// debugger:
//
//	no_new_privs  every thread
//	capabilities  every thread: none but root's CAP_DAC_OVERRIDE
//	Landlock      every thread but the eye (notify.Eye), which opens no file
//	seccomp       every thread; the eye has a filter of its own
//	undumpable    the process
//
// After an error the process is only partly confined and must not continue.
//
// Access to other processes (signals, their memory through the eye) is not this
// package's concern: a launcher loses it before it has threads
// (sandbox/internal/scope).
package confine

import (
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// Needs lists the rights that a launcher keeps. The zero value keeps only the open
// descriptors and enforces neither layer.
type Needs struct {
	ABI     int         // of Landlock, all of whose rights are handled; 0: no Landlock
	Rules   []Rule      // the files that Landlock still allows
	Connect []plan.Span // TCP ports that the launcher may connect to (ABI 4)

	Looks bool // whether the eye looks into the server's processes

	Filter bool // whether to load the filter
	Calls  seccomp.Launcher
}

// Access is the access that a rule allows below its path.
type Access uint8

// The kinds of access.
const (
	Read   Access = iota + 1 // read files
	List                     // read files and folders
	Empty                    // list, and remove empty folders
	Remove                   // list, and remove
	Edit                     // list, make, change, rename and remove files and folders
)

// Rule allows one kind of access to a file or to everything below a folder. The path is
// resolved when the rule is made; a later change of the path does not move the rule.
type Rule struct {
	Path   string
	Access Access
	// Needed makes the confinement fail if the path does not exist. Otherwise the rule
	// is skipped.
	Needed bool
}
