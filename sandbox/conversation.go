package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/plan"
)

// conversation carries the stdio of one server. Fresh pipes lead into the sandbox,
// never the client's own descriptors: the server would share their other ends, modes
// and offsets.
type conversation struct {
	client   Stdio
	raw      bool
	inside   [3]*os.File                 // the server's ends
	server   [3]*os.File                 // ours: its stdin, stdout, stderr
	guard    atomic.Pointer[guard.Guard] // nil: raw, or not begun
	relay    *relay.Relay                // of a conversation that is not raw, once it is begun
	deferred *deferred                   // the same
	around   around
	done     chan struct{} // closed behind run
	err      error         // of run, behind done
}

// around are the parts of the run that a conversation uses.
type around struct {
	process  relay.Process // the server
	reporter *reporter
	asked    func()                 // the client sent something; returns at once
	last     func()                 // waits for the last reports once the server is gone
	ended    func(relay.Step) error // records the end
}

func newConversation(client Stdio, raw bool) (*conversation, error) {
	c := &conversation{client: client, raw: raw, done: make(chan struct{})}
	for i := range c.inside {
		r, w, err := os.Pipe()
		if err != nil {
			c.closeInside()
			c.closeServer()
			return nil, err
		}
		if i == 0 {
			c.inside[i], c.server[i] = r, w
		} else {
			c.inside[i], c.server[i] = w, r
		}
	}
	return c, nil
}

func (c *conversation) closeInside() {
	for _, f := range c.inside {
		if f != nil {
			f.Close()
		}
	}
}

func (c *conversation) closeServer() {
	for _, f := range c.server {
		if f != nil {
			f.Close()
		}
	}
}

// begin makes the relay, and has the reporter speak through it. run must follow. g is
// nil for a raw conversation.
func (c *conversation) begin(p plan.Plan, g *guard.Guard, a around) error {
	c.around = a
	if c.raw {
		return nil
	}
	in, err := end(c.client.In, unix.O_RDONLY)
	if err != nil {
		return err
	}
	out, err := end(c.client.Out, unix.O_WRONLY)
	if err != nil {
		return err
	}
	stderr, err := relay.Borrow(int(c.client.Err.Fd()))
	if err != nil {
		return err
	}
	searches := newDeferred()
	r, err := relay.New(relay.Config{
		Ends: relay.Ends{ClientIn: in, ClientOut: out, Stderr: stderr,
			ServerIn: c.server[0], ServerOut: c.server[1], ServerErr: c.server[2]},
		Process:  a.process,
		Inspect:  c.inspect,
		Requests: g.Requests(),
		Asked:    g.Asked(),
		Rest:     func() { a.last(); searches.close() },
		Sink:     a.reporter.log,
		MaxLine:  p.Relay.MaxLine,
		Ladder:   ladder(p.Relay),
	})
	if err != nil {
		searches.close()
		return err
	}
	c.relay, c.deferred = r, searches
	c.guard.Store(g)
	a.reporter.carried.Store(&carried{warn: r.Warn, notify: c.notify})
	return nil
}

// notify sends a message to the client's log, once, where the client takes such
// messages.
func (c *conversation) notify(text string) {
	if line := c.guard.Load().Message(text); line != nil {
		c.relay.TryNotify(line)
	}
}

// inFlight is the request that is being answered; nil where no guard knows.
func (c *conversation) inFlight() *audit.Request {
	if g := c.guard.Load(); g != nil {
		return g.Requests().Newest()
	}
	return nil
}

// inspect asks the guard about one line.
func (c *conversation) inspect(from relay.Side, line []byte, m rpc.Message) relay.Delivery {
	g, say := c.guard.Load(), c.around.reporter
	var v guard.Ruling
	if from == relay.Client {
		c.around.asked()
		v = g.ClientMessage(line, m)
	} else {
		v = g.ServerMessage(line, m)
	}
	say.warnAll(v.Warn)
	if v.Later != nil {
		c.deferred.do(len(line), func() func() {
			later := v.Later()
			return func() {
				for _, e := range later.Events {
					say.report(e)
				}
				say.warnAll(later.Warn)
			}
		})
	}
	return relay.Delivery{Forward: v.Forward, Reply: v.Reply, ToClient: v.ToClient, Events: v.Events}
}

// pins are the approved definitions and those that the server gave in this run, as
// seen. A raw conversation has none.
func (c *conversation) pins() definition.Pins {
	if g := c.guard.Load(); g != nil {
		return g.Pins()
	}
	return definition.Pins{}
}

// reload takes new pins, as after a review, and has the client ask again.
func (c *conversation) reload(p definition.Pins) error {
	g := c.guard.Load()
	if g == nil {
		return nil
	}
	lines, err := g.Reload(p)
	if err != nil {
		return err
	}
	c.relay.Notify(lines...)
	return nil
}

// run carries until the server is gone and everything it wrote was passed on. kill
// ends the server when ctx is done.
func (c *conversation) run(ctx context.Context, kill func()) {
	defer close(c.done)
	if c.raw {
		c.err = c.copy(ctx, kill)
		return
	}
	c.err = c.lines(ctx)
}

// lines runs the relay.
func (c *conversation) lines(ctx context.Context) error {
	out, err := c.relay.Run(ctx)
	say := c.around.reporter
	if c.deferred.abandon() > 0 { // the relay waited for that as long as an end may last
		say.report(audit.Event{Kind: audit.KindFinding, Verdict: audit.Observed, Subject: say.server,
			Detail: "the run ended before what the server listed last was looked through"})
	}
	for _, e := range c.guard.Load().LeftOut() {
		say.report(e)
	}
	if err != nil {
		err = fmt.Errorf("cannot carry the server's messages: %w", err)
	}
	return errors.Join(err, c.around.ended(out.Step))
}

// copy copies bytes. The client's stdin is left alone once the server is gone: a
// read that waits there ends with the process.
func (c *conversation) copy(ctx context.Context, kill func()) error {
	defer c.closeServer()
	go func() {
		io.Copy(c.server[0], c.client.In)
		c.server[0].Close()
	}()
	var out sync.WaitGroup
	var errs [2]error
	out.Go(func() { _, errs[0] = io.Copy(c.client.Out, c.server[1]) })
	out.Go(func() { _, errs[1] = io.Copy(c.client.Err, c.server[2]) })
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	<-c.around.process.Done
	out.Wait()
	c.around.last()
	return errors.Join(errs[0], errs[1], c.around.ended(relay.Ground))
}

// ladder is how the server is ended. A server that a profile gives more time than
// usual has it behind SIGTERM, too.
func ladder(p plan.Relay) relay.Ladder {
	l := relay.DefaultLadder
	l.Finish = time.Duration(p.Finish) * time.Millisecond
	l.Grace = time.Duration(p.Grace) * time.Millisecond
	l.Rush = time.Duration(p.Rush) * time.Millisecond
	l.Term = max(l.Term, l.Rush)
	return l
}

// end is a client's end of a stream for the relay, which leaves the client's own
// descriptor and its flags alone.
func end(f *os.File, how int) (io.ReadWriteCloser, error) {
	if again, err := relay.Reopen(int(f.Fd()), how); err == nil {
		return again, nil
	}
	return relay.Borrow(int(f.Fd()))
}
