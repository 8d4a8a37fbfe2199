package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/flight"
	"mcpen/sandbox/internal/rpc"
)

// sink is a writer that keeps its input, or refuses it.
type sink struct {
	bytes.Buffer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.Buffer.Write(p)
}

func (s *sink) WriteString(text string) (int, error) { return s.Write([]byte(text)) }
func (s *sink) Close() error                         { return nil }

// idle is a relay that is not running: the test calls its parts.
func idle(t *testing.T, client, server *sink, change func(*Config)) *Relay {
	t.Helper()
	c := Config{
		Ends:    Ends{ClientIn: io.NopCloser(strings.NewReader("")), ClientOut: client, Stderr: nopCloser{io.Discard}, ServerIn: server, ServerOut: io.NopCloser(strings.NewReader("")), ServerErr: io.NopCloser(strings.NewReader(""))},
		Process: Process{Signal: func(os.Signal) error { return nil }, Done: make(chan struct{})}, Sink: func(audit.Event) error { return nil },
	}
	if change != nil {
		change(&c)
	}
	if c.Requests == nil {
		keep(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.chat.end()
		r.toClient.close()
		r.toServer.close()
	})
	return r
}

// Inspect's version of a line arrives, even if it is a part of the line.
func TestAPartOfALineIsForwarded(t *testing.T) {
	const line = `{"jsonrpc":"2.0","method":"n","params":{}}`
	g := newRig(t, func(c *Config) {
		c.Inspect = func(from Side, line []byte, _ rpc.Message) Delivery {
			if from == Client {
				return Delivery{Forward: line[:len(line)-1]}
			}
			return Delivery{Forward: line[:0]}
		}
	})
	g.send(g.clientIn, line+"\r\n")
	g.want(g.serverIn, line[:len(line)-1]+"\r\n")
	g.send(g.serverOut, line+"\n")
	g.want(g.clientOut, "\n")
	g.finish()
}

// Only a request that cannot be written is answered: nobody asked for an answer to a
// notification, or to an answer.
func TestOnlyRequestsAreAnsweredWhereNobodyReads(t *testing.T) {
	for line, want := range map[string]string{
		`{"jsonrpc":"2.0","method":"n"}`:                   "",
		`{"jsonrpc":"2.0","id":1,"result":{}}`:             "",
		`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`:   `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the client cannot be reached any more"}}` + "\n",
		`{"jsonrpc":"2.0","id":"a","method":"roots/list"}`: `{"jsonrpc":"2.0","id":"a","error":{"code":-32603,"message":"the client cannot be reached any more"}}` + "\n",
	} {
		server := &sink{}
		r := idle(t, &sink{err: unix.EPIPE}, server, nil)
		r.line(Server, frame{raw: []byte(line + "\n"), line: []byte(line)})
		r.toServer.empty()
		if got := server.String(); got != want {
			t.Errorf("%s: the server gets %q, want %q", line, got, want)
		}
		if !isClosed(r.clientGone) {
			t.Errorf("%s: the client is not gone", line)
		}
		// The other way round: a server that does not read is not a client that is
		// gone.
		client := &sink{}
		r = idle(t, client, &sink{err: unix.EPIPE}, nil)
		r.line(Client, frame{raw: []byte(line + "\n"), line: []byte(line)})
		r.toClient.empty()
		if got, want := client.String(), strings.ReplaceAll(want, "the client", "the server"); got != want || isClosed(r.clientGone) {
			t.Errorf("%s: the client gets %q, want %q", line, got, want)
		}
	}
}

