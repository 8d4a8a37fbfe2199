// Package graceperiod begins, before the Go runtime starts, a grace period of RCU that
// "mcpen run" would wait for later. It is imported for its constructor (rejoin.c).
//
// The first process that is moved between control groups of version 2 after a while
// waits for a grace period, many milliseconds; those after it do not wait for about as
// long (cgroup_attach_lock in kernel/cgroup/cgroup.c). The server will be moved. So a
// process of its own, which lives for that long, is moved to the group that it is in
// already, while everything else is prepared. That changes nothing, and neither does an
// error: a user who may not write to their own group, as in a login over SSH, waits as
// before. The process sends no signal when it ends: its parent has to wait for it with
// WCLONE (wait4(2)).
package graceperiod
