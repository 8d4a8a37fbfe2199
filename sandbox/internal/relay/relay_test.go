package relay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/flight"
	"mcpen/sandbox/internal/rpc"
)

// ids that clients use, or might use.
var ids = []string{`0`, `-1`, `7`, `9007199254740993`, `123456789012345678901234567890`, `""`, `"0"`, `"a b"`, `"\u00e9\n"`, `"é"`}

// For any form of id, the request is in flight under it, its answer ends that, and an
// error for it carries the id as written.
func TestIDs(t *testing.T) {
	g := newRig(t, nil)
	if r := g.requests.Newest(); r != nil {
		t.Errorf("in flight before anything: %+v", r)
	}
	call := func(id string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"t","arguments":{}}}` + "\n"
	}
	for _, id := range ids {
		g.send(g.clientIn, call(id))
		g.want(g.serverIn, call(id))
		r := g.requests.Newest()
		if r == nil || string(r.ID) != id || r.Method != "tools/call" || r.Name != "t" || r.Others != 0 || r.Args != nil {
			t.Fatalf("in flight: %+v, want id %s", r, id)
		}
		// The server uses the same ids for its own requests.
		g.send(g.serverOut, `{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`+"\n")
		g.want(g.clientOut, `{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`+"\n")
		g.send(g.clientIn, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`+"\n")
		g.want(g.serverIn, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`+"\n")
		if r := g.requests.Newest(); r == nil || string(r.ID) != id {
			t.Fatalf("the answer to the server's request %s took the client's: %+v", id, r)
		}
		g.send(g.serverOut, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`+"\n")
		g.want(g.clientOut, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`+"\n")
		if r := g.requests.Newest(); r != nil {
			t.Fatalf("still in flight: %+v", r)
		}
	}
	for i, id := range ids[:8] { // all at once: 0 and "0" are two
		g.send(g.clientIn, call(id))
		g.want(g.serverIn, call(id))
		if r := g.requests.Newest(); string(r.ID) != id || r.Others != i {
			t.Fatalf("in flight: %+v, want id %s and %d others", r, id, i)
		}
	}
	g.exit()
	for _, id := range ids[:8] {
		g.want(g.clientOut, string(rpc.ErrorReply([]byte(id), rpc.CodeInternal, "the server ended with exit code 7 before it answered this request"))+"\n")
	}
	<-g.result
	if g.outcome != (Outcome{ServerEnded, Ground}) || g.err != nil {
		t.Errorf("%+v, %v", g.outcome, g.err)
	}
}

// fill is a line of n bytes with a string of the needed length at the %s.
func fill(n int, format string) string {
	return fmt.Sprintf(format, strings.Repeat("x", n-len(format)+len("%s")))
}

// The longest line passes both ways. One byte more is answered, so that nobody waits
// for it, and the conversation continues.
func TestLineLimit(t *testing.T) {
	const request = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":"%s"}}`
	const requestIDLast = `{"method":"tools/call","params":{"name":"t","id":2,"arguments":"%s"},"jsonrpc":"2.0","id":3}`
	const response = `{"jsonrpc":"2.0","id":1,"result":{"x":"%s"}}`
	const responseIDLast = `{"result":{"x":"%s"},"jsonrpc":"2.0","id":1}`
	const responseIDHidden = `{"result":{"x":"%s"},"id":1,"y":"` // the rest is added
	for _, limit := range []int{1 << 20, defaultMaxLine} {
		g := newRig(t, func(c *Config) { c.MaxLine = int64(limit) })
		var writes sync.WaitGroup
		start := func(w io.Writer, s string) { writes.Go(func() { io.WriteString(w, s) }) }
		over := func(id, code int, prefix string) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":%d,"message":"%sa line of %d bytes is over the limit of %d"}}`+"\n",
				id, code, prefix, limit+1, limit)
		}
		hidden := func() string {
			s := fmt.Sprintf(responseIDHidden, strings.Repeat("x", limit/2))
			return s + strings.Repeat("y", limit+1-len(s)-2) + `"}`
		}
		line := fill(limit, request) + "\n"
		start(g.clientIn, line)
		g.want(g.serverIn, line)
		answers := []string{fill(limit+1, response), fill(limit+1, responseIDLast), hidden()}
		if limit == defaultMaxLine {
			answers = answers[:1]
		}
		for _, answer := range answers {
			start(g.serverOut, answer+"\n")
			g.want(g.clientOut, over(1, -32603, "the server's answer was not passed on: "))
			g.send(g.clientIn, fmt.Sprintf(request, "")+"\n")
			g.want(g.serverIn, fmt.Sprintf(request, "")+"\n")
		}
		line = fill(limit, response) + "\n"
		start(g.serverOut, line)
		g.want(g.clientOut, line)

		start(g.clientIn, fill(limit+1, request)+"\n")
		g.want(g.clientOut, over(1, -32600, ""))
		start(g.clientIn, fill(limit+1, requestIDLast)+"\n")
		g.want(g.clientOut, over(3, -32600, ""))
		// The client's answer to the server is too long: the server gets an error.
		start(g.clientIn, fill(limit+1, response)+"\n")
		g.want(g.serverIn, over(1, -32603, "the client's answer was not passed on: "))
		writes.Wait()
		if r := g.requests.Newest(); r != nil {
			t.Errorf("in flight: %+v", r)
		}
		g.finish()
		if n := len(g.seen()); n != len(answers)+3 {
			t.Errorf("%d events, want %d: %+v", n, len(answers)+3, g.seen())
		}
	}
}