// A request that was answered while it could not be written is not answered twice.
func TestNobodyIsAnsweredTwice(t *testing.T) {
	client, waiting := &sink{}, &requests{}
	r := idle(t, client, &sink{}, func(c *Config) { keep(c); c.Requests = waiting })
	m, _ := rpc.View([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	r.fail(Client, m, "x")
	r.toClient.empty()
	if client.Len() > 0 {
		t.Errorf("got %q", client.String())
	}
	waiting.Add(&flight.Request{ID: m.ID, Method: m.Method})
	r.fail(Client, m, "x")
	r.toClient.empty()
	if want := `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the server x"}}` + "\n"; client.String() != want {
		t.Errorf("got %q", client.String())
	}
	for name, id := range map[string][]byte{"null": []byte("null"), "none": nil} {
		client.Reset()
		r.answer(Server, rpc.Message{Kind: rpc.Response, ID: id}, 1, "m")
		if r.toClient.empty(); client.Len() > 0 {
			t.Errorf("an answer with the id %s is answered: %q", name, client.String())
		}
	}
}

// The check for an unfinished last line does not block the next line.
func TestLookingAtAnOutletLeavesItOpen(t *testing.T) {
	w := &sink{}
	o := newOutlet(w)
	for _, c := range []struct {
		parts []string
		open  bool
	}{{[]string{"a\n"}, false}, {[]string{"b"}, true}, {[]string{"c", "", "\n"}, false}, {[]string{"d\n", "e"}, true}, {[]string{""}, true}} {
		var parts [][]byte
		for _, p := range c.parts {
			parts = append(parts, []byte(p))
		}
		if err := o.forward(parts...); err != nil {
			t.Fatal(err)
		}
		if o.open() != c.open {
			t.Errorf("behind %q the line is open: %v", c.parts, !c.open)
		}
		if !o.write.TryLock() {
			t.Fatal("nobody can write any more")
		}
		if o.open() {
			t.Error("a line that is being written is said to be open")
		}
		o.write.Unlock()
	}
	o.slip([]byte("own"))
	o.empty()
	if got := w.String(); got != "a\nbc\nd\ne\nown\n" {
		t.Errorf("%q", got)
	}
	if n := o.unwritten(); n != 0 {
		t.Errorf("%d bytes are unwritten", n)
	}
	o.close()
	<-o.done
	if err := o.forward([]byte("x")); !errors.Is(err, errOutletClosed) {
		t.Errorf("behind close: %v", err)
	}
	o.slip([]byte("x"))
	o.empty()
	if o.unwritten() != 0 {
		t.Error("something waits for nobody")
	}
	// The first error is the one that is reported.
	bad := newOutlet(&sink{err: unix.EPIPE})
	if err := bad.forward([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("%v", err)
	}
	bad.close()
	if err := bad.forward([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the second error hides the first: %v", err)
	}
	if bad.unwritten() != 1 {
		t.Errorf("%d bytes are unwritten, want that of the line that failed", bad.unwritten())
	}
}

// After a flood, the held lines are released in order, before the new one, once there
// is room for them and as many more; and they use up that room.
func TestLinesAreToldAgainAfterAFlood(t *testing.T) {
	for tokens, opens := range map[int]bool{chatAgain: true, chatAgain - 1: false} {
		var told []string
		c := newChatter(io.Discard, func(e audit.Event) { told = append(told, e.Subject) })
		on := c.lanes[audit.KindStderr]
		on.limit = rate.NewLimiter(0, 0)
		for i := range keptLines + 2 {
			c.say(audit.KindStderr, frame{line: fmt.Appendf(nil, "old %d", i)})
		}
		if len(told) > 0 {
			t.Errorf("told over the limit: %q", told)
		}
		on.limit = rate.NewLimiter(0, tokens)
		c.say(audit.KindStderr, frame{line: []byte("new")})
		if !opens {
			if len(told) > 0 {
				t.Errorf("%d lines may be told, and %q are", tokens, told)
			}
			c.end()
			<-c.done
			continue
		}
		if len(told) != keptLines+2 || told[0] != "2 lines suppressed (stderr)" || told[1] != "old 2" || told[keptLines+1] != "new" {
			t.Errorf("%d lines: %q", len(told), told)
		}
		if left, want := int(on.limit.Tokens()), tokens-keptLines-1; left != want || on.closed() {
			t.Errorf("%d more lines may be told, want %d", left, want)
		}
		c.end()
		<-c.done
		c.end() // and once more
		c.say(audit.KindStderr, frame{line: []byte("late")})
		if told[len(told)-1] == "late" {
			t.Error("something is recorded behind the end")
		}
	}
}

// stuck is a stderr that accepts nothing until it is released.
type stuck struct {
	got  chan string
	hold chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) { <-s.hold; s.got <- string(p); return len(p), nil }

// If stderr is not read, the newest lines wait, bounded in number and in bytes, and the
// next one reports the dropped ones.
func TestWhatWaitsForStderrIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			n, size, hidden int
		}{{chatQueue, 10, 0}, {chatQueue + 1, 10, 1}, {chatQueue + 7, 10, 7}, {4, queueSize / 4, 0}, {5, queueSize / 4, 1}, {2, 2 * queueSize, 1}} {
			w := &stuck{make(chan string, 2*chatQueue), make(chan struct{})}
			ch := newChatter(w, func(audit.Event) {})
			ch.show("first")
			synctest.Wait() // it is taken, and stuck
			for range c.n {
				ch.show(strings.Repeat("x", c.size))
			}
			ch.end()
			close(w.hold)
			<-ch.done
			close(w.got)
			var lines []string
			for s := range w.got {
				lines = append(lines, s)
			}
			want := ""
			if c.hidden > 0 {
				want = fmt.Sprintf("mcpen: %d lines are only in the log\n", c.hidden)
			}
			if len(lines) != 1+c.n-c.hidden || lines[0] != "first\n" || lines[1] != want+strings.Repeat("x", c.size)+"\n" || len(lines) > 2 && strings.HasPrefix(lines[2], "mcpen:") {
				t.Errorf("%d lines of %d bytes: %d are shown, the second %.60q", c.n, c.size, len(lines), lines[1])
			}
		}
	})
	// A broken stderr affects nothing else: the log gets the rest.
	var told []string
	ch := newChatter(&sink{err: unix.EPIPE}, func(e audit.Event) { told = append(told, e.Subject) })
	ch.show("first")
	<-ch.done
	ch.say(audit.KindStderr, frame{line: []byte("second")})
	if ch.end(); len(told) != 1 || len(ch.queue) > 0 {
		t.Errorf("told %q, queued %q", told, ch.queue)
	}
}

