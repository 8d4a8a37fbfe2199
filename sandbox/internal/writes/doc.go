// Package writes is the mediator: it makes the changes in a user's folders for a
// server, which sees these folders read-only.
//
// The filter sends the mediator every call that changes files by path, and every
// connect. The mediator copies the arguments once, finds the real place of parent
// and target in its own mounts, which are the server's but with the user's folders
// writable, asks the plan about it ([plan.Judge]) and makes the call by
// descriptor, following no symlink that it has not looked at. A file that was
// opened is handed over by descriptor: it is the real inode, so that data, locks,
// memory maps and watchers work as ever, at full speed.
//
// Calls in other places, and those that the plan refuses, go back to the kernel,
// which makes them with the server's rights: on read-only mounts, under the
// server's Landlock rules. So a race between the look and the kernel's own reading
// of the arguments wins nothing, and a call that the mediator is not asked about,
// because nobody knows it yet, fails with EROFS.
//
// Sockets are another matter: a read-only mount does not stop connect(2). The
// mediator makes every connect itself, and refuses those to unix sockets that do
// not lie in a file system of the sandbox's own.
//
// The mediator is pid 1 of the sandbox (package child), which nothing inside may
// signal, trace or look into. It has no capability, sees what the plan mounts and
// nothing else, and ends with the launcher: what a bug in it could reach are the
// folders that the plan makes writable.
package writes
