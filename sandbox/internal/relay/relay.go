// Package relay carries the lines of a stdio conversation between an MCP client and its
// server, both ways, byte for byte, and ends the server in order.
//
// It applies these rules to every line, with or without a caller's own:
//
//   - Lines end at 0x0A and nowhere else; a \r before it passes unchanged. The bytes
//     after the last 0x0A when a side ends are a line, too: it is inspected like any
//     other and passed on without an end, as received. A later line by mcpen begins on
//     a new line.
//   - A byte order mark before the first line of a side is removed: a JSON reader need
//     not accept it (RFC 8259, 8.1).
//   - Blank lines from the client pass. Those from the server, which are neither
//     messages nor text, are dropped.
//   - A line that two JSON readers could understand differently, a batch, and a line
//     over the limit are not passed on.
//   - Text on the server's stdout that is not a message is shown and recorded, never
//     passed on.
//   - Nobody waits forever: if a line is not passed on, the side that waits for the
//     answer gets an error with the id it waits for. When the server ends, every
//     request of the client that is still in flight gets one before the client sees the
//     end.
//
// One goroutine for each direction reads, decides and writes. So a side that does not
// read stops the relay from reading the other one, as with a plain pipe. mcpen's own
// lines are queued (256 KiB), so that they cannot make the two goroutines wait for each
// other. The server's stderr is always read.
//
// The relay has no rules about methods, tools or words; see package guard.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
)

// Side is an end of the conversation. The zero Side is none.
type Side uint8

// The sides.
const (
	Client Side = iota + 1
	Server
)

// String names the side as a sentence does.
func (s Side) String() string {
	switch s {
	case Client:
		return "the client"
	case Server:
		return "the server"
	}
	return "nobody"
}

// Delivery is the decision on a line. The zero Delivery refuses it.
type Delivery struct {
	// Forward is the line for the other side, without a line end; it gets the end with
	// which the line came. Forwarding the line itself leaves its bytes unchanged; nil
	// forwards nothing. If a request is not forwarded and no Reply answers it, or an
	// answer is not forwarded and nothing in ToClient replaces it, the relay answers
	// with a general error.
	Forward []byte

	Reply    []byte        // a line to the sender, without its end; nil for none
	ToClient [][]byte      // lines to the client, after Forward and before Reply
	Events   []audit.Event // recorded unchanged, before anything is written
}

// Inspect decides on a line, given without its end. It is called only for lines of
// which m is an unambiguous view, and which are neither blank nor batches; in order,
// from one goroutine for each side. The two may run at the same time. line and m are
// valid until it returns.
//
// Inspect maintains the requests in flight: it adds a request that it passes on, and
// takes it when it sees the answer, whether that passes or not, or when the client
// cancels it.
type Inspect func(from Side, line []byte, m rpc.Message) Delivery

// Requests are the requests of one side that wait for an answer (see package flight).
// The relay takes those that it answers itself: because their answer is not passed on
// and Inspect did not see it, because they could not be written, or because the server
// ended. An id also matches the same id in the other type.
type Requests interface {
	Newest() *audit.Request  // for events; nil: none is in flight
	Waiting() bool           // an answer is due; a subscription is due none until it ends
	Own(id []byte) []byte    // the id as its sender wrote it; nil: nobody waits
	Only() []byte            // the id of the only request; nil: there are none, or several
	Drop(id []byte) []byte   // takes a request, and returns its own id
	DropAll() (own [][]byte) // takes all, oldest first
}

// Ends are the six ends of the streams. Close must make pending calls return, as Close
// of FD and of pipes from os.Pipe does. Run closes all of them.
type Ends struct {
	ClientIn  io.ReadCloser // the launcher's stdin
	ClientOut io.WriteCloser
	Stderr    io.WriteCloser // the launcher's
	ServerIn  io.WriteCloser // the server's stdin
	ServerOut io.ReadCloser
	ServerErr io.ReadCloser
}

