package probe

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena keeps the memory of system calls alive until its probe is over. Every object in
// it is on the heap, which Go does not move.
type arena struct{ kept []any }

// str returns the address of a NUL-terminated copy of s.
func (a *arena) str(s string) uintptr {
	b := append([]byte(s), 0)
	a.kept = append(a.kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// bytes returns the address of a new zeroed buffer, and the buffer.
func (a *arena) bytes(n int) (uintptr, []byte) {
	b := make([]byte, n)
	a.kept = append(a.kept, b)
	return uintptr(unsafe.Pointer(&b[0])), b
}

// put returns the address of *p, which must come from new or &T{}.
func put[T any](a *arena, p *T) uintptr {
	a.kept = append(a.kept, p)
	return uintptr(unsafe.Pointer(p))
}

// sys makes a system call whose arguments are numbers or addresses from a.
func sys(a *arena, nr uintptr, args ...uintptr) (int, error) {
	var six [6]uintptr
	copy(six[:], args)
	r, _, errno := unix.Syscall6(nr, six[0], six[1], six[2], six[3], six[4], six[5])
	runtime.KeepAlive(a)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// alone makes one system call in a forked, single-threaded child. Some calls demand
// that (unshare(2), setns(2) of a user namespace); others would end this process. The
// child makes only raw calls.
func alone(a *arena, nr uintptr, args ...uintptr) Result {
	var six [6]uintptr
	copy(six[:], args)
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return refused(errno)
	}
	if pid == 0 {
		_, _, errno = unix.RawSyscall6(nr, six[0], six[1], six[2], six[3], six[4], six[5])
		code := uintptr(0)
		if errno != 0 {
			code = 100 + uintptr(errno)
		}
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
		}
	}
	runtime.KeepAlive(a)
	return reap(int(pid))
}

// underneath is alone with one more process in between: the child of a single-threaded
// process makes the call.
func underneath(a *arena, nr uintptr, args ...uintptr) Result {
	var six [6]uintptr
	copy(six[:], args)
	status, _ := a.bytes(4)
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return refused(errno)
	}
	if pid != 0 {
		runtime.KeepAlive(a)
		return reap(int(pid))
	}
	child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	code := 100 + uintptr(errno)
	if errno == 0 {
		if child == 0 {
			_, _, errno = unix.RawSyscall6(nr, six[0], six[1], six[2], six[3], six[4], six[5])
			code = 0
			if errno != 0 {
				code = 100 + uintptr(errno)
			}
		} else {
			unix.RawSyscall6(unix.SYS_WAIT4, child, status, 0, 0, 0, 0)
			code = uintptr(*(*uint32)(unsafe.Pointer(&a.kept[len(a.kept)-1].([]byte)[0]))>>8) & 0xff
		}
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}
}

// clone makes a child with a raw clone(2) or clone3(2). The child exits at once: the
// probe is about its creation.
func clone(a *arena, nr uintptr, args ...uintptr) Result {
	var six [6]uintptr
	copy(six[:], args)
	pid, _, errno := unix.RawSyscall6(nr, six[0], six[1], six[2], six[3], six[4], six[5])
	if errno != 0 {
		return refused(errno)
	}
	if pid == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	runtime.KeepAlive(a)
	return reap(int(pid))
}

// idle forks a child that waits until it is killed.
func idle() (pid int, errno unix.Errno) {
	child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && child == 0 {
		for {
			unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
	return int(child), errno
}

// reap waits for a child that answers by its exit code.
func reap(pid int) Result {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return refused(err)
		}
		return endedWith(status)
	}
}