func TestPeek(t *testing.T) {
	gap := strings.Repeat("y", 3*sampleSize)
	for line, want := range map[string]rpc.Message{
		`{"id":5,"method":"m","params":"` + gap + `"}`:                                            {Kind: rpc.Request, ID: []byte("5")},
		`{"method":"m","params":"` + gap + `"}`:                                                   {Kind: rpc.Notification},
		`{"method":"m","params":"` + gap + `","id":"q"} `:                                         {Kind: rpc.Request, ID: []byte(`"q"`)},
		`{"params":"` + gap + `","id":6,"method":"m"}`:                                            {Kind: rpc.Request, ID: []byte("6")},
		`{"id":7,"result":"` + gap + `"}`:                                                         {Kind: rpc.Response, ID: []byte("7")},
		`{"id":7,"error":{"code":1,"message":"` + gap + `"}}`:                                     {Kind: rpc.Response, ID: []byte("7")},
		`{"id":7,"other":"` + gap + `"}`:                                                          {ID: []byte("7")},
		`{"id":7,"params":"` + gap + `","method":"m"}`:                                            {Kind: rpc.Request, ID: []byte("7")},
		`{"id":7,"method":"m","x":"` + gap + `","id":7}`:                                          {Kind: rpc.Request, ID: []byte("7")},
		`{"id":7,"x":"` + gap + `","result":1}`:                                                   {Kind: rpc.Response, ID: []byte("7")},
		`{"method":"m","x":"` + gap + `","params":{}}`:                                            {Kind: rpc.Notification},
		`{"x":"` + gap + `","params":{},"method":"m"}`:                                            {Kind: rpc.Notification},
		`{"result":"` + gap + `","y":"` + strings.Repeat("z", tailSearch-13) + `","id":8}`:        {Kind: rpc.Response, ID: []byte("8")},
		`{"result":"` + gap + `","y":"` + strings.Repeat("z", tailSearch) + `","id":8}` + "\t \r": {Kind: rpc.Response, ID: []byte("8")},
		`{"result":"` + gap + `","y":` + strings.Repeat("7", tailSearch) + `}`:                    {},
		`{"result":"` + gap + `","id":8}`:                                                         {Kind: rpc.Response, ID: []byte("8")},
		`{"id":1,"method":"m","params":"` + gap + `","id":2}`:                                     {}, // which one?
		`{"method":"m","params":"` + gap + `","id":1,"id":2}`:                                     {Kind: rpc.Notification},
		`{"method":"m","params":{"a":"` + gap + `","id":1}}`:                                      {Kind: rpc.Notification}, // an inner id
		`{"method":"m","params":"` + gap + `,\"id\":1"}`:                                          {Kind: rpc.Notification}, // words
		`{"id":1` + strings.Repeat("0", 2*sampleSize) + gap:                                       {},                       // cut in the middle
		gap: {},
	} {
		l := long{head: sample([]byte(line), false), tail: sample([]byte(line), true)}
		got := l.peek()
		if got.Kind != want.Kind || !bytes.Equal(got.ID, want.ID) {
			t.Errorf("%.60s … %s: %v %s, want %v %s", line, line[len(line)-20:], got.Kind, got.ID, want.Kind, want.ID)
		}
	}
}