// Config configures a relay.
type Config struct {
	Ends     Ends
	Process  Process
	Inspect  Inspect
	Requests Requests   // of the client; Inspect maintains them
	Asked    Requests   // of the server, likewise
	Rest     func()     // waits for pending output after Inspect has seen every line; nil: there is none
	Sink     audit.Sink // receives Kind, Verdict, Subject, Detail and Request; the caller adds the rest
	MaxLine  int64      // bytes of a line without its 0x0A; 0 is defaultMaxLine
	Ladder   Ladder     // the zero Ladder does not wait before SIGKILL
}

// defaultMaxLine is 64 times the longest line seen in use, in bytes.
const defaultMaxLine = 64 << 20

// Time limits between the server's end and the relay's.
const (
	shownTime = 200 * time.Millisecond // for a stderr that may have no reader
	rushTime  = 50 * time.Millisecond  // for all of it, in a hurry
	lastTime  = 2 * time.Second        // for goroutines that have nothing left to do
	leaveTime = 50 * time.Millisecond  // the same, in a hurry
)

// Relay is one conversation. Any goroutine may call its methods.
type Relay struct {
	Config
	toClient *outlet
	toServer *outlet
	chat     *chatter
	motion   *motion

	mu      sync.Mutex
	sinkErr error

	clientDone chan struct{} // stdin ended
	serverDone chan struct{} // the server's stdout ended, and all of it was passed on
	clientGone chan struct{} // the client no longer reads
	goneOnce   sync.Once
	otherID    sync.Once
}

// Outcome is the result of a conversation.
type Outcome struct {
	Cause Cause
	Step  Step // the step that ended the server
}

// Cause is the reason for a conversation's end.
type Cause string

// The causes.
const (
	ClientEnded  Cause = "the client closed its end"
	ClientGone   Cause = "the client does not read any more"
	ServerEnded  Cause = "the server ended"
	ServerClosed Cause = "the server closed its output"
	Interrupted  Cause = "interrupted"
)

// New checks the configuration. It starts only the goroutines that write; they end with
// Run, so Run must be called.
func New(c Config) (*Relay, error) {
	e := c.Ends
	if e.ClientIn == nil || e.ClientOut == nil || e.Stderr == nil || e.ServerIn == nil || e.ServerOut == nil || e.ServerErr == nil {
		return nil, errors.New("internal error: relay without all of its ends")
	}
	if c.Sink == nil || c.Process.Signal == nil || c.Process.Done == nil {
		return nil, errors.New("internal error: relay without a sink or a process")
	}
	if c.Inspect == nil || c.Requests == nil || c.Asked == nil {
		return nil, errors.New("internal error: relay without Inspect or its requests")
	}
	if c.MaxLine == 0 {
		c.MaxLine = defaultMaxLine
	}
	if c.MaxLine < 0 || c.MaxLine > 1<<30 {
		return nil, fmt.Errorf("cannot carry lines of up to %d bytes: the limit must be between 1 and %d", c.MaxLine, 1<<30)
	}
	r := &Relay{
		Config:     c,
		toClient:   newOutlet(e.ClientOut),
		toServer:   newOutlet(e.ServerIn),
		motion:     newMotion(),
		clientDone: make(chan struct{}),
		serverDone: make(chan struct{}),
		clientGone: make(chan struct{}),
	}
	r.chat = newChatter(e.Stderr, r.emit)
	return r, nil
}

// Notify sends lines by mcpen to the client, between other lines. It waits while the
// queue is full and does nothing once the client is gone.
func (r *Relay) Notify(lines ...[]byte) { r.toClient.slip(lines...) }

// TryNotify sends a line by mcpen to the client, between other lines. If it would have to
// wait, it drops the line.
func (r *Relay) TryNotify(line []byte) { r.toClient.offer(line) }

// Warn shows one line to the person, on the launcher's stderr and in order with the
// server's lines there. It never waits: if stderr is not read, lines beyond the queue
// are counted and the count is shown later. Say records nothing.
func (r *Relay) Warn(text string) { r.chat.show(audit.Visible(text)) }

