package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/flight"
	"mcpen/sandbox/internal/rpc"
)

// waitingFor is an idle relay with the client's requests in flight, and one of the
// server's, 7.
func waitingFor(t *testing.T, client, server *sink, ids ...string) *Relay {
	waiting, asked := &requests{}, &requests{}
	for _, id := range ids {
		waiting.Add(&flight.Request{ID: []byte(id), Method: "ping"})
	}
	asked.Add(&flight.Request{ID: []byte("7"), Method: "roots/list"})
	return idle(t, client, server, func(c *Config) { keep(c); c.Requests, c.Asked = waiting, asked })
}

// An overlong line is discarded, and the side that waits because of it gets an error:
// with its own id if that is visible, and never with a guessed one.
func TestWhoHearsOfALineThatIsTooLong(t *testing.T) {
	const fill = `,"x":"`
	for _, c := range []struct {
		from         Side
		head, tail   string
		flight       []string
		client, serv string // the ids of the errors that each side gets, in JSON
	}{
		{Client, `{"jsonrpc":"2.0","id":7,"method":"ping"` + fill, `"}`, nil, "7", ""},
		{Client, `{"jsonrpc":"2.0","method":"ping"` + fill, `","id":7}`, nil, "7", ""},
		{Client, `{"jsonrpc":"2.0","method":"ping"` + fill, `"}`, nil, "", ""},              // a notification
		{Client, `[{"jsonrpc":"2.0","id":7,"method":"ping"` + fill, `"}]`, nil, "null", ""}, // a batch
		{Client, `no JSON`, `at all`, nil, "null", ""},
		{Client, `no JSON`, `at all`, []string{"7"}, "null", ""},                 // and not the waiting one
		{Client, `{"jsonrpc":"2.0","id":7,"result":{"x":"`, `"}}`, nil, "", "7"}, // an answer from the client
		{Client, `{"jsonrpc":"2.0","method":"ping","id":12`, `34"}`, nil, "", ""},
		{Client, `{"jsonrpc":"2.0","method":"ping","id":12`, `34,"params":{"x":1},"id":1234}`, nil, "1234", ""},
		{Server, `{"jsonrpc":"2.0","id":7,"result":{"x":"`, `"}}`, []string{"7", "8"}, "7", ""},
		{Server, `{"jsonrpc":"2.0","result":{"x":"`, `"},"id":8}`, []string{"7", "8"}, "8", ""},
		{Server, `{"jsonrpc":"2.0","result":{"x":"`, `"}}`, []string{"7", "8"}, "", ""}, // one of two
		{Server, `{"jsonrpc":"2.0","result":{"x":"`, `"}}`, []string{"7"}, "7", ""},
		{Server, `{"jsonrpc":"2.0","x":"`, `","id":8}`, []string{"7", "8"}, "8", ""}, // neither a result nor a method is visible
		{Server, `{"jsonrpc":"2.0","id":3,"method":"roots/list"` + fill, `"}`, []string{"7"}, "", "3"},
		{Server, `{"jsonrpc":"2.0","method":"notifications/progress"` + fill, `"}`, []string{"7"}, "", ""},
		{Server, `{"jsonrpc":"2.0","id":7,"result":{"x":"`, `"},"id":8}`, []string{"7", "8"}, "", ""}, // two ids
	} {
		client, server := &sink{}, &sink{}
		r := waitingFor(t, client, server, c.flight...)
		r.tooLong(c.from, &long{head: []byte(c.head), tail: []byte(c.tail), size: 1 << 20})
		for who, o := range map[string]*outlet{"client": r.toClient, "server": r.toServer} {
			o.empty()
			got, want := client.String(), c.client
			if who == "server" {
				got, want = server.String(), c.serv
			}
			if want == "" && got != "" || want != "" && (!strings.HasPrefix(got, `{"jsonrpc":"2.0","id":`+want+`,"error":`) || strings.Count(got, "\n") != 1) {
				t.Errorf("%s sends %q … %q with %v in flight: the %s hears %q, want the id %q", c.from, c.head, c.tail, c.flight, who, got, want)
			}
		}
	}
}