// Everything passes, whichever side is slow, and neither direction blocks the other.
func TestBothDirectionsAtOnce(t *testing.T) {
	g := newRig(t, nil)
	const n = 3000
	line := func(i int, what string) string {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"n","params":{"i":%d,"from":%q,"x":%q}}`+"\n", i, what, strings.Repeat("z", r.IntN(4000)))
	}
	var all sync.WaitGroup
	for what, ends := range map[string]struct {
		w io.Writer
		r *bufio.Reader
	}{"client": {g.clientIn, g.serverIn}, "server": {g.serverOut, g.clientOut}} {
		all.Go(func() {
			for i := range n {
				if _, err := io.WriteString(ends.w, line(i, what)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for i := range n {
				if got, err := ends.r.ReadString('\n'); got != line(i, what) {
					t.Errorf("%s line %d: %.100q, %v", what, i, got, err)
					return
				}
			}
		})
	}
	all.Wait()
	g.finish()
}

// A client that does not read its server's messages must not stop the server from
// logging, and lines that are not shown are counted.
func TestStalledClientAndChattyServer(t *testing.T) {
	g := newRig(t, nil)
	stalled := make(chan struct{})
	go func() { // nobody reads this until the rig's end
		defer close(stalled)
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(g.serverOut, `{"jsonrpc":"2.0","method":"n","params":{"x":%q}}`+"\n", strings.Repeat("z", 1000)); err != nil {
				return
			}
		}
	}()
	const n = 50_000
	for i := range n { // far more than every buffer on the way
		fmt.Fprintf(g.serverErr, "line %d of a chatty server \x1b[31m\n", i)
	}
	for waiting(g.relay.Ends.ServerErr) > 0 { // a hurried end would not wait for it
		time.Sleep(time.Millisecond)
	}
	g.serverErr.Close()
	g.cancel()
	g.exit()
	<-stalled
	<-g.result
	told, suppressed, unread := 0, 0, 0
	for _, e := range g.seen() {
		var lost int
		if e.Kind == audit.KindLine && e.Subject == "not read" {
			unread++
			continue
		}
		if e.Kind != audit.KindStderr {
			t.Fatalf("%+v", e)
		}
		if _, err := fmt.Sscanf(e.Subject, "%d lines suppressed (stderr)", &lost); err == nil {
			suppressed += lost
			continue
		}
		if told++; strings.Contains(e.Subject, "\x1b") {
			t.Fatalf("an escape sequence: %q", e.Subject)
		}
	}
	if told+suppressed != n || told < chatBurst || suppressed == 0 || unread != 1 {
		t.Errorf("%d told and %d suppressed of %d; %d times said that the client did not read", told, suppressed, n, unread)
	}
}

// A client that writes much before it reads gets every line whole: forwarded ones and
// mcpen's own, which wait meanwhile.
func TestSlowClient(t *testing.T) {
	g := newRig(t, nil)
	const n = 1000
	forwarded := `{"jsonrpc":"2.0","method":"n","params":{"x":"` + strings.Repeat("z", 500) + `"}}` + "\n"
	refused := `{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}` + "\n"
	passed := `{"jsonrpc":"2.0","method":"last"}` + "\n"
	go io.WriteString(g.serverOut, strings.Repeat(forwarded, n)) // more than the pipe holds
	g.send(g.clientIn, strings.Repeat(refused, n)+passed)
	g.want(g.serverIn, passed) // everything was read, though nothing was written
	answers := 0
	for range 2 * n {
		switch line, err := g.clientOut.ReadString('\n'); {
		case line == forwarded:
		case strings.HasPrefix(line, `{"jsonrpc":"2.0","id":1,"error":`) && strings.HasSuffix(line, "}}\n"):
			answers++
		default:
			t.Fatalf("%.100q, %v", line, err)
		}
	}
	if answers != n {
		t.Errorf("%d answers of %d", answers, n)
	}
	g.finish()
}

func TestStderrIsShown(t *testing.T) {
	g := newRig(t, nil)
	for in, want := range map[string]string{
		"plain\r\n":                        "plain\n",
		"\x1b]0;owned\x07\u202e\n":         `\x1b]0;owned\x07\u202e` + "\n",
		strings.Repeat("w", 10_000) + "\n": strings.Repeat("w", chatLine) + " [5904 more bytes]\n",
	} {
		g.send(g.serverErr, in)
		g.want(g.stderr, want)
	}
	g.relay.Warn("said \x1b")
	g.want(g.stderr, `said \x1b`+"\n")
	g.send(g.serverErr, "no end")
	g.exit()
	g.want(g.stderr, "no end\n")
}

// A server that sends refused lines and does not read yet must still be read: the
// answers to it wait, its lines do not.
func TestAnswersToOneSideDoNotStopIt(t *testing.T) {
	g := newRig(t, nil)
	refused := `{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}` + "\n"
	const n = 1500 // their answers fill the pipe twice
	passes := `{"jsonrpc":"2.0","method":"n"}` + "\n"
	g.send(g.serverOut, strings.Repeat(refused, n)+passes)
	g.want(g.clientOut, passes)
	for range n {
		if line, err := g.serverIn.ReadString('\n'); !strings.Contains(line, `"id":1,"error"`) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	g.finish()
}

func TestInspectDecides(t *testing.T) {
	verdicts := map[string]Delivery{}
	g := newRig(t, func(c *Config) {
		c.Inspect = func(from Side, line []byte, m rpc.Message) Delivery {
			if m.Method == "pass" || m.Kind == rpc.Response && string(m.Result) == `"pass"` {
				return Delivery{Forward: line}
			}
			return verdicts[string(line)]
		}
	})
	rule := func(line string, v Delivery) string { verdicts[line] = v; return line + "\n" }
	pass := `{"jsonrpc":"2.0","id":1,"method":"pass"}` + "\n"

	// The client's request: replied to, or refused by the zero verdict.
	g.send(g.clientIn, rule(`{"jsonrpc":"2.0","id":1,"method":"replied"}`, Delivery{Reply: []byte(`{"reply":1}`), ToClient: [][]byte{[]byte(`{"more":1}`)}}))
	g.want(g.clientOut, `{"more":1}`+"\n") // messages about a request come before its answer
	g.want(g.clientOut, `{"reply":1}`+"\n")
	g.send(g.clientIn, rule(`{"jsonrpc":"2.0","id":2,"method":"zero"}`, Delivery{}))
	g.want(g.clientOut, `{"jsonrpc":"2.0","id":2,"error":{"code":-32600,"message":"refused by the sandbox"}}`+"\n")
	// The server's answer: rewritten, with its original line end; refused; replaced.
	g.send(g.clientIn, pass)
	g.want(g.serverIn, pass)
	g.send(g.serverOut, strings.TrimSuffix(rule(`{"jsonrpc":"2.0","id":1,"result":"rewrite"}`, Delivery{Forward: []byte(`{"rewritten":1}`)}), "\n")+"\r\n")
	g.want(g.clientOut, `{"rewritten":1}`+"\r\n")
	g.send(g.clientIn, pass)
	g.want(g.serverIn, pass)
	g.send(g.serverOut, rule(`{"jsonrpc":"2.0","id":1,"result":"zero"}`, Delivery{}))
	g.want(g.clientOut, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the server's answer was not passed on: refused by the sandbox"}}`+"\n")
	g.send(g.clientIn, pass)
	g.want(g.serverIn, pass)
	instead := `{"jsonrpc":"2.0","id":1,"result":"instead"}`
	g.send(g.serverOut, rule(`{"jsonrpc":"2.0","id":1,"result":"replace"}`, Delivery{ToClient: [][]byte{[]byte(instead)}, Events: []audit.Event{{Kind: audit.KindTool}}}))
	g.want(g.clientOut, instead+"\n")
	// The server's request, and the client's answer to it.
	g.send(g.serverOut, rule(`{"jsonrpc":"2.0","id":3,"method":"zero"}`, Delivery{}))
	g.want(g.serverIn, `{"jsonrpc":"2.0","id":3,"error":{"code":-32600,"message":"refused by the sandbox"}}`+"\n")
	g.send(g.clientIn, rule(`{"jsonrpc":"2.0","id":4,"result":"zero"}`, Delivery{}))
	g.want(g.serverIn, `{"jsonrpc":"2.0","id":4,"error":{"code":-32603,"message":"the client's answer was not passed on: refused by the sandbox"}}`+"\n")
	g.relay.Notify([]byte(`{"told":1}`))
	g.want(g.clientOut, `{"told":1}`+"\n")
	g.finish()
	if e := g.seen(); len(e) != 1 || e[0].Kind != audit.KindTool {
		t.Errorf("events: %+v", e)
	}
}

