package relay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/flight"
	"mcpen/sandbox/internal/rpc"
)

// rig is a relay whose client and server the test plays.
type rig struct {
	t      *testing.T
	relay  *Relay
	cancel context.CancelFunc

	clientIn, serverOut, serverErr io.WriteCloser // the test writes these
	clientOut, serverIn, stderr    *bufio.Reader  // the test reads these
	readers                        []io.Closer

	exit    func() // the server ends
	signals chan os.Signal

	mu     sync.Mutex
	events []audit.Event

	requests, asked *requests

	result  chan struct{}
	outcome Outcome
	err     error
}

// requests are the requests of one side, maintained as a guard maintains them.
type requests = flight.Requests[*flight.Request]

// keeping returns an Inspect that maintains the requests in flight and lets decide
// decide; nil passes every line.
func keeping(client, server *requests, decide Inspect) Inspect {
	return func(from Side, line []byte, m rpc.Message) Delivery {
		v := Delivery{Forward: line}
		if decide != nil {
			v = decide(from, line, m)
		}
		mine, others := client, server
		if from == Server {
			mine, others = server, client
		}
		switch {
		case m.Kind == rpc.Request && v.Forward != nil:
			r := &flight.Request{ID: m.ID, Method: m.Method}
			r.Name, _ = rpc.Text(rpc.Get(m.Params, "name"))
			mine.Add(r)
		case m.Method == "notifications/cancelled":
			mine.Take(rpc.Get(m.Params, "requestId"))
		case answers(m):
			others.Take(m.ID)
		}
		return v
	}
}

// keep completes a configuration with requests and an Inspect that maintains them.
func keep(c *Config) (client, server *requests) {
	client, server = &requests{}, &requests{}
	c.Inspect, c.Requests, c.Asked = keeping(client, server, c.Inspect), client, server
	return client, server
}

// patient is a ladder on which a faulty test hangs rather than passes.
var patient = Ladder{Finish: time.Hour, Grace: time.Hour, Term: time.Hour, Rush: DefaultLadder.Rush, Last: time.Hour}

func pipe(t *testing.T) (*os.File, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// newRig starts a relay between pipes. The server exits when its stdin ends, unless
// change says otherwise.
func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	g := &rig{t: t, result: make(chan struct{}), signals: make(chan os.Signal, 8)}
	cir, ciw := pipe(t)
	cor, cow := pipe(t)
	er, ew := pipe(t)
	sir, siw := pipe(t)
	sor, sow := pipe(t)
	ser, sew := pipe(t)
	g.clientIn, g.serverOut, g.serverErr = ciw, sow, sew
	g.clientOut, g.serverIn, g.stderr = bufio.NewReader(cor), bufio.NewReader(sir), bufio.NewReader(er)
	g.readers = []io.Closer{cor, sir, er}
	done := make(chan struct{})
	g.exit = sync.OnceFunc(func() { sow.Close(); sew.Close(); sir.Close(); close(done) })
	c := Config{
		Ends: Ends{ClientIn: cir, ClientOut: cow, Stderr: ew, ServerIn: siw, ServerOut: sor, ServerErr: ser},
		Process: Process{
			Done:   done,
			Signal: func(s os.Signal) error { g.signals <- s; g.exit(); return nil },
			Status: func() string { return "ended with exit code 7" },
		},
		Sink: func(e audit.Event) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.events = append(g.events, e)
			return nil
		},
		Ladder: patient,
	}
	if change != nil {
		change(&c)
	}
	g.requests, g.asked = keep(&c)
	var err error
	if g.relay, err = New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g.cancel = cancel
	go func() {
		defer close(g.result)
		g.outcome, g.err = g.relay.Run(ctx)
		// As the launcher's exit does.
		cow.Close()
		ew.Close()
	}()
	t.Cleanup(func() {
		cancel()
		g.exit()
		for _, c := range g.readers {
			c.Close()
		}
		<-g.result
	})
	return g
}

func (g *rig) send(w io.Writer, s string) {
	g.t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		g.t.Fatalf("cannot write %.200q: %v", s, err)
	}
}

func (g *rig) want(r *bufio.Reader, want string) {
	g.t.Helper()
	got, err := r.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) || got != want {
		g.t.Fatalf("got %.300q (%v), want %.300q", got, err, want)
	}
}

// finish ends the client's input, lets the server end and waits for the relay.
func (g *rig) finish() Outcome {
	g.t.Helper()
	g.clientIn.Close()
	rest, _ := io.ReadAll(g.serverIn)
	if len(rest) > 0 {
		g.t.Errorf("the server got more: %.300q", rest)
	}
	g.exit()
	<-g.result
	if g.err != nil {
		g.t.Errorf("Run: %v", g.err)
	}
	return g.outcome
}

func (g *rig) seen() []audit.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]audit.Event(nil), g.events...)
}