// An invalid line from the client concerns only the client: it gets an error with an id
// of null, and no other request's answer.
func TestABrokenLineOfTheClient(t *testing.T) {
	client, server := &sink{}, &sink{}
	r := waitingFor(t, client, server, "7")
	line := `{"jsonrpc":"2.0","result":{"x":NaN}}`
	r.line(Client, frame{raw: []byte(line + "\n"), line: []byte(line)})
	r.toClient.empty()
	r.toServer.empty()
	if !strings.HasPrefix(client.String(), `{"jsonrpc":"2.0","id":null,"error":`) || server.Len() > 0 {
		t.Errorf("the client hears %q, the server %q", client.String(), server.String())
	}
	if r.Requests.Only() == nil {
		t.Error("the request that waits was forgotten")
	}
	// The view before the fault counts, whatever the line's end looks like.
	seen := rpc.Message{Kind: rpc.Response, ID: []byte("1")}
	if m := r.broken([]byte(`{"jsonrpc":"2.0","id":1,"result":{"x":NaN},"id":2}`), seen); m.Kind != rpc.Response || string(m.ID) != "1" {
		t.Errorf("the answer to 1 is taken for %v %s", m.Kind, m.ID)
	}
}

// Messages glued together are refused one by one, up to a bound.
func TestGluedMessagesAreBounded(t *testing.T) {
	one := `{"jsonrpc":"2.0","method":"n"}`
	for n, want := range map[int]int{2: 1, maxBatch: maxBatch - 1, maxBatch + 1: maxBatch, maxBatch + 2: maxBatch} {
		line := []byte(strings.Repeat(one, n))
		_, err := rpc.View(line)
		if all := glued(line, err); len(all) != want {
			t.Errorf("%d of them: %d are seen, want %d", n, len(all), want)
		}
	}
	if all := glued([]byte(one), nil); len(all) != 0 {
		t.Errorf("behind a whole line stands %v", all)
	}
}

// While a server's line is on its way to the client the server is not idle; once it
// arrives, the client's patience restarts. The client's lines are no sign of life of
// the server.
func TestOnlyTheServersLinesAreItsMotion(t *testing.T) {
	text := `{"jsonrpc":"2.0","method":"n"}` + "\n"
	r := idle(t, &sink{}, &sink{}, nil)
	r.carry(Client, newLines(strings.NewReader(text), 100))
	if len(r.motion.moved) != 0 || r.motion.busy.Load() {
		t.Error("the client moves for the server")
	}
	first := true
	r.Inspect = func(from Side, line []byte, _ rpc.Message) Delivery {
		if first && (!r.motion.busy.Load() || r.motion.behind.Load() != int64(len(text))) {
			t.Errorf("a line of the server's is on its way, and %d bytes behind it: busy %v", r.motion.behind.Load(), r.motion.busy.Load())
		}
		first = false
		return Delivery{Forward: line}
	}
	r.carry(Server, newLines(strings.NewReader(text+text), 100))
	if len(r.motion.moved) != 1 || r.motion.busy.Load() {
		t.Errorf("the server has moved: %d, busy %v", len(r.motion.moved), r.motion.busy.Load())
	}
}

// A server that was asked to end is not hurried while one of its lines waits for the
// client. It is once nothing has arrived for its allotted time.
func TestCalmOutlastsABusyServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Relay{motion: newMotion(), clientGone: make(chan struct{})}
		r.motion.busy.Store(true)
		start := time.Now()
		go func() {
			time.Sleep(2500 * time.Millisecond)
			r.motion.busy.Store(false)
			time.Sleep(1000 * time.Millisecond)
			r.motion.end()
		}()
		over, hurried := r.calm(make(chan struct{}))(make(chan struct{}), make(chan struct{}), time.Second)
		if took := time.Since(start); over || hurried || took != 3*time.Second {
			t.Errorf("over %v, hurried %v after %v, want 3 s", over, hurried, took)
		}
		time.Sleep(time.Second)
		<-r.motion.moved
		start = time.Now()
		go func() {
			for range 5 {
				time.Sleep(700 * time.Millisecond)
				r.motion.end()
			}
		}()
		over, hurried = r.calm(make(chan struct{}))(make(chan struct{}), make(chan struct{}), time.Second)
		if took := time.Since(start); over || hurried || took != 4500*time.Millisecond {
			t.Errorf("over %v, hurried %v after %v, want 4.5 s", over, hurried, took)
		}
	})
}