// A long line of the server's is cut for display, with a note of how much.
func TestLongLinesAreCutWhereTheyAreShown(t *testing.T) {
	x := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for _, c := range []struct {
		f    frame
		want string
	}{
		{frame{line: x(chatLine)}, string(x(chatLine))}, {frame{line: x(chatLine + 1)}, string(x(chatLine)) + " [1 more bytes]"}, {frame{line: []byte("a\x1b")}, audit.Visible("a\x1b")}, {frame{}, ""},
		{frame{long: &long{head: x(sampleSize), size: 9999}}, string(x(sampleSize)) + fmt.Sprintf(" [%d more bytes]", 9999-sampleSize)},
	} {
		if got := readable(c.f); got != c.want {
			t.Errorf("%.20q of %d: %q", c.f.line, len(c.f.line), got[max(0, len(got)-40):])
		}
	}
}

// A relay without one of its parts would lose lines silently.
func TestEveryEndIsNeeded(t *testing.T) {
	whole := func() Config {
		e := nopCloser{io.Discard}
		in := io.NopCloser(strings.NewReader(""))
		c := Config{Ends: Ends{in, e, e, e, in, in}, Process: Process{Signal: func(os.Signal) error { return nil }, Done: make(chan struct{})}, Sink: func(audit.Event) error { return nil }}
		keep(&c)
		return c
	}
	for name, change := range map[string]func(*Config){
		"ClientIn": func(c *Config) { c.Ends.ClientIn = nil }, "ClientOut": func(c *Config) { c.Ends.ClientOut = nil }, "Stderr": func(c *Config) { c.Ends.Stderr = nil }, "ServerIn": func(c *Config) { c.Ends.ServerIn = nil },
		"ServerOut": func(c *Config) { c.Ends.ServerOut = nil }, "ServerErr": func(c *Config) { c.Ends.ServerErr = nil }, "Sink": func(c *Config) { c.Sink = nil }, "Signal": func(c *Config) { c.Process.Signal = nil }, "Done": func(c *Config) { c.Process.Done = nil },
		"Inspect": func(c *Config) { c.Inspect = nil }, "Requests": func(c *Config) { c.Requests = nil }, "Asked": func(c *Config) { c.Asked = nil },
		"a limit below none": func(c *Config) { c.MaxLine = -1 }, "a limit beyond all": func(c *Config) { c.MaxLine = 1<<30 + 1 },
	} {
		c := whole()
		change(&c)
		if r, err := New(c); err == nil || r != nil {
			t.Errorf("%s: a relay all the same", name)
		}
	}
	for limit, want := range map[int64]int64{0: defaultMaxLine, 1: 1, 1 << 30: 1 << 30} {
		c := whole()
		c.MaxLine = limit
		r, err := New(c)
		if err != nil || r.MaxLine != want {
			t.Fatalf("a limit of %d: %v", limit, err)
		}
		r.closeAll()
		r.chat.end()
	}
}

