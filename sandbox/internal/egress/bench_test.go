package egress

import (
	"io"
	"net"
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
		for _, m := range []machine{apart, shared} {
			b.Run(string(m), func(b *testing.B) {
				w := newSandbox(b)
				w.serveOn(m, w.config(network(b, addr)))
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