// An unanswered request's error says how the server ended only if it did.
func TestHowTheServerEndedIsToldOnceItDid(t *testing.T) {
	for ended, want := range map[bool]string{false: "the server ended before", true: "the server was killed before"} {
		client := &sink{}
		r := waitingFor(t, client, &sink{}, "7")
		done := make(chan struct{})
		r.Process.Done, r.Process.Status = done, func() string { return "was killed" }
		if ended {
			close(done)
		}
		r.answerAll()
		if r.toClient.empty(); !strings.Contains(client.String(), want) {
			t.Errorf("ended %v: %s", ended, client.String())
		}
	}
}

// gate is a writer that waits for leave before each write.
type gate struct {
	leave chan struct{}
	got   atomic.Int64
}

func (g *gate) Write(p []byte) (int, error) { <-g.leave; g.got.Add(int64(len(p))); return len(p), nil }
func (g *gate) Close() error                { return nil }

// A caller that causes lines to a side that does not read waits: once the queue is
// full, until some of it is read, or nobody will read it.
func TestWhoFillsAQueueWaits(t *testing.T) {
	for name, end := range map[string]bool{"read": false, "closed": true} {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{leave: make(chan struct{})}
			o := newOutlet(g)
			o.slip([]byte("first")) // is being written, and does not fill the queue
			synctest.Wait()
			line := make([]byte, queueMax/4-1)
			for range 4 {
				o.slip(line)
			}
			var through atomic.Bool
			go func() { o.slip([]byte("more")); through.Store(true) }()
			synctest.Wait()
			if through.Load() || len(o.queue) != queueMax {
				t.Fatalf("%s: %d bytes are queued, and nobody waits", name, len(o.queue))
			}
			if end {
				o.close()
			} else {
				g.leave <- struct{}{}
				g.leave <- struct{}{}
			}
			synctest.Wait()
			if !through.Load() {
				t.Errorf("%s: it waits on", name)
			}
			if !end {
				g.leave <- struct{}{}
				o.empty()
				if want := int64(len("first\n") + queueMax + len("more\n")); g.got.Load() != want {
					t.Errorf("%d bytes were written, want %d", g.got.Load(), want)
				}
				o.close()
			} else {
				close(g.leave)
			}
			synctest.Wait()
		})
	}
}

// A socket is read without waiting in the kernel, since another holder of it may take
// the available data first. Other descriptors are polled first.
func TestASocketIsReadWithoutWaiting(t *testing.T) {
	a, b := socketpair(t, 0)
	defer unix.Close(b)
	f := fdOf(t, a)
	if _, err := unix.Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	var flags []uint64
	err := fault.Watch([]uintptr{unix.SYS_RECVFROM}, func(c fault.Call) fault.Answer {
		flags = append(flags, c.Args[3])
		return fault.Pass
	}, func() {
		if n, err := f.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	if err != nil || len(flags) != 1 || flags[0] != unix.MSG_DONTWAIT {
		t.Errorf("received with %#x (%v)", flags, err)
	}
}

// A write that waits for a reader survives a signal, reports the bytes written if the
// wait fails, and ends with Close.
func TestAWriteThatWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		errno unix.Errno
		want  error
	}{{"a signal", unix.EINTR, nil}, {"a failure", unix.ENOMEM, unix.ENOMEM}} {
		r, w := rawPipe(t)
		defer unix.Close(r)
		defer unix.Close(w)
		f := fdOf(t, w)
		size, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
		if err != nil {
			t.Fatal(err)
		}
		waits := 0
		err = fault.Watch([]uintptr{unix.SYS_POLL, unix.SYS_PPOLL}, func(call fault.Call) fault.Answer {
			if call.Args[1] != 2 { // of the descriptor alone: whether it is ready
				return fault.Pass
			}
			if waits++; waits == 1 {
				return fault.Fail(c.errno)
			}
			buf := make([]byte, size)
			for n := 0; n < size; { // somebody reads
				m, err := unix.Read(r, buf)
				if err != nil {
					t.Error(err)
					break
				}
				n += m
			}
			return fault.Pass
		}, func() {
			n, err := f.Write(make([]byte, size+1))
			if !errors.Is(err, c.want) || c.want == nil && n != size+1 || c.want != nil && n != size {
				t.Errorf("%s: %d bytes of %d, %v", c.name, n, size+1, err)
			}
		})
		if err != nil || waits == 0 {
			t.Errorf("%s: %v, %d waits", c.name, err, waits)
		}
	}
}

