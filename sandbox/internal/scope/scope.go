// Package scope restricts the launcher's access to other processes of the user, from
// its first instruction on: signals to processes that it did not start itself, access
// to their memory, and their abstract sockets (landlock(7), ABI 6). Import it for its
// constructor (scope.c), which reads the environment variable named by Variable.
//
// Landlock applies to a thread, and each thread that applies it gets a domain of its
// own: one thread could then not examine a process that another one starts. Before the
// Go runtime starts there is a single thread, and everything later, the server
// included, is in its domain. The domain restricts no files, so processes in it can
// still make mounts.
package scope

import "C"

// Variable makes the constructor act if its value is "1".
const Variable = "MCPEN_SCOPE"

// ABI is the first Landlock ABI with scopes (Linux 6.12).
const ABI = 6