// The names of sides and steps in a log and in errors.
func TestWordsForSidesAndSteps(t *testing.T) {
	for side, want := range map[Side]string{0: "nobody", Client: "the client", Server: "the server", 3: "nobody"} {
		if got := side.String(); got != want {
			t.Errorf("side %d is %q", side, got)
		}
	}
	for step, want := range map[Step]string{Ground: "ended by itself", StdinEnded: "ended when its input ended", Terminated: "ended after SIGTERM", Killed: "ended after SIGKILL"} {
		if got := step.String(); got != want {
			t.Errorf("step %d is %q", step, got)
		}
	}
	for rush, want := range map[time.Duration]time.Duration{DefaultLadder.Rush: rushTime, DefaultLadder.Rush + 1: DefaultLadder.Rush + 1, 0: rushTime} {
		if got := (Ladder{Rush: rush}).lastLines(); got != want {
			t.Errorf("with a rush of %v the last lines have %v", rush, got)
		}
	}
}

// Messages of a batch are answered one by one, up to a bound. A line that is not an
// array of objects is not a batch.
func TestElementsOfABatch(t *testing.T) {
	for line, want := range map[string]int{
		`[]`: 0, `[{}]`: 1, `[{"a":1},{"b":[]}]`: 2, `[1]`: 0, `[{},1]`: 0, `[{},`: 0, `[`: 0, ``: 0, `x`: 0, `[info] ready`: 0, `[{}] and more`: 1,
		"[" + strings.Repeat("{},", maxBatch-1) + "{}]": maxBatch, "[" + strings.Repeat("{},", maxBatch) + "{}]": maxBatch, "[" + strings.Repeat("{},", maxBatch) + "1]": maxBatch,
	} {
		parts, ok := elements([]byte(line))
		if len(parts) != want || ok != (want > 0) {
			t.Errorf("%.30s: %d, %v, want %d", line, len(parts), ok, want)
		}
	}
	for line, want := range map[string]bool{"": true, " \t\r": true, "\n": false, " x": false, "\v": false} {
		if got := blank([]byte(line)); got != want {
			t.Errorf("%q is blank: %v", line, got)
		}
	}
}

// nothing is a reader that never returns anything, nor an error.
type nothing struct{ calls int }

func (n *nothing) Read([]byte) (int, error) { n.calls++; return 0, nil }

// A reader that repeatedly returns nothing counts as ended.
func TestAReaderThatGivesNothingEnds(t *testing.T) {
	r := &nothing{}
	if _, err := newLines(r, 100).next(); !errors.Is(err, io.ErrNoProgress) || r.calls != 100 {
		t.Errorf("%v after %d calls", err, r.calls)
	}
	if e := newExpanse(1 << 62); e != nil || e.all() != nil {
		t.Error("there are more addresses than there can be")
	}
	e := newExpanse(1)
	e.close()
	e.close() // and once more
	if e.all() != nil {
		t.Error("closed addresses are used")
	}
}