// An end that supports no checks counts as present and empty.
func TestAnEndThatCannotBeAsked(t *testing.T) {
	if hungUp(unasked{}) || waiting(unasked{}) != 0 {
		t.Error("an end that cannot be asked is gone, or holds something")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	if hungUp(w) || waiting(r) != 0 {
		t.Error("an end that was closed is gone, or holds something")
	}
}

type unasked struct{ io.ReadWriter }

func (unasked) SyscallConn() (syscall.RawConn, error) { return nil, unix.EBADF }

// The error about a descriptor that cannot be reopened names its number.
func TestReopenSaysWhich(t *testing.T) {
	a, _ := socketpair(t, 0)
	_, err := Reopen(a, unix.O_RDONLY)
	var at *os.PathError
	if !errors.Is(err, unix.ESPIPE) || !errors.As(err, &at) || !strings.HasPrefix(at.Path, "descriptor ") {
		t.Errorf("%v", err)
	}
	unheard, err := fault.Each([]uintptr{unix.SYS_FSTAT, unix.SYS_OPENAT}, unix.EMFILE, nil, func() error {
		r, w := rawPipe(t)
		defer unix.Close(r)
		defer unix.Close(w)
		f, err := Reopen(r, unix.O_RDONLY)
		if err == nil {
			f.Close()
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
}

// A word that looks like mcpen's name counts, whatever follows it.
func TestANameInOtherLetters(t *testing.T) {
	for text, want := range map[string]bool{
		"mcp\u0435n": true, "mcp\u0435n:hint-of-ours": true, "mcp\u0435n\u2003then": true, "mcp\u0435n\u00a0then": true, "[mcp\u0435n] x": true, "12 mcp\u0435n": true, "\u00abmcpen": true, "\"mcpen": false,
		"mcp\u0435nthen": false, "mc\u0435n": true, "mc\u0435": false, "mccp\u0435n": true, "mcccp\u0435n": false, "mcpen": false, "": false, "\u0435": false,
	} {
		if got := resembles(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A deadline passes at its time, and sooner in a hurry: never later than either.
func TestADeadlineIsOverInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct{ hurry, want time.Duration }{"no hurry": {time.Hour, 10 * time.Second}, "a hurry": {2 * time.Second, 5 * time.Second}} {
			ctx, cancel := context.WithCancel(t.Context())
			start := time.Now()
			time.AfterFunc(c.hurry, cancel)
			d := newDeadline(ctx, 10*time.Second, 3*time.Second)
			d.wait(nil)
			if took := time.Since(start); took != c.want {
				t.Errorf("%s: over after %v, want %v", name, took, c.want)
			}
			d.stop()
			cancel()
		}
	})
}

// The server sees the end of its input once it has been silent for its allotted time,
// and a line that still waits for the client is reported.
func TestInputEndsBehindALineThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := waitingFor(t, &sink{}, &sink{}, "7")
		r.Ladder.Grace = time.Second
		limit := make(chan struct{})
		r.motion.busy.Store(true)
		time.AfterFunc(1500*time.Millisecond, func() { r.motion.busy.Store(false) })
		start := time.Now()
		go func() {
			<-r.toServer.done // its input ended
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("after %v, want 2 s", took)
			}
			close(limit)
		}()
		time.AfterFunc(time.Minute, func() {
			if !isClosed(limit) {
				t.Error("the input never ends")
				close(limit)
			}
		})
		r.settle(make(chan struct{}), limit)
		r.chat.end()
		r.toClient.close()
		r.toServer.close()
		time.Sleep(time.Hour)
	})
}

// A Close that cannot wake a waiting call says so: the call keeps waiting.
func TestACloseThatWakesNobody(t *testing.T) {
	r, w := rawPipe(t)
	defer unix.Close(w)
	defer unix.Close(r)
	f := fdOf(t, w)
	if !f.enter() {
		t.Fatal("it is closed")
	}
	defer f.leave()
	err := fault.Watch([]uintptr{unix.SYS_WRITE}, func(c fault.Call) fault.Answer {
		if c.Args[0] == uint64(f.wake) {
			return fault.Fail(unix.EIO)
		}
		return fault.Pass
	}, func() {
		if err := f.Close(); !errors.Is(err, unix.EIO) {
			t.Errorf("%v", err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
