package relay

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
)

// Bounds of what a server's chatter may cost.
const (
	chatLine  = 4 << 10  // bytes shown of one line
	chatQueue = 256      // lines that wait for a stderr that is not read
	queueSize = 64 << 10 // bytes of them, apart from the last one
	chatBurst = 500      // lines at once
	chatRate  = 100      // lines a second after that
	heldLines = 64       // lines over these bounds of which the text is kept: the last ones
	heldSize  = 64 << 10 // bytes of them
	chatAgain = 2 * heldLines
)

// chatKinds are the kinds of events that a server causes at will, so that it
// could push the others out of the log with them.
var chatKinds = []audit.Kind{audit.KindStderr, audit.KindStdout, audit.KindLine}

// chatter shows and records what a server says beside the protocol: its stderr,
// and what it writes to stdout that is no JSON. It never makes the server wait:
// what goes beyond its bounds is counted instead, and the count is told. The last
// lines are never among what is only counted, for they say why a server crashed.
type chatter struct {
	emit func(audit.Event)

	mu     sync.Mutex
	change sync.Cond
	lanes  map[audit.Kind]*lane
	queue  []string
	size   int  // bytes in queue
	hidden int  // lines recorded and not shown, in front of the queue
	mute   bool // nobody takes what is shown
	shut   bool // nothing more is recorded
	done   chan struct{}
}

// lane bounds one kind of lines, so that one cannot push out the other.
type lane struct {
	limit *rate.Limiter
	held  []words // the last lines that were over the limit, in order
	size  int     // bytes of their texts
	lost  int     // lines before them that are only counted
}

// words are a line that is to be recorded and shown.
type words struct {
	event  audit.Event
	text   string
	record func(audit.Event)
	server bool // the text is the server's
}

func newChatter(out io.Writer, emit func(audit.Event)) *chatter {
	c := &chatter{emit: emit, lanes: map[audit.Kind]*lane{}, done: make(chan struct{})}
	c.change.L = &c.mu
	for _, kind := range chatKinds {
		c.lanes[kind] = &lane{limit: rate.NewLimiter(chatRate, chatBurst)}
	}
	go c.write(out)
	return c
}

// write writes to the launcher's stderr, alone, so that a client that does not
// read it stops nobody else.
func (c *chatter) write(out io.Writer) {
	defer close(c.done)
	for {
		text, ok := c.next()
		if !ok {
			return
		}
		if _, err := io.WriteString(out, text+"\n"); err != nil {
			c.mu.Lock()
			c.mute, c.queue = true, nil // the log still has what follows
			c.mu.Unlock()
			return
		}
	}
}

// next waits for the next line that is to be shown.
func (c *chatter) next() (text string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.shut {
		c.change.Wait()
	}
	if len(c.queue) == 0 {
		return "", false
	}
	text = c.queue[0]
	c.queue = c.queue[1:]
	c.size -= len(text)
	if c.hidden > 0 {
		text = fmt.Sprintf("mcpen: %d lines are only in the log\n%s", c.hidden, text)
		c.hidden = 0
	}
	return text, true
}

// drain reads the server's stderr to its end.
func (c *chatter) drain(r io.Reader) {
	l := newLines(r, chatLine)
	for {
		f, err := l.next()
		if err != nil {
			return
		}
		c.say(audit.KindStderr, f)
	}
}

// say records and shows one line of the server's.
func (c *chatter) say(kind audit.Kind, f frame) {
	text := readable(f)
	c.take(words{audit.Event{Kind: kind, Verdict: verdictOf(kind), Subject: text}, text, c.emit, true})
}

// tell records an event with record and shows text of mcpen's own, unless there
// were too many of its kind.
func (c *chatter) tell(e audit.Event, text string, record func(audit.Event)) {
	c.take(words{e, text, record, false})
}

// take records and shows a line, unless there were too many of its kind. Once there
// were, the lane opens again when it has room for the lines that it holds and as
// many more, so that what is shown hangs together.
func (c *chatter) take(w words) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return
	}
	on := c.lanes[w.event.Kind]
	if on.closed() && on.limit.Tokens() >= chatAgain {
		on.limit.AllowN(time.Now(), len(on.held))
		c.open(w.event.Kind)
	}
	if on.closed() || !on.limit.Allow() {
		on.hold(w)
		return
	}
	c.put(w)
}

// verdictOf: stderr is told, other text on stdout is kept from the client.
func verdictOf(kind audit.Kind) audit.Verdict {
	if kind == audit.KindStdout {
		return audit.Refused
	}
	return audit.Observed
}

// readable is the line with everything odd in it made visible, cut.
func readable(f frame) string {
	head, size := f.line, int64(len(f.line))
	if f.long != nil {
		head, size = f.long.head, f.long.size
	}
	head = head[:min(len(head), chatLine)]
	text := audit.Visible(string(head))
	if cut := size - int64(len(head)); cut > 0 {
		text += fmt.Sprintf(" [%d more bytes]", cut)
	}
	return text
}

// closed reports whether lines are held back.
func (l *lane) closed() bool { return l.lost > 0 || len(l.held) > 0 }

// hold keeps a line for the end, in the place of the oldest where there are many.
func (l *lane) hold(w words) {
	if r := w.event.Request; r != nil { // parts of a line that dies
		own := *r
		own.ID, own.Args = slices.Clone(own.ID), slices.Clone(own.Args)
		w.event.Request = &own
	}
	l.held = append(l.held, w)
	l.size += len(w.text)
	for len(l.held) > heldLines || l.size > heldSize && len(l.held) > 1 {
		l.size -= len(l.held[0].text)
		l.held = slices.Delete(l.held, 0, 1)
		l.lost++
	}
}

// open says how many lines were left out and tells those that are held; c.mu is
// held.
func (c *chatter) open(kind audit.Kind) {
	on := c.lanes[kind]
	if on.lost > 0 {
		text := fmt.Sprintf("%d lines suppressed (%s)", on.lost, kind)
		c.emit(audit.Event{Kind: kind, Verdict: audit.Observed, Subject: text})
		c.enqueue("mcpen: " + text)
	}
	for _, w := range on.held {
		c.put(w)
	}
	on.held, on.size, on.lost = nil, 0, 0
}

// put records and shows a line; c.mu is held.
func (c *chatter) put(w words) {
	w.record(w.event)
	if w.server {
		w.text = marked(w.event.Kind, w.text)
	}
	c.enqueue(w.text)
}

// show shows text that is recorded elsewhere.
func (c *chatter) show(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueue(text)
}

// enqueue shows text, in the place of the oldest that waits where stderr is not
// read; c.mu is held.
func (c *chatter) enqueue(text string) {
	if c.shut || c.mute {
		return
	}
	c.queue = append(c.queue, text)
	c.size += len(text)
	for len(c.queue) > chatQueue || c.size > queueSize && len(c.queue) > 1 {
		c.size -= len(c.queue[0])
		c.queue[0] = ""
		c.queue = c.queue[1:]
		c.hidden++
	}
	c.change.Signal()
}

// end tells what was left out and ends write once it wrote what was queued.
func (c *chatter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return
	}
	for _, kind := range chatKinds {
		c.open(kind)
	}
	c.shut = true
	c.change.Signal()
}
