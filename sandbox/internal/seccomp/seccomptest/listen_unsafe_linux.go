package seccomptest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// Listen starts the job under a filter that listens and returns its listener.
func Listen(t *testing.T, p plan.Seccomp, j Job) (*exec.Cmd, *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := pair[0], os.NewFile(uintptr(pair[1]), "control")
	defer unix.Close(ours)
	j.Filter = Marshal(t, p)
	cmd := Command(t, j)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = new(strings.Builder)
	cmd.Stdout = new(strings.Builder)
	if err := cmd.Start(); err != nil {
		if (j.Hide != "" || j.ReadOnly != "") && os.Getuid() != 0 && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC)) {
			t.Skipf("this user may not make user namespaces: %v", err)
		}
		t.Fatal(err)
	}
	theirs.Close()
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(ours, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		if err := cmd.Wait(); strings.Contains(fmt.Sprint(cmd.Stderr), unix.EBUSY.Error()) {
			t.Skipf("an outer seccomp listener leaves no room for one: %v", err)
		}
		t.Fatalf("no listener came from the child: %s", cmd.Stderr)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	listener := os.NewFile(uintptr(fds[0]), "listener")
	t.Cleanup(func() { listener.Close() })
	return cmd, listener
}

// loadListener loads a filter that listens on the calling thread and returns the
// notification descriptor, close-on-exec. The caller must send it to the process that
// answers and then close it. Until that process answers, a notifying call of this
// thread waits: an open, if the plan reports opens.
//
// EBUSY means that an outer filter has a listener (a container, WSL2).
func loadListener(f seccomp.Filter) (fd int, err error) {
	// Without the second flag a signal to the waiting process (Go's preemption)
	// interrupts a call that was already received, again and again (Linux 5.19).
	const listen = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	fd, err = install(f, listen|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) {
		fd, err = install(f, listen)
	}
	return fd, err
}

func install(f seccomp.Filter, flags uintptr) (int, error) {
	program, err := f.Program()
	if err != nil {
		return -1, err
	}
	prog := unix.SockFprog{Len: uint16(f.Len()), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return -1, os.NewSyscallError("seccomp", errno)
	}
	return int(fd), nil
}
