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

	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/plan"
)

// carrier carries the stdio of one server: fresh pipes lead into the sandbox,
// never the client's own descriptors, whose other ends, modes and offsets the
// server would share.
type carrier struct {
	client Stdio
	inside [3]*os.File                 // the server's ends
	server [3]*os.File                 // ours: its stdin, stdout, stderr
	relay  atomic.Pointer[relay.Relay] // set once the server runs
	behind *behind                     // set with it
	done   chan struct{}
	err    error
}

func newCarrier(client Stdio) (*carrier, error) {
	c := &carrier{client: client, done: make(chan struct{})}
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

func (c *carrier) closeInside() {
	for _, f := range c.inside {
		if f != nil {
			f.Close()
		}
	}
}

func (c *carrier) closeServer() {
	for _, f := range c.server {
		if f != nil {
			f.Close()
		}
	}
}

// run carries until the server is gone and everything it wrote was passed on.
func (c *carrier) run(ctx context.Context, b *Box) {
	defer close(c.done)
	if c.client.Raw {
		c.err = c.raw(ctx, b)
		return
	}
	c.err = c.lines(ctx, b)
}

// lines runs the relay.
func (c *carrier) lines(ctx context.Context, b *Box) error {
	out, err := c.relay.Load().Run(ctx)
	b.unread()
	for _, e := range b.guard.LeftOut() {
		b.record(e)
	}
	if err != nil {
		err = fmt.Errorf("cannot carry the server's messages: %w", err)
	}
	return errors.Join(err, b.ended(out.Step))
}

// converse makes the relay. The carrier must be run then.
func (c *carrier) converse(b *Box) error {
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
	rest := newBehind()
	r, err := relay.New(relay.Config{
		Ends: relay.Ends{ClientIn: in, ClientOut: out, Stderr: stderr,
			ServerIn: c.server[0], ServerOut: c.server[1], ServerErr: c.server[2]},
		Process:  relay.Process{Signal: b.Signal, Done: b.done, Status: b.status},
		Inspect:  b.inspect,
		Requests: b.guard.Requests(),
		Asked:    b.guard.Asked(),
		Rest:     func() { b.changed.finish(); rest.close() },
		Sink:     b.sink,
		MaxLine:  b.plan.Relay.MaxLine,
		Ladder:   ladder(b.plan.Relay),
	})
	if err != nil {
		rest.close()
		return err
	}
	c.behind = rest
	c.relay.Store(r)
	return nil
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

// raw copies bytes. The client's stdin is left alone once the server is gone:
// a read that waits there ends with the process.
func (c *carrier) raw(ctx context.Context, b *Box) error {
	defer c.closeServer()
	go func() {
		io.Copy(c.server[0], c.client.In)
		c.server[0].Close()
	}()
	var out sync.WaitGroup
	var errs [2]error
	out.Go(func() { _, errs[0] = io.Copy(c.client.Out, c.server[1]) })
	out.Go(func() { _, errs[1] = io.Copy(c.client.Err, c.server[2]) })
	stop := context.AfterFunc(ctx, b.kill)
	defer stop()
	<-b.done
	out.Wait()
	b.changed.finish()
	return errors.Join(errs[0], errs[1], b.ended(relay.Ground))
}