func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		ladder  Ladder
		do      func(g *rig)
		want    Outcome
		signals []os.Signal
	}{
		"the server ends": {patient, func(g *rig) { g.exit() }, Outcome{ServerEnded, Ground}, nil},
		"the client closes its end": {patient, func(g *rig) {
			g.clientIn.Close()
			io.ReadAll(g.serverIn)
			g.exit()
		}, Outcome{ClientEnded, StdinEnded}, nil},
		"the client closes its end, the server does not care": {
			Ladder{Finish: patient.Finish, Last: patient.Last}, func(g *rig) { g.clientIn.Close() },
			Outcome{ClientEnded, Terminated}, []os.Signal{syscall.SIGTERM},
		},
		"the client does not read any more": {Ladder{Finish: patient.Finish, Last: patient.Last}, func(g *rig) {
			g.readers[0].Close()
			g.send(g.serverOut, "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n")
		}, Outcome{ClientGone, Terminated}, []os.Signal{syscall.SIGTERM}},
		"the server closes its output": {
			Ladder{Finish: patient.Finish, Last: patient.Last}, func(g *rig) { g.serverOut.Close() },
			Outcome{ServerClosed, Terminated}, []os.Signal{syscall.SIGTERM},
		},
		"interrupted, with both sides stuck": {patient, func(g *rig) {
			many := strings.Repeat("{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n", 1<<15)
			go io.WriteString(g.clientIn, many)
			go io.WriteString(g.serverOut, many)
			g.want(g.serverIn, "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n")
			g.cancel()
		}, Outcome{Interrupted, Terminated}, []os.Signal{syscall.SIGTERM}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, func(conf *Config) { conf.Ladder = c.ladder })
			c.do(g)
			<-g.result
			if g.outcome.Cause != c.want.Cause || g.err != nil {
				t.Errorf("%+v, %v", g.outcome, g.err)
			}
			// A ladder without patience may find the server gone before or after its
			// last step.
			if c.ladder == patient && g.outcome.Step != c.want.Step || len(c.signals) > 0 && <-g.signals != c.signals[0] {
				t.Errorf("%+v", g.outcome)
			}
		})
	}
}

