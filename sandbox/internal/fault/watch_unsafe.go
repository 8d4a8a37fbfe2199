package fault

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// onThread runs f under a filter that notifies about these calls.
func onThread(numbers []uintptr, started chan<- watched, ended chan<- struct{}, f func()) {
	runtime.LockOSThread() // never unlocked: the thread ends with this function
	defer close(ended)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		started <- watched{err: os.NewSyscallError("prctl", err)}
		return
	}
	const load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS // seccomp_data.nr is at 0
	const equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	prog := []unix.SockFilter{{Code: load}}
	for i, nr := range numbers {
		prog = append(prog, unix.SockFilter{Code: equal, K: uint32(nr), Jt: uint8(len(numbers) - i)})
	}
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}, unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_USER_NOTIF})
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// Without this flag a signal, such as the runtime's own every 10 ms, could repeat a
	// call that was made to fail (seccomp_unotify(2)).
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&p)))
	if errno == unix.EINVAL { // before Linux 5.19
		fd, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&p)))
	}
	if errno != 0 {
		started <- watched{err: os.NewSyscallError("seccomp", errno)}
		return
	}
	started <- watched{listener: int(fd), thread: unix.Gettid(), undelivered: map[int]answered{}}
	f()
}

// one answers one call.
func (w watched) one(decide func(Call) Answer) error {
	var n struct { // struct seccomp_notif
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(w.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return errno
	}
	r := struct { // struct seccomp_notif_resp
		id    uint64
		val   int64
		errno int32
		flags uint32
	}{id: n.id}
	a := w.decided(Call{Number: uintptr(n.nr), Args: n.args, Stage: comm(int(n.pid)), Thread: int(n.pid), Own: int(n.pid) == w.thread}, decide)
	if a.instead {
		r.val, r.errno = a.value, -int32(a.errno)
	} else {
		r.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(w.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
		if errno == 0 {
			break
		}
		if errno != unix.EINTR { // a lost answer would be waited for
			return errno
		}
	}
	delete(w.undelivered, int(n.pid))
	return nil
}
