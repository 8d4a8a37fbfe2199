package relay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpen/sandbox/audit"
)

// stage is a relay whose ends are in memory, for synctest's clock. server is the
// server's program, which ends when it returns.
type stage struct {
	clientIn  *io.PipeWriter
	clientOut *io.PipeReader
	stderr    bytes.Buffer
	events    []audit.Event
	outcome   Outcome
	over      chan struct{}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func newStage(t *testing.T, ctx context.Context, l Ladder, server func(in *bufio.Reader, out io.Writer, term <-chan struct{})) *stage {
	s := &stage{over: make(chan struct{})}
	cir, ciw := io.Pipe()
	cor, cow := io.Pipe()
	sir, siw := io.Pipe()
	sor, sow := io.Pipe()
	ser, sew := io.Pipe()
	s.clientIn, s.clientOut = ciw, cor
	done, term := make(chan struct{}), make(chan struct{}, 2)
	go func() {
		defer close(done)
		server(bufio.NewReader(sir), sow, term)
		sow.Close()
		sew.Close()
		sir.Close()
	}()
	c := Config{
		Ends:    Ends{ClientIn: cir, ClientOut: cow, Stderr: nopCloser{&s.stderr}, ServerIn: siw, ServerOut: sor, ServerErr: ser},
		Process: Process{Done: done, Signal: func(os.Signal) error { term <- struct{}{}; return nil }, Status: func() string { return "ended" }},
		Sink:    func(e audit.Event) error { s.events = append(s.events, e); return nil },
		Ladder:  l,
	}
	keep(&c)
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.over)
		if s.outcome, err = r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return s
}

// ask sends n requests and closes the client's end.
func (s *stage) ask(n int) {
	for i := range n {
		fmt.Fprintf(s.clientIn, `{"jsonrpc":"2.0","id":%d,"method":"ping"}`+"\n", i)
	}
	s.clientIn.Close()
}

// took returns the lines that the client reads, with a pause after each, until the end.
func (s *stage) took(pause time.Duration) (lines []string) {
	r := bufio.NewReader(s.clientOut)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			<-s.over
			return lines
		}
		lines = append(lines, line)
		time.Sleep(pause)
	}
}

