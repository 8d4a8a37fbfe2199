package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refusals lists features that a machine may lack, as a filter around mcpen refuses
// them: the system call, a flag in one of its arguments if that matters, and the errno.
var refusals = map[string]struct {
	call  uint32
	arg   uint32
	flag  uint32
	errno syscall.Errno
}{
	// WSL 2 has a listener of its own around everything.
	"notify": {unix.SYS_SECCOMP, 1, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, unix.EBUSY},
	// A kernel built without Landlock, and one that was started without it.
	"landlock":        {unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.ENOSYS},
	"landlock-at-all": {unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.EOPNOTSUPP},
	// Containers whose filter is older than the calls.
	"mount-attributes": {unix.SYS_MOUNT_SETATTR, 0, 0, unix.ENOSYS},
	"mounts":           {unix.SYS_MOUNT, 0, 0, unix.EPERM},
	"pidfds":           {unix.SYS_PIDFD_OPEN, 0, 0, unix.ENOSYS},
	"memory-files":     {unix.SYS_MEMFD_CREATE, 0, 0, unix.ENOSYS},
	// A limit of processes that is reached.
	"processes": {unix.SYS_CLONE, 0, unix.CLONE_VFORK, unix.EAGAIN},
}

// confine runs a command on a machine that lacks something: confine WHAT COMMAND…
func confine(args []string) int {
	r, ok := refusals[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "confine: nothing is called %q\n", args[0])
		return 2
	}
	path, err := exec.LookPath(args[1])
	if err == nil {
		runtime.LockOSThread()
		err = refuse(r.call, r.arg, r.flag, r.errno)
	}
	if err == nil {
		err = syscall.Exec(path, args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "confine:", err)
	return 1
}

// refuse puts a filter on the calling thread that refuses one call, with the flag in
// one of its arguments if there is one.
func refuse(call, arg, flag uint32, errno syscall.Errno) error {
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // the number
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 16 + 8*arg, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flag, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	}
	if flag == 0 {
		prog[3] = bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: 0}
	}
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	var insns []unix.SockFilter
	for _, i := range raw {
		insns = append(insns, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(insns)), Filter: &insns[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		return errno
	}
	return nil
}
