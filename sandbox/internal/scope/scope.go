// Package scope keeps the launcher from other processes of the user's, from its first
// instruction on: from signalling any that it did not start itself, from looking into
// them, and from their abstract sockets (landlock(7), ABI 6). It is imported for its
// constructor (scope.c), which asks the environment variable that Variable names.
//
// Landlock is put on a thread, and what each of several threads puts on is another
// domain for each: a process that one of them starts could not be looked into by
// another. Before the Go runtime starts there is one thread, and all that comes later,
// the server included, is in its domain. It is about no file, so that mounts can be
// made by what is in it.
package scope

import "C"

// Variable has the constructor act where it is "1".
const Variable = "MCPEN_SCOPE"

// ABI is the first one of Landlock that has what is needed (Linux 6.12).
const ABI = 6
