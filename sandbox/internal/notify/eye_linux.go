package notify

import (
	"errors"
	"mcpen/sandbox/internal/seccomp"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Eye examines the processes of a sandbox for a launcher that confines itself. A thread
// under Landlock may access the memory, the root and the descriptors only of processes
// in its own domain or one below (landlock(7)), and the server has a domain of its own.
// With Yama, only an ancestor may access a process at all (ptrace(2), ptrace_scope 1).
// So one thread of the launcher stays outside of the launcher's Landlock domain. It has
// a filter of its own, under which it opens no file: it only reads the memory of
// processes, opens places, follows links and lets connections continue.
//
// The thread does only the work of this file and of listener.await. Without an Eye the
// calling thread does that work.
type Eye struct {
	asked chan glance
}

// glance is one task for the eye's thread.
type glance struct {
	do   func()
	done chan struct{}
}

// eye is the process's eye; there is one, since a thread's rights are set for the whole
// process.
var eye atomic.Pointer[Eye]

// OpenEye starts the thread and loads its filter; a process has at most one such
// thread. Call it after [seccomp.LoadAll], and before Landlock and
// [seccomp.Seal]. Later calls have no
// effect.
func OpenEye() error {
	if eye.Load() != nil {
		return nil
	}
	filter, err := seccomp.ForEye(runtime.GOARCH)
	if err != nil {
		return err
	}
	e := &Eye{asked: make(chan glance)}
	ready := make(chan error)
	go func() {
		// Never unlocked: nothing else runs on this thread, and it starts no other
		// thread (the runtime has a template thread for that).
		runtime.LockOSThread()
		err := os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		if err == nil {
			err = seccomp.Load(filter)
		}
		ready <- err
		if err != nil {
			return // and the thread ends
		}
		for g := range e.asked {
			g.do()
			close(g.done)
		}
	}()
	if err := <-ready; err != nil {
		return err
	}
	if !eye.CompareAndSwap(nil, e) {
		return errors.New("internal error: a second eye")
	}
	return nil
}

// looking runs f on the eye's thread, if there is one.
func looking(f func()) {
	e := eye.Load()
	if e == nil {
		f()
		return
	}
	g := glance{do: f, done: make(chan struct{})}
	e.asked <- g
	<-g.done
}

// peek reads from a process's memory until buf is full, and returns the number of bytes
// read.
func peek(pid int, at uint64, buf []byte) (n int, err error) {
	looking(func() { n, err = glimpse(pid, at, buf) })
	return n, os.NewSyscallError("process_vm_readv", err)
}

// glimpse is peek for a caller on the eye's thread.
func glimpse(pid int, at uint64, buf []byte) (int, error) {
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	remote := []unix.RemoteIovec{{Base: uintptr(at), Len: len(buf)}}
	return unix.ProcessVMReadv(pid, local, remote, 0)
}

// follow returns the target of a link of /proc.
func follow(link string) (to string, err error) {
	looking(func() { to, err = os.Readlink(link) })
	return to, err
}

// place opens a directory with O_PATH. The caller must close it.
func place(name string) (fd int, err error) {
	looking(func() { fd, err = unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	return fd, err
}

// protocol is the name of the protocol of a descriptor in /proc, as in socket(7): "TCP"
// for both families, "" if it is not a socket or may not be examined.
func protocol(descriptor string) string {
	var name [32]byte
	var n int
	var err error
	looking(func() { n, err = unix.Getxattr(descriptor, "system.sockprotoname", name[:]) })
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimRight(string(name[:n]), "\x00"), "v6")
}
