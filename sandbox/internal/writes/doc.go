// Package writes is the mediator: it makes the changes in a user's folders for a
// server, which sees these folders read-only.
//
// The filter sends the mediator every call that changes files by path, and every
// connect. The mediator copies the arguments once and resolves the real paths of parent
// and target in its own mounts, which are the server's but with the user's folders
// writable. It asks the plan about them ([plan.Judge]) and makes the call by
// descriptor; it follows no symlink that it has not examined. It passes an opened file
// to the server by descriptor: the file is the real inode, so that data, locks, memory
// maps and watchers work as usual, at full speed.
//
// Calls in other places, and calls that the plan refuses, go back to the kernel, which
// makes them with the server's rights: on read-only mounts, under the server's Landlock
// rules. So a race between the mediator's look and the kernel's own reading of the
// arguments gains nothing. A call that the filter does not send, because it is too new
// to be known, fails with EROFS.
//
// Sockets differ: a read-only mount does not stop connect(2). The mediator makes every
// connect itself, and refuses unix sockets outside of the sandbox's own file systems.
//
// The mediator is pid 1 of the sandbox (package child), which no process inside may
// signal, trace or examine. It has no capability, sees only the plan's mounts, and ends
// with the launcher. An exploited bug in it could reach the folders that the plan makes
// writable.
package writes