// A client that reads nothing, with more answers due than all of its queues hold, does
// not delay the launcher's end.
func TestEndWithFullQueues(t *testing.T) {
	g := newRig(t, nil)
	for i := range flight.Max {
		g.requests.Add(&flight.Request{ID: fmt.Append(nil, i), Method: "ping"})
	}
	if n := flight.Max * len(rpc.ErrorReply([]byte("1"), rpc.CodeInternal, "the server ended with exit code 7 before it answered this request")); n < queueMax+(64<<10) {
		t.Fatalf("%d bytes do not fill the queue and the pipe", n)
	}
	g.cancel()
	<-g.result
	if g.outcome.Cause != Interrupted || g.err != nil {
		t.Errorf("%+v, %v", g.outcome, g.err)
	}
}

// The server's last output before its end is not lost.
func TestLastWordsArrive(t *testing.T) {
	g := newRig(t, nil)
	line := "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n"
	const n = 1000
	g.send(g.serverOut, strings.Repeat(line, n))
	g.exit()
	for range n {
		g.want(g.clientOut, line)
	}
	g.want(g.clientOut, "")
}

// The server stops reading. Requests to it must not wait.
func TestServerStopsReading(t *testing.T) {
	g := newRig(t, nil)
	g.readers[1].Close()
	g.send(g.clientIn, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n")
	g.want(g.clientOut, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the server cannot be reached any more"}}`+"\n")
	g.send(g.clientIn, `{"jsonrpc":"2.0","id":2,"method":"ping"}`+"\n")
	g.want(g.clientOut, `{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"the server cannot be reached any more"}}`+"\n")
	g.exit()
	g.want(g.clientOut, "")
}

func TestLostEventIsAnError(t *testing.T) {
	full := errors.New("no space")
	g := newRig(t, func(c *Config) { c.Sink = func(audit.Event) error { return full } })
	g.send(g.serverOut, "noise\n")
	g.want(g.stderr, "noise\n")
	g.exit()
	<-g.result
	if !errors.Is(g.err, full) {
		t.Errorf("Run: %v", g.err)
	}
}

// The launcher outlives a client that closed the launcher's stdout: it still has a
// server to end. (A write there raises SIGPIPE.)
func TestStdoutWithoutReader(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"RELAY_TEST_AS=relay"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	cmd.Stdout = w
	var stderr strings.Builder
	cmd.Stderr = &stderr
	r.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n")
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, %s", err, stderr.String())
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a relay of nothing")
	}
}

// A conversation leaves no goroutine and no descriptor behind, for every kind of end.
func TestNothingIsLeft(t *testing.T) {
	count := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before := count()
	for range 3 {
		for name, pair := range pairs {
			t.Run(name, func(t *testing.T) { converse(t, pair) })
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d behind", before, after)
	}
	var stacks bytes.Buffer
	for range 1000 { // a goroutine that closed its channel may not be gone yet
		stacks.Reset()
		pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		if strings.Count(stacks.String(), "internal/relay.(*") == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("goroutines are left:\n%s", stacks.String())
}

// converse runs a conversation in which all ends are of one kind.
func converse(t *testing.T, pair func(*testing.T) (int, int)) {
	var mine, theirs [6]*FD
	for i := range mine {
		r, w := pair(t)
		if i == 1 || i == 2 || i == 3 { // the relay writes these
			r, w = w, r
		}
		mine[i], theirs[i] = fdOf(t, r), fdOf(t, w)
	}
	done := make(chan struct{})
	c := Config{
		Ends:    Ends{ClientIn: mine[0], ClientOut: mine[1], Stderr: mine[2], ServerIn: mine[3], ServerOut: mine[4], ServerErr: mine[5]},
		Process: Process{Done: done, Signal: func(os.Signal) error { return nil }},
		Sink:    func(audit.Event) error { return nil },
		Ladder:  Ladder{Finish: patient.Finish, Grace: time.Millisecond, Term: patient.Term, Last: patient.Last},
	}
	keep(&c)
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	finished := make(chan error)
	go func() { _, err := r.Run(t.Context()); finished <- err }()
	line := `{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n"
	io.WriteString(theirs[0], line)
	got := make([]byte, len(line))
	if _, err := io.ReadFull(theirs[3], got); err != nil || string(got) != line {
		t.Errorf("the server got %q, %v", got, err)
	}
	theirs[0].Close()
	io.ReadAll(theirs[3]) // the end of its input
	theirs[4].Close()
	theirs[5].Close()
	close(done)
	if err := <-finished; err != nil {
		t.Error(err)
	}
	mine[1].Close()
	reply, err := bufio.NewReader(theirs[1]).ReadString('\n')
	if !strings.Contains(reply, `"id":1,"error"`) {
		t.Errorf("the client got %q, %v", reply, err)
	}
	for _, f := range theirs {
		f.Close()
	}
}

// A server must not be able to push its actions out of the log by a flood of refused
// lines.
func TestFloodOfRefusedLines(t *testing.T) {
	g := newRig(t, nil)
	const n = 20_000
	go io.Copy(io.Discard, g.serverIn)
	g.send(g.serverOut, strings.Repeat(`{"jsonrpc":"2.0","method":"a","method":"b"}`+"\n", n))
	g.exit()
	<-g.result
	told, suppressed := 0, 0
	for _, e := range g.seen() {
		var lost int
		if _, err := fmt.Sscanf(e.Subject, "%d lines suppressed (line)", &lost); err == nil {
			suppressed += lost
		} else {
			told++
		}
	}
	if told+suppressed != n || told < chatBurst || suppressed == 0 {
		t.Errorf("%d told and %d suppressed of %d", told, suppressed, n)
	}
}
