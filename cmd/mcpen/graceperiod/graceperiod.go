// Package ahead has the kernel begin, before the Go runtime starts, what "mcpen
// run" will have to wait for. It is imported for its constructor (rejoin.c).
//
// Moving a process between control groups of version 2 makes the first one who does
// it after a while wait for a grace period of RCU, many milliseconds, and nobody
// after him for about as long (cgroup_attach_lock in kernel/cgroup/cgroup.c). The
// server will be moved; so a process of its own, which lives for that long, is moved
// to the group that it is in already while everything else is prepared. That changes
// nothing, and neither does an error. Its parent, which hears nothing of its end,
// has to wait for it with WCLONE (wait4(2)).
package ahead
