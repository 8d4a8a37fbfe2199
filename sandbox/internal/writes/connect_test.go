package writes

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
)

// While a connection of a server's takes time, its other calls go on: only one worker
// ever waits for a connection.
func TestOneWorkerWaitsForAConnection(t *testing.T) {
	name := append([]byte{unix.AF_UNIX, 0, 0}, t.TempDir()...)
	full, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Close(full) }()
	if err := unix.Bind(full, &unix.SockaddrUnix{Name: "@" + string(name[3:])}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(full, 0); err != nil {
		t.Fatal(err)
	}
	for i := 0; connectTo(socket(t, unix.AF_UNIX, unix.SOCK_NONBLOCK), name) != unix.EAGAIN; i++ {
		if i > 100 {
			t.Fatal("the queue has no end")
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near := binary.BigEndian.AppendUint16([]byte{unix.AF_INET, 0}, uint16(l.Addr().(*net.TCPAddr).Port))
	near = append(near, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)

	m := &Mediator{ // no goroutine may wait
		waiting: make(chan struct{}), barred: func(netip.AddrPort) syscall.Errno { return 0 },
	}
	quick := func() {
		t.Helper()
		if out := connectFor(m, socket(t, unix.AF_INET, unix.SOCK_NONBLOCK), near); out.errno != 0 && out.errno != unix.EINPROGRESS {
			t.Errorf("a connection that does not block: %v", out.errno)
		}
	}
	quick()
	first := make(chan outcome)
	go func() { first <- connectFor(m, socket(t, unix.AF_UNIX, 0), name) }()
	for end := time.Now().Add(20 * time.Second); !m.connecting.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the worker does not connect itself")
		}
	}
	if out := connectFor(m, socket(t, unix.AF_UNIX, 0), name); out.errno != unix.EAGAIN {
		t.Errorf("a second one, which would have to wait: %+v", out)
	}
	quick()
	unix.Close(full)
	full = -1
	if out := <-first; out.errno != unix.ECONNREFUSED {
		t.Errorf("the first ended with %+v", out)
	}
	if out := connectFor(m, socket(t, unix.AF_UNIX, 0), name); out.errno != unix.ECONNREFUSED {
		t.Errorf("after it %+v", out)
	}
}

// connectFor has the mediator connect a socket of this very thread's.
func connectFor(m *Mediator, fd int, addr []byte) outcome {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var pin runtime.Pinner
	defer pin.Unpin()
	c := &call{m: m, r: &notify.Request{TID: unix.Gettid(), Name: "connect", Args: [6]uint64{uint64(fd), pinned(&pin, addr), uint64(len(addr))}}}
	defer c.close()
	return connect(c)
}

func socket(t *testing.T, family, flags int) int {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		t.Error(err)
		return -1
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}
