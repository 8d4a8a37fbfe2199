package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The plain relay is the least that any way out with two connections of the kernel can
// cost: one thread that accepts, connects and copies, and decides nothing.
const (
	relayPeer  = "203.0.113.5:7778"
	stageRelay = "stage-relay" // FOLDER
)

// relayed runs a client whose connections go through a relay.
func relayed(self, what, result string) error {
	server := exec.Command(self, stageRelay, "-")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ready, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // Pdeathsig is of the thread
	defer runtime.UnlockOSThread()
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Wait()
	defer server.Process.Kill()
	var b [1]byte
	if _, err := ready.Read(b[:]); err != nil {
		return fmt.Errorf("the relay: %w", err)
	}
	cmd := exec.Command(self, stageClient, what, result)
	cmd.Env = append(os.Environ(), peerVariable+"="+relayPeer)
	return finish(cmd)
}

// relay relays connections until it is killed.
func relay() error {
	runtime.LockOSThread()
	r := relayLoop{other: map[int]int{}, ended: map[int]bool{}, buf: make([]byte, 64<<10)}
	var err error
	if r.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	// Accepted sockets inherit the option.
	if err := unix.SetsockoptInt(l, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{203, 0, 113, 5}, Port: 7778}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(l, 512); err != nil {
		return os.NewSyscallError("listen", err)
	}
	if err := r.watch(l, 0); err != nil {
		return err
	}
	if _, err := os.Stdout.Write([]byte("\n")); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := epollWait(r.ep, events)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, ev := range events[:max(n, 0)] {
			if fd := int(ev.Fd); fd == l {
				r.accept(l)
			} else {
				r.pass(fd)
			}
		}
	}
}

// relayLoop are the connections of a relay.
type relayLoop struct {
	ep    int
	other map[int]int
	ended map[int]bool // nothing more comes from it
	buf   []byte
}

func (r *relayLoop) watch(fd int, edge uint32) error {
	ev := &unix.EpollEvent{Events: unix.EPOLLIN | edge, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(r.ep, unix.EPOLL_CTL_ADD, fd, ev))
}

// accept takes one connection and makes the other one.
func (r *relayLoop) accept(l int) {
	in, _, err := syscall.Accept4(l, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return
	}
	out, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		_ = unix.SetsockoptInt(out, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		err = unix.Connect(out, &unix.SockaddrInet4{Addr: [4]byte{203, 0, 113, 5}, Port: 7777})
	}
	if err != nil && err != unix.EINPROGRESS { // made at once on this machine
		unix.Close(out)
		unix.Close(in)
		return
	}
	r.other[in], r.other[out] = out, in
	if r.watch(in, unix.EPOLLET) != nil || r.watch(out, unix.EPOLLET) != nil {
		r.close(in)
	}
}

// pass passes what came on one side to the other. While one side is full, the others
// wait: the client has one connection that carries much.
func (r *relayLoop) pass(from int) {
	to, ok := r.other[from]
	if !ok || r.ended[from] {
		return
	}
	n, err := unix.Read(from, r.buf)
	for err == nil && n == len(r.buf) && r.write(to, r.buf) { // there may be more
		n, err = unix.Read(from, r.buf)
	}
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil || n == 0 && r.ended[to]:
		r.close(from)
	case n == 0:
		r.ended[from] = true
		_ = unix.Shutdown(to, unix.SHUT_WR)
	case !r.write(to, r.buf[:n]):
		r.close(from)
	}
}

// write writes all of b.
func (r *relayLoop) write(to int, b []byte) bool {
	for {
		n, err := unix.Write(to, b)
		if b = b[max(n, 0):]; len(b) == 0 {
			return true
		}
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return false
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(to), Events: unix.POLLOUT}}, -1); err != nil && err != unix.EINTR {
			return false
		}
	}
}

func (r *relayLoop) close(fd int) {
	for _, f := range []int{fd, r.other[fd]} {
		unix.Close(f)
		delete(r.other, f)
		delete(r.ended, f)
	}
}