// The checks for a present client and for unread bytes work on every end that supports
// them.
func TestWhatCanBeAskedOfAnEnd(t *testing.T) {
	r, w := pipe(t)
	if hungUp(w) || waiting(r) != 0 {
		t.Error("a pipe that is read")
	}
	if _, err := w.WriteString("abc"); err != nil {
		t.Fatal(err)
	}
	if n := waiting(r); n != 3 {
		t.Errorf("%d bytes wait in the pipe, want 3", n)
	}
	f := fdOf(t, int(w.Fd()))
	if hungUp(f) {
		t.Error("a descriptor that is read")
	}
	r.Close()
	if !hungUp(w) || !hungUp(f) {
		t.Error("nobody reads the pipe, and nobody sees it")
	}
	f.Close()
	if hungUp(f) {
		t.Error("a closed descriptor hangs up")
	}
	w.Close()
	if hungUp(w) || waiting(r) != 0 || hungUp(io.Discard) || waiting(strings.NewReader("x")) != 0 {
		t.Error("what cannot be asked answers")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if waiting(null) != 0 || hungUp(null) {
		t.Error("/dev/null answers")
	}
}

// Every failing call on a line's way is reported, and an interrupted one is repeated.
func TestCallsOfADescriptorThatFail(t *testing.T) {
	r, w := rawPipe(t)
	read, write := fdOf(t, r), fdOf(t, w)
	if n, err := read.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing is read into nothing: %d, %v", n, err)
	}
	polls := []uintptr{unix.SYS_POLL, unix.SYS_PPOLL}
	ours := func(fd int) func(fault.Call) bool {
		return func(c fault.Call) bool { return c.Number != unix.SYS_WRITE || c.Args[0] == uint64(fd) }
	}
	unheard, err := fault.Each(append(polls, unix.SYS_WRITE), unix.EIO, ours(w), func() error { _, err := write.Write([]byte("x")); return err })
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
	unheard, err = fault.Each(polls, unix.EIO, nil, func() error { return write.wait(unix.POLLOUT) })
	if err != nil || len(unheard) > 0 {
		t.Errorf("waiting: nobody heard of %v (%v)", unheard, err)
	}
	for _, numbers := range [][]uintptr{polls, {unix.SYS_WRITE}} {
		failed := 0
		err = fault.Watch(numbers, func(c fault.Call) fault.Answer {
			if c.Number == unix.SYS_WRITE && c.Args[0] != uint64(w) || failed > 2 {
				return fault.Answer{}
			}
			failed++
			return fault.Fail(unix.EINTR)
		}, func() {
			if n, err := write.Write([]byte("x")); n != 1 || err != nil {
				t.Errorf("interrupted: %d, %v", n, err)
			}
			if err := write.wait(unix.POLLOUT); err != nil {
				t.Errorf("interrupted: %v", err)
			}
		})
		if err != nil || failed < 2 {
			t.Errorf("%v, %d calls", err, failed)
		}
	}
	if _, err := Reopen(r, unix.O_RDONLY); err != nil {
		t.Errorf("the twin: %v", err)
	}
	if _, err := Reopen(1<<20, unix.O_RDONLY); !errors.Is(err, unix.EBADF) {
		t.Errorf("what is not open: %v", err)
	}
	unheard, err = fault.Each([]uintptr{unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_OPENAT}, unix.EACCES, nil, func() error {
		f, err := Reopen(r, unix.O_RDONLY)
		if err == nil {
			f.Close()
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("reopening: nobody heard of %v (%v)", unheard, err)
	}
}

// dead is an end whose writes never return and that closing does not release.
type dead struct{ forever chan struct{} }

func (d dead) Write([]byte) (int, error) { <-d.forever; return 0, io.ErrClosedPipe }
func (d dead) Close() error              { return nil }

// An end that never returns is reported, and the launcher ends nevertheless: within two
// seconds, and at once in a hurry.
func TestAnEndThatDoesNotLetGo(t *testing.T) {
	for hurry, least := range map[bool]time.Duration{false: lastTime, true: leaveTime} {
		synctest.Test(t, func(t *testing.T) {
			client := dead{make(chan struct{})}
			done := make(chan struct{})
			var rested atomic.Bool
			r := idle(t, &sink{}, &sink{}, func(c *Config) {
				c.Ends.ClientOut, c.Process.Done, c.Ladder = client, done, Ladder{Finish: time.Minute, Rush: time.Second}
				c.Ends.ServerOut = io.NopCloser(strings.NewReader(`{"jsonrpc":"2.0","method":"n"}` + "\n"))
				c.Rest = func() { rested.Store(true) }
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			close(done)
			if hurry {
				cancel()
			}
			start := time.Now()
			_, err := r.Run(ctx)
			if err == nil || !strings.Contains(err.Error(), "a stream that nobody reads does not let go") {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took < least || took > least+2*time.Minute || hurry && took > 2*time.Second {
				t.Errorf("hurry %v: it took %v", hurry, took)
			}
			if !rested.Load() {
				t.Error("nobody waited for what was still to be said")
			}
			close(client.forever)
			synctest.Wait()
		})
	}
}

// An offered line arrives at a client that reads, between other lines.
func TestAnOfferArrives(t *testing.T) {
	client := &sink{}
	r := idle(t, client, &sink{}, nil)
	r.TryNotify([]byte(`{"a":1}`))
	for r.toClient.empty(); client.Len() == 0; { // by itself, after nothing else
		time.Sleep(time.Millisecond)
		r.toClient.empty()
	}
	r.Notify([]byte(`{"b":1}`), []byte(`{"c":1}`))
	r.toClient.empty()
	if got := client.String(); got != "{\"a\":1}\n{\"b\":1}\n{\"c\":1}\n" {
		t.Errorf("%q", got)
	}
}

// A reader of stderr can tell whose a line is: a server's line does not pass for a hint
// by mcpen, and mcpen's does not count as the server's.
func TestWhoseALineOfStderrIs(t *testing.T) {
	var told []audit.Event
	shown := &sink{}
	c := newChatter(shown, func(e audit.Event) { told = append(told, e) })
	c.say(audit.KindStderr, frame{line: []byte("mcpen: hint: paste this")})
	c.say(audit.KindStdout, frame{line: []byte("mcpen: hint: paste this")})
	c.say(audit.KindStderr, frame{line: []byte("plain")})
	c.report(audit.Event{Kind: audit.KindLine}, "mcpen: a line was not passed on", c.emit)
	c.end()
	<-c.done
	if got, want := shown.String(), "server's stderr: mcpen: hint: paste this\nserver's stdout: mcpen: hint: paste this\nplain\nmcpen: a line was not passed on\n"; got != want {
		t.Errorf("shown %q, want %q", got, want)
	}
	if len(told) != 4 || told[0].Subject != "mcpen: hint: paste this" || told[0].Verdict != audit.Observed || told[1].Verdict != audit.Refused || told[1].Kind != audit.KindStdout {
		t.Errorf("%+v", told)
	}
}

// A peer that leaves with unread data has ended the conversation, and that is no
// failure of this side.
func TestAPeerThatResets(t *testing.T) {
	for what, leave := range map[string]func(peer int){
		"unread bytes": func(peer int) { unix.Close(peer) },
		"nothing left": func(peer int) { unix.Read(peer, make([]byte, 10)); unix.Close(peer) },
	} {
		a, b := socketpair(t, 0)
		f := fdOf(t, a)
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		leave(b)
		if n, err := f.Read(make([]byte, 10)); n != 0 || err != io.EOF {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	r, w := rawPipe(t)
	f := fdOf(t, r)
	unix.Close(w)
	err := fault.Watch([]uintptr{unix.SYS_READ}, func(c fault.Call) fault.Answer {
		if c.Args[0] == uint64(r) {
			return fault.Fail(unix.EIO)
		}
		return fault.Answer{}
	}, func() {
		if n, err := f.Read(make([]byte, 10)); n != 0 || !errors.Is(err, unix.EIO) {
			t.Errorf("a read that fails: %d, %v", n, err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// Writes to a socket never wait in the kernel, where Close could not end them, and
// raise no signal if nobody reads.
func TestASocketIsWrittenToWithoutWaiting(t *testing.T) {
	a, b := socketpair(t, 0)
	defer unix.Close(b)
	f := fdOf(t, a)
	var flags []uint64
	err := fault.Watch([]uintptr{unix.SYS_SENDMSG}, func(c fault.Call) fault.Answer {
		flags = append(flags, c.Args[2])
		return fault.Answer{}
	}, func() {
		if _, err := f.Write([]byte("x")); err != nil {
			t.Error(err)
		}
	})
	if err != nil || len(flags) != 1 || flags[0] != unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL {
		t.Errorf("sent with %#x (%v)", flags, err)
	}
}

// The request that an invalid answer belongs to is found by its visible id, or because
// it is the only one; a server's text is nobody's answer.
func TestWhoseABrokenLineIs(t *testing.T) {
	for line, want := range map[string]string{
		`{"jsonrpc":"2.0","result":{"x":NaN}}`: "7", `{"jsonrpc":"2.0","error":{"code":NaN}}`: "7", `{"jsonrpc":"2.0","other":NaN}`: "", `{"result":{"x":NaN}}`: "", `a "result" of nothing`: "",
	} {
		client := &requests{}
		r := idle(t, &sink{}, &sink{}, func(c *Config) { keep(c); c.Requests = client })
		client.Add(&flight.Request{ID: []byte("7"), Method: "ping"})
		if m := r.broken([]byte(line), rpc.Message{}); string(m.ID) != want || (m.Kind == rpc.Response) != (want != "") {
			t.Errorf("%s: %v %s, want %s", line, m.Kind, m.ID, want)
		}
		client.Add(&flight.Request{ID: []byte("8"), Method: "ping"})
		if m := r.broken([]byte(line), rpc.Message{}); m.ID != nil {
			t.Errorf("%s: of two that wait it is %s's", line, m.ID)
		}
	}
}