// answersIn is a server that takes time d for each answer of size bytes.
func answersIn(d time.Duration, size int) func(*bufio.Reader, io.Writer, <-chan struct{}) {
	return func(in *bufio.Reader, out io.Writer, term <-chan struct{}) {
		for i := 0; ; i++ {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			select {
			case <-term:
				return
			case <-time.After(d):
			}
			fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%d,"result":{"x":"%s"}}`+"\n", i, strings.Repeat("x", size))
		}
	}
}

func results(lines []string) (n int) {
	for _, l := range lines {
		if strings.Contains(l, `"result"`) {
			n++
		}
	}
	return n
}

// A script that pipes its requests in and waits for the answers gets all of them, from
// a slow server and at its own pace; the server ends with its input then.
func TestAnswersBehindTheClientsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		asked       int
		each, pause time.Duration
		size        int
	}{
		"a slow server":                {5, time.Second, 0, 0},
		"a server slower than Grace":   {3, 30 * time.Second, 0, 0},
		"a slow client":                {60, 0, time.Second, 64 << 10},
		"a slow client, a slow server": {5, 3 * time.Second, 5 * time.Second, 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, t.Context(), DefaultLadder, answersIn(c.each, c.size))
				go s.ask(c.asked)
				if got := results(s.took(c.pause)); got != c.asked {
					t.Errorf("%d answers of %d; %+v; %s", got, c.asked, s.outcome, s.stderr.String())
				}
				if s.outcome.Step > StdinEnded {
					t.Errorf("%+v", s.outcome)
				}
			})
		})
	}
}

// A program that writes when its input ends, such as one with buffered output, need not
// wait.
func TestAnswersAtTheEndOfInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.Context(), DefaultLadder, func(in *bufio.Reader, out io.Writer, _ <-chan struct{}) {
			io.ReadAll(in)
			io.WriteString(out, `{"jsonrpc":"2.0","id":0,"result":{}}`+"\n")
		})
		go s.ask(1)
		if got := results(s.took(0)); got != 1 {
			t.Errorf("%d answers; %+v", got, s.outcome)
		}
	})
}

// Lines that are not answers are not lost either: each restarts the server's grace.
func TestGraceBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10
		s := newStage(t, t.Context(), DefaultLadder, func(in *bufio.Reader, out io.Writer, term <-chan struct{}) {
			for range n {
				select {
				case <-term:
					return
				case <-time.After(1500 * time.Millisecond):
					io.WriteString(out, `{"jsonrpc":"2.0","method":"n"}`+"\n")
				}
			}
			<-term
		})
		go s.ask(0)
		if got := s.took(3 * time.Second); len(got) != n || s.outcome.Step != Terminated {
			t.Errorf("%d lines of %d; %+v", len(got), n, s.outcome)
		}
	})
}

// A server that never gives a due answer is ended, and so is a run whose client takes
// nothing; the person and the log see the loss.
func TestFinishIsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.Context(), DefaultLadder, func(in *bufio.Reader, _ io.Writer, term <-chan struct{}) { in.ReadString('\n'); <-term })
		go s.ask(1)
		got := s.took(0)
		if len(got) != 1 || !strings.Contains(got[0], `"error"`) || s.outcome.Step != Terminated {
			t.Errorf("%q, %+v", got, s.outcome)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, t.Context(), DefaultLadder, func(_ *bufio.Reader, out io.Writer, _ <-chan struct{}) {
			io.WriteString(out, `{"jsonrpc":"2.0","method":"last"}`+"\n")
		})
		<-s.over // nobody reads
		s.clientIn.Close()
		if len(s.events) != 1 || s.events[0].Subject != "not read" || s.events[0].Kind != audit.KindLine || s.events[0].Verdict != audit.Refused || !strings.Contains(s.stderr.String(), "mcpen: 34 bytes of what the server wrote last") {
			t.Errorf("%+v, %q", s.events, s.stderr.String())
		}
	})
}

// A signal ends the wait for a client's answers.
func TestHurryEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		s := newStage(t, ctx, DefaultLadder, func(in *bufio.Reader, _ io.Writer, term <-chan struct{}) { in.ReadString('\n'); <-term })
		go s.ask(1)
		time.AfterFunc(time.Second, cancel)
		s.took(0)
		if d := time.Since(start); d != time.Second || s.outcome.Step != Terminated {
			t.Errorf("%v, %+v", d, s.outcome)
		}
	})
}

// A busy client can read its last lines when it finds the time, long after the server's
// end.
func TestLastLinesWaitForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 30
		s := newStage(t, t.Context(), DefaultLadder, func(_ *bufio.Reader, out io.Writer, _ <-chan struct{}) {
			for range n {
				io.WriteString(out, `{"jsonrpc":"2.0","method":"n","params":{"x":"`+strings.Repeat("x", 3000)+`"}}`+"\n")
			}
		})
		time.Sleep(time.Minute)
		if got := s.took(time.Second); len(got) != n || s.outcome != (Outcome{ServerEnded, Ground}) {
			t.Errorf("%d lines of %d; %+v; %s", len(got), n, s.outcome, s.stderr.String())
		}
		s.clientIn.Close()
	})
}

// A dead client's answers are not waited for. On this ladder the run would otherwise
// last for an hour.
func TestDeadClientIsNotWaitedFor(t *testing.T) {
	for name, pair := range map[string]func(*testing.T) (int, int){"pipe": pairs["pipe"], "socketpair": pairs["socketpair"]} {
		t.Run(name, func(t *testing.T) {
			r, w := pair(t)
			out := fdOf(t, w)
			reader := os.NewFile(uintptr(r), "reader")
			g := newRig(t, func(c *Config) {
				c.Ends.ClientOut.Close()
				c.Ends.ClientOut = out
				c.Ladder.Grace = 0
			})
			g.send(g.clientIn, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n")
			g.want(g.serverIn, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n")
			g.clientIn.Close()
			reader.Close()
			<-g.result
			if g.outcome != (Outcome{ClientEnded, Terminated}) || g.err != nil {
				t.Errorf("%+v, %v", g.outcome, g.err)
			}
		})
	}
}
