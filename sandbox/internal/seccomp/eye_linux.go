package seccomp

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Eye looks into the processes of a sandbox for a launcher that confines itself.
// A thread under Landlock may look into the memory, the root and the descriptors of
// none that is not in its own domain or one below (landlock(7)), and the server has
// a domain of its own; no other process than a forebear may either, where Yama says
// so (ptrace(2), ptrace_scope 1). So one thread of the launcher stays outside of the
// launcher's Landlock, with a filter of its own under which it opens no file: it
// reads memory of processes, opens places, follows links and lets connections go on,
// and that is all.
//
// The thread does only what this file asks of it. Where there is no Eye the calling
// thread does the same.
type Eye struct {
	asked chan glance
}

// glance is one thing to do on the eye's thread.
type glance struct {
	do   func()
	done chan struct{}
}

// eye is the process's own: what a thread may do is a matter of the process.
var eye atomic.Pointer[Eye]

// OpenEye starts the thread, which there is one of in a process, and puts its filter
// on it. It has to be called behind LoadAll, before Landlock and Seal, and may be
// called again.
func OpenEye() error {
	if eye.Load() != nil {
		return nil
	}
	filter, err := forEye(runtime.GOARCH)
	if err != nil {
		return err
	}
	e := &Eye{asked: make(chan glance)}
	ready := make(chan error)
	go func() {
		// Never unlocked: nothing else runs on this thread, and no thread is made by
		// it (the runtime has another one for that).
		runtime.LockOSThread()
		err := os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		if err == nil {
			err = Load(filter)
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

// looking has f done by the eye, where there is one.
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

// peek reads from a process's memory, up to the end of buf, and returns how much
// there was.
func peek(pid int, at uint64, buf []byte) (n int, err error) {
	looking(func() { n, err = glimpse(pid, at, buf) })
	return n, os.NewSyscallError("process_vm_readv", err)
}

// glimpse is peek for who is on the eye's thread already.
func glimpse(pid int, at uint64, buf []byte) (int, error) {
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	remote := []unix.RemoteIovec{{Base: uintptr(at), Len: len(buf)}}
	return unix.ProcessVMReadv(pid, local, remote, 0)
}

// follow is where a link of /proc leads.
func follow(link string) (to string, err error) {
	looking(func() { to, err = os.Readlink(link) })
	return to, err
}

// place opens a directory without reading it. The caller closes it.
func place(name string) (fd int, err error) {
	looking(func() { fd, err = unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	return fd, err
}

// protocol is which one a descriptor in /proc speaks, as socket(7) has it: "TCP" for
// both families, "" where it is no socket or may not be looked at.
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
