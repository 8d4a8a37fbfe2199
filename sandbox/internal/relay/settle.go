package relay

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
)

// motion tracks the server's lines.
type motion struct {
	busy   atomic.Bool   // a line of the server's was read and is still being handled
	behind atomic.Int64  // bytes that were read together with it
	moved  chan struct{} // holds one if a line was handled since the last look
}

func newMotion() *motion { return &motion{moved: make(chan struct{}, 1)} }

func (m *motion) begin(behind int) {
	m.behind.Store(int64(behind))
	m.busy.Store(true)
}

func (m *motion) end() {
	m.busy.Store(false)
	select {
	case m.moved <- struct{}{}:
	default:
	}
}

// settle gives a server time to answer a client that closed its end after its last
// request. It returns when no answer is due, or when nobody is left who answers or
// listens. The server sees the end of its input once it has written nothing for Grace:
// some servers exit at once when they see it and answer nothing more, and some answer
// only then. If the last line has no other end, the server sees the end of its input at
// once.
func (r *Relay) settle(hurry, limit <-chan struct{}) {
	if r.toServer.open() {
		_ = r.endInput() // as in climb
	}
	t := time.NewTimer(r.Ladder.Grace)
	defer t.Stop()
	for r.Requests.Waiting() {
		select {
		case <-r.Process.Done:
			return
		case <-r.serverDone:
			return
		case <-r.clientGone:
			return
		case <-hurry:
			return
		case <-limit:
			return
		case <-r.motion.moved:
			t.Reset(r.Ladder.Grace)
		case <-t.C:
			if r.motion.busy.Load() { // a line waits for the client
				t.Reset(r.Ladder.Grace)
				break
			}
			_ = r.endInput()
		}
	}
}

// calm returns a waiter whose d restarts with each line of the server's, while there is
// a client that may take it. While the client has not taken a line, the server counts
// as still writing it.
func (r *Relay) calm(limit <-chan struct{}) waiter {
	return func(done, hurry <-chan struct{}, d time.Duration) (over, hurried bool) {
		t := time.NewTimer(d)
		defer t.Stop()
		for {
			select {
			case <-done:
				return true, false
			case <-hurry:
				return isClosed(done), true
			case <-r.clientGone:
				return wait(done, hurry, d)
			case <-limit:
				return isClosed(done), false
			case <-r.motion.moved:
				t.Reset(d)
			case <-t.C:
				if !r.motion.busy.Load() {
					return isClosed(done), false
				}
				t.Reset(d)
			}
		}
	}
}

// goneTick is the interval at which a client that closed its end is checked. A write
// finds out at once.
const goneTick = 250 * time.Millisecond

// watchClient detects, until stop is called, that nobody reads the client's end any
// more: otherwise a server would get time to answer a dead client.
func (r *Relay) watchClient(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(goneTick)
		defer t.Stop()
		for !hungUp(r.Ends.ClientOut) {
			select {
			case <-ctx.Done():
				return
			case <-r.clientGone:
				return
			case <-t.C:
			}
		}
		r.lostClient()
	}()
	return func() { cancel(); <-done }
}

func (r *Relay) lostClient() { r.goneOnce.Do(func() { close(r.clientGone) }) }

// hungUp reports whether w has no reader any more, as far as poll(2) can tell: POLLERR
// for a pipe, POLLHUP for a socket and a terminal.
func hungUp(w io.Writer) bool {
	if f, ok := w.(*FD); ok {
		return f.hungUp()
	}
	conn, ok := w.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		gone = pollGone(int(fd))
	})
	return err == nil && gone
}

func pollGone(fd int) bool {
	fds := [...]unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n == 1 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}

// reportUnread reports and records how much of the server's last output the client did
// not take. A client that is gone wants none of it.
func (r *Relay) reportUnread() {
	if isClosed(r.clientGone) {
		return
	}
	n := r.toClient.unwritten()
	if !isClosed(r.serverDone) {
		n += r.motion.behind.Load() + waiting(r.Ends.ServerOut)
	}
	if n == 0 {
		return
	}
	detail := fmt.Sprintf("%d bytes of what the server wrote last were not passed on whole: the client did not read them", n)
	r.chat.report(audit.Event{Kind: audit.KindLine, Verdict: audit.Refused, Subject: "not read", Detail: detail}, "mcpen: "+detail, r.emit)
}

// waiting is the number of bytes in a pipe or a socket, if known.
func waiting(from io.Reader) int64 {
	conn, ok := from.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		if have, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil {
			n = have
		}
	})
	if err != nil {
		return 0
	}
	return int64(n)
}