// Run carries lines until one side ends and the server is gone, closes all ends and
// returns. A client that closed its end gets the answers to its requests, and one that
// is busy when the server ends gets the server's last lines, within Ladder.Finish; Run
// reports and records lost lines. Once ctx is done, Run returns within Ladder.Rush and
// about a tenth of a second. An error means that the server could not be ended or that
// an event was not recorded; the lines were carried nevertheless.
func (r *Relay) Run(ctx context.Context) (Outcome, error) {
	var all sync.WaitGroup
	all.Go(r.fromClient)
	all.Go(r.fromServer)
	chatDone := make(chan struct{})
	all.Go(func() { defer close(chatDone); r.chat.drain(r.Ends.ServerErr) })

	out := Outcome{Cause: r.wait(ctx)}
	var err error
	out.Step, err = r.end(ctx, out.Cause)

	limit := newDeadline(ctx, r.Ladder.Finish, r.Ladder.lastLines())
	limit.wait(r.serverDone)
	limit.wait(chatDone)
	if r.Rest != nil {
		limit.until(r.Rest)
	}
	limit.until(func() { r.answerAll(); r.toClient.empty() })
	r.reportUnread()
	r.chat.end()
	wait(r.chat.done, limit.over, shownTime)
	limit.stop()

	r.closeAll()
	err = errors.Join(err, r.leave(ctx, &all))
	r.mu.Lock()
	defer r.mu.Unlock()
	return out, errors.Join(err, r.sinkErr)
}

// end ends the server for a cause.
func (r *Relay) end(ctx context.Context, cause Cause) (Step, error) {
	if cause != ClientEnded {
		return r.Ladder.climb(r.Process, r.endInput, ctx.Done(), wait)
	}
	defer r.watchClient(ctx)()
	limit := newDeadline(ctx, r.Ladder.Finish, 0)
	defer limit.stop()
	r.settle(ctx.Done(), limit.over)
	return r.Ladder.climb(r.Process, r.endInput, ctx.Done(), r.calm(limit.over))
}

// leave waits for every goroutine. All of them can end now, with one exception: a write
// to a pipe that another process filled between our poll(2) and our write(2), and never
// empties. That one ends with the process.
func (r *Relay) leave(ctx context.Context, all *sync.WaitGroup) error {
	limit := newDeadline(ctx, lastTime, leaveTime)
	defer limit.stop()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		all.Wait()
		<-r.toClient.done
		<-r.toServer.done
		<-r.chat.done
	}()
	limit.wait(gone)
	if !isClosed(gone) {
		return errors.New("a stream that nobody reads does not let go")
	}
	return nil
}

// wait returns the first reason to end.
func (r *Relay) wait(ctx context.Context) Cause {
	select {
	case <-ctx.Done():
		return Interrupted
	case <-r.Process.Done:
		return ServerEnded
	case <-r.clientDone:
		return ClientEnded
	case <-r.clientGone:
		return ClientGone
	case <-r.serverDone:
		// The end of its output arrives before its exit is known.
		if over, _ := wait(r.Process.Done, ctx.Done(), rushTime); over {
			return ServerEnded
		}
		return ServerClosed
	}
}

// endInput closes the server's stdin. Lines still waiting to be written there are lost:
// the server had not read that far.
func (r *Relay) endInput() error { return r.toServer.close() }

// answerAll answers the requests that the server left unanswered.
func (r *Relay) answerAll() {
	ids := r.Requests.DropAll()
	if len(ids) == 0 {
		return
	}
	how := "ended"
	if r.Process.Status != nil && isClosed(r.Process.Done) {
		how = r.Process.Status()
	}
	for _, id := range ids {
		r.toClient.slip(rpc.ErrorReply(id, rpc.CodeInternal, "the server "+how+" before it answered this request"))
	}
}

func (r *Relay) closeAll() {
	_ = r.toClient.close()
	_ = r.toServer.close()
	_ = r.Ends.ClientIn.Close()
	_ = r.Ends.ServerOut.Close()
	_ = r.Ends.ServerErr.Close()
	_ = r.Ends.Stderr.Close()
}

// emit records an event with the request in flight.
func (r *Relay) emit(e audit.Event) {
	e.Request = r.Requests.Newest()
	r.record(e)
}

// record records an event unchanged and keeps the first error.
func (r *Relay) record(e audit.Event) {
	err := r.Sink(e)
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sinkErr == nil {
		r.sinkErr = fmt.Errorf("cannot record an event: %w", err)
	}
}
