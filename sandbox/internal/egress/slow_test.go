package egress

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// full is a host of the world that does not answer: its queue of connections is full,
// so that the kernel drops what opens one, as a distant host's answer takes its time.
// fd is the listener, and room makes room in the queue.
func full(t *testing.T, w *world, addr string) (fd int, room func()) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	at := mustAddrPort(t, addr)
	must(t, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1))
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}))
	must(t, unix.Listen(fd, 0))
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(s) })
	if err := unix.Connect(s, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	return fd, func() {
		c, _, err := unix.Accept(fd)
		must(t, err)
		unix.Close(c)
	}
}

// A host that is far answers after a while: the program's connect waits for it, as
// outside, and gets it, a refusal, or nothing for as long as the limit says.
func TestHostsThatAnswerLater(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		later, room := full(t, w, "203.0.113.5:8080")
		gone, _ := full(t, w, "203.0.113.6:8081")
		full(t, w, "203.0.113.7:8082")
		cfg := w.config(network(t, "203.0.113.5:8080", "203.0.113.6:8081", "203.0.113.7:8082"))
		cfg.Limits.Connect = 2 * time.Second
		e := w.serve(cfg)
		refused := w.begin("203.0.113.6:8081") // by the time its opening comes again
		defer unix.Close(refused)
		silent := w.begin("203.0.113.7:8082")
		defer unix.Close(silent)
		awaitDialling(e, 2)
		timer := time.AfterFunc(300*time.Millisecond, func() {
			room()
			unix.Close(gone)
			c, _, err := unix.Accept(later) // the one that waits, when its opening comes again
			if err != nil {
				return
			}
			_, _ = unix.Write(c, []byte("late"))
			unix.Close(c)
		})
		defer timer.Stop()
		c, err := w.dial("203.0.113.5:8080")
		must(t, err)
		if got, err := talk(c, ""); got != "late" || err != nil {
			t.Errorf("from the one that answered late: %q, %v", got, err)
		}
		for end := time.Now().Add(patience); time.Now().Before(end); {
			if n, err := unix.Poll([]unix.PollFd{{Fd: int32(refused), Events: unix.POLLOUT}}, 100); n > 0 && err == nil {
				break
			}
		}
		if errno, err := unix.GetsockoptInt(refused, unix.SOL_SOCKET, unix.SO_ERROR); syscall.Errno(errno) != syscall.ECONNREFUSED || err != nil {
			t.Errorf("where nobody listens any more: %v, %v", syscall.Errno(errno), err)
		}
		w.awaitTold("cannot reach 203.0.113.6:8081, which p.toml:2:1 allows: connection refused")
		w.awaitTold("cannot reach 203.0.113.7:8082, which p.toml:3:1 allows: nobody answered within 2s")
		if errno, err := unix.GetsockoptInt(silent, unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 || err != nil { // it waits, as outside
			t.Errorf("where nobody answers: %v, %v", syscall.Errno(errno), err)
		}
	})
}

// A server that ends while it waits for a host leaves no descriptor behind.
func TestCloseWhileAHostIsWaitedFor(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		full(t, w, "203.0.113.5:8080")
		before := countFDs(t)
		e := w.serve(w.config(network(t, "203.0.113.5:8080")))
		fd := w.begin("203.0.113.5:8080")
		defer unix.Close(fd)
		awaitDialling(e, 1)
		must(t, e.Close())
		if now := countFDs(t); now > before+1 { // fd
			t.Errorf("%d descriptors are open, %d were", now, before)
		}
	})
}

// awaitDialling waits until an egress waits for the answers of so many hosts.
func awaitDialling(e *Egress, hosts int) {
	for n := 0; n < hosts; time.Sleep(time.Millisecond) {
		n = 0
		e.mu.Lock()
		for c := range e.open {
			if _, is := c.(*dialling); is {
				n++
			}
		}
		e.mu.Unlock()
	}
}
