package egress

import (
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkThroughput compares a connection through the egress with one over bare
// loopback. The egress should keep at least a third of the throughput.
func BenchmarkThroughput(b *testing.B) {
	const addr = "203.0.113.5:8080"
	inWorld(b, func(w *world) {
		w.peer(addr, func(c *net.TCPConn) {
			buf := make([]byte, 1<<20)
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
			}
		})
		push := func(b *testing.B, c net.Conn) {
			defer c.Close()
			must(b, c.SetDeadline(time.Time{}))
			buf := make([]byte, 1<<20)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := c.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			must(b, c.(*net.TCPConn).CloseWrite())
			_, _ = io.Copy(io.Discard, c) // until the peer has everything
		}
		b.Run("loopback", func(b *testing.B) {
			c, err := net.Dial("tcp", addr)
			must(b, err)
			push(b, c)
		})
		for name, behind := range map[string]apart{"apart": listenBehind, "shared": noWire} {
			b.Run(name, func(b *testing.B) {
				w := newSandbox(b)
				w.serveBehind(w.config(network(b, addr)), behind)
				c, err := w.dial(addr)
				must(b, err)
				push(b, c)
			})
		}
	})
}

// BenchmarkConnection measures a connection that carries a byte there and back, with
// everything that takes part in it.
func BenchmarkConnection(b *testing.B) {
	const addr = "203.0.113.5:8080"
	inWorld(b, func(w *world) {
		w.peer(addr, func(c *net.TCPConn) {
			var one [1]byte
			if _, err := c.Read(one[:]); err == nil {
				_, _ = c.Write(one[:])
			}
		})
		s := newSandbox(b)
		s.serve(w.config(network(b, addr)))
		for b.Loop() {
			c, err := s.dial(addr)
			must(b, err)
			if _, err := c.Write([]byte("e")); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
}

// BenchmarkListen measures the cost of the network at the start of a sandbox.
func BenchmarkListen(b *testing.B) {
	inWorld(b, func(*world) {
		n := network(b, "203.0.113.5:8080")
		for name, behind := range map[string]apart{"apart": listenBehind, "shared": noWire} {
			b.Run(name, func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					w := newSandbox(b)
					var hs []Handle
					var err error
					b.StartTimer()
					w.inside(func() { hs, err = listen(n, behind) })
					b.StopTimer()
					must(b, err)
					closeHandles(hs)
					b.StartTimer()
				}
			})
		}
	})
}

// BenchmarkConnect measures a connection with a byte each way.
func BenchmarkConnect(b *testing.B) {
	inWorld(b, func(w *world) {
		w.peer("203.0.113.5:8080", echo)
		cfg := w.config(network(b, "203.0.113.5:8080"))
		cfg.Limits.PerSecond = 1_000_000
		w.serve(cfg)
		for b.Loop() {
			c, err := w.dial("203.0.113.5:8080")
			must(b, err)
			if got, err := talk(c, "x"); got != "x" || err != nil {
				b.Fatal(got, err)
			}
		}
	})
}

// inWorld runs a benchmark in a copy of the test binary with a network of its own, and
// prints the copy's output.
func inWorld(b *testing.B, f func(w *world)) {
	b.Helper()
	if os.Getenv(stageVar) != "" {
		f(newWorld(b))
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^$", "-test.bench=^"+strings.SplitN(b.Name(), "/", 2)[0]+"$", "-test.benchtime=500ms")
	cmd.Env, cmd.Dir = append(os.Environ(), stageVar+"=world"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	b.Logf("%s", out)
	b.SkipNow() // the figures are the copy's
}
