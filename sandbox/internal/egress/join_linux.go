package egress

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/descriptor"
)

// join passes bytes between the two connections until both directions have ended, and
// records their number. It passes the end of one direction on by itself (half-close);
// an error in one direction ends both, with a reset. Between two TCP connections the
// bytes stay in the kernel (splice(2), through io.Copy).
func (e *Egress) join(in, out stream, c call) {
	so := c.begun
	if so.at.IsZero() {
		so.at = e.cfg.Now()
	}
	idle := e.watch(in, out)
	type end struct {
		n   int64
		err error
	}
	back := make(chan end, 1)
	e.goes(func() {
		n, err := push(in, so.back)
		if err == nil {
			var more int64
			more, err = pour(in, out)
			n += more
		}
		if err != nil {
			abort(in)
			abort(out)
		}
		back <- end{n, err}
	})
	first, err := c.first()
	var sent int64
	if err == nil {
		sent, err = push(out, first)
	}
	if err == nil {
		var n int64
		n, err = pour(out, in)
		sent += n
	}
	if err != nil && !onlyGone(out, in) {
		abort(in)
		abort(out)
	}
	b := <-back
	how := "closed"
	switch {
	case idle():
		how = "closed after nothing came for " + e.cfg.Limits.Idle.String()
	case e.ctx.Err() != nil:
		how = "closed with the sandbox"
	case err != nil || b.err != nil:
		how = "reset"
	}
	so.sent += sent
	so.received += b.n
	e.recordEnd(c, remote(out, c.meant), how, so)
}

// begun is the part of a connection before join took it over.
type begun struct {
	at             time.Time // its beginning, by the egress's clock; zero: now
	sent, received int64     // bytes already passed on
	back           []byte    // bytes received and not yet passed on
}

// recordEnd records how a connection to the address ended, and its traffic.
func (e *Egress) recordEnd(c call, address, how string, was begun) {
	ev := audit.Event{
		Kind: audit.KindConnect, Verdict: audit.Observed, Subject: c.subject, Detail: how, Rule: c.rule.At.String(),
		Address: address, Sent: was.sent, Received: was.received, Duration: e.cfg.Now().Sub(was.at),
	}
	if err := e.ledger.note(ev); err != nil {
		e.ledger.say("record: "+c.subject, "cannot record the end of the connection to "+c.subject+": "+err.Error())
	}
}

// push writes the bytes that were read for the decision.
func push(dst stream, b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := dst.Write(b)
	return int64(n), err
}

// pour copies until src ends and passes the end on.
func pour(dst, src stream) (int64, error) {
	n, err := sip(dst, src)
	if err == nil {
		var more int64
		more, err = io.Copy(dst, src)
		n += more
	}
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		return n, err
	}
	if err := dst.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
		return n, err
	}
	return n, nil
}

// sipped is the number of bytes that go through this process before it makes the pipes
// of splice(2): most connections carry less, and a pipe costs more than a copy.
const sipped = 64 << 10

var sips = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// sip copies the first bytes of src, and returns io.EOF if there are no more. It holds
// no buffer while it waits for bytes.
func sip(dst, src stream) (n int64, err error) {
	conn, ok := src.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	for n < sipped {
		var b *[16 << 10]byte
		var k int
		e := raw.Read(func(fd uintptr) bool {
			b = sips.Get().(*[16 << 10]byte)
			for {
				if k, err = unix.Read(int(fd), b[:]); err != unix.EINTR {
					break
				}
			}
			if err == unix.EAGAIN {
				sips.Put(b)
				return false
			}
			return true
		})
		if e != nil {
			return n, e
		}
		switch {
		case err != nil:
		case k == 0:
			err = io.EOF
		default:
			k, err = dst.Write(b[:k])
			n += int64(k)
		}
		sips.Put(b)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// watch aborts both connections if neither receives anything for the idle time, and
// probes a peer that has been quiet for a while (tcp(7), SO_KEEPALIVE). The kernel
// keeps the time (TCP_INFO), so that a byte costs nothing. Between two unix sockets
// nobody keeps it, and they may be idle forever. The returned function ends the watch
// and reports whether the watch ended the connection.
func (e *Egress) watch(in, out stream) (ended func() bool) {
	limit := e.cfg.Limits.Idle
	var mu sync.Mutex
	var done, fired bool
	var t *time.Timer
	check := func() {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return
		}
		keepAlive(out)
		quiet, ok := quietFor(in, out)
		switch {
		case !ok:
		case quiet < limit:
			t.Reset(limit - quiet)
		default:
			fired = true
			abort(in)
			abort(out)
		}
	}
	mu.Lock()
	t = time.AfterFunc(min(limit, aliveAfter), check)
	mu.Unlock()
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		done = true
		t.Stop()
		return fired
	}
}

// aliveAfter is the age at which a connection gets keepalive: most end sooner, and each
// option is a system call.
const aliveAfter = 15 * time.Second

func keepAlive(c stream) {
	if t := tcpOf(c); t != nil {
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}) // without it, a dead peer is waited for until the idle time
	}
}

// quietFor is the time since the last byte arrived on any of the connections, as far as
// the kernel reports it.
func quietFor(conns ...stream) (quiet time.Duration, ok bool) {
	for _, c := range conns {
		info := tcpInfo(c)
		if info == nil {
			continue
		}
		if d := time.Duration(info.Last_data_recv) * time.Millisecond; !ok || d < quiet {
			quiet, ok = d, true
		}
	}
	return quiet, ok
}

// onlyGone reports whether out was reset and in was not. A peer that answers and closes
// before it has read everything resets the connection after its answer, which can still
// be read.
func onlyGone(out, in stream) bool { return isReset(out) && !isReset(in) }

func isReset(c stream) bool {
	info := tcpInfo(c)
	return info != nil && info.State == unix.BPF_TCP_CLOSE
}

// tcpInfo is the kernel's information about c, or nil.
func tcpInfo(c stream) (info *unix.TCPInfo) {
	t := tcpOf(c)
	if t == nil {
		return nil
	}
	if descriptor.Of(t, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	}) != nil {
		return nil
	}
	return info
}

// abort closes c; it resets a TCP connection, so that the other side does not take the
// end for an orderly one.
func abort(c io.Closer) {
	if t := tcpOf(c); t != nil {
		_ = t.SetLinger(0) // a closed connection needs nothing more
	}
	_ = c.Close()
}

// tcpOf is the TCP connection that carries c, below any TLS with a proxy, or nil.
func tcpOf(c any) *net.TCPConn {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = over.NetConn()
	}
	t, _ := c.(*net.TCPConn)
	return t
}

// remote is the address of c's peer, or def if it has none.
func remote(c net.Conn, def string) string {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().String()
	}
	return def
}

// isClosed reports whether err means that this side closed the connection.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) }
