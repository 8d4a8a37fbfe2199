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

// Bounds on the cost of a server's chatter.
const (
	chatLine  = 4 << 10  // bytes of one line that are shown
	chatQueue = 256      // lines that wait for an unread stderr
	queueSize = 64 << 10 // bytes of them, apart from the last one
	chatBurst = 500      // lines at once
	chatRate  = 100      // lines a second after that
	keptLines = 64       // lines over these bounds whose text is kept: the last ones
	keptBytes = 64 << 10 // bytes of them
	chatAgain = 2 * keptLines
)

// chatKinds are the kinds of events that a server can cause at will, and with which it
// could push the others out of the log.
var chatKinds = []audit.Kind{audit.KindStderr, audit.KindStdout, audit.KindLine}

// chatter shows and records a server's output beside the protocol: its stderr, and text
// on its stdout that is not JSON. It never makes the server wait: it counts the lines
// beyond its bounds, and reports the count. The last lines are never only counted,
// since they explain a crash.
type chatter struct {
	emit func(audit.Event)

	mu     sync.Mutex
	change sync.Cond
	lanes  map[audit.Kind]*lane
	queue  []string
	size   int  // bytes in queue
	hidden int  // lines recorded and not shown, before the queue
	mute   bool // nobody reads the output
	shut   bool // nothing more is recorded
	done   chan struct{}
}

// lane bounds one kind of lines, so that one kind cannot push out another.
type lane struct {
	limit *rate.Limiter
	kept  []words // the last lines over the limit, in order
	size  int     // bytes of their texts
	lost  int     // earlier lines that are only counted
}

// words is a line to record and show.
type words struct {
	event  audit.Event
	text   string
	record func(audit.Event)
	server bool // the text comes from the server
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

// write writes to the launcher's stderr on a goroutine of its own, so that a client
// that does not read it stops nobody else.
func (c *chatter) write(out io.Writer) {
	defer close(c.done)
	for {
		text, ok := c.next()
		if !ok {
			return
		}
		if _, err := io.WriteString(out, text+"\n"); err != nil {
			c.mu.Lock()
			c.mute, c.queue = true, nil // the log still gets the rest
			c.mu.Unlock()
			return
		}
	}
}

// next waits for the next line to show.
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

// report records an event with record and shows a text by mcpen, unless there were too
// many of its kind.
func (c *chatter) report(e audit.Event, text string, record func(audit.Event)) {
	c.take(words{e, text, record, false})
}

// take records and shows a line, unless there were too many of its kind. After that,
// the lane reopens once it has room for its held lines and as many more, so that the
// shown lines are contiguous.
func (c *chatter) take(w words) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return
	}
	on := c.lanes[w.event.Kind]
	if on.closed() && on.limit.Tokens() >= chatAgain {
		on.limit.AllowN(time.Now(), len(on.kept))
		c.open(w.event.Kind)
	}
	if on.closed() || !on.limit.Allow() {
		on.keep(w)
		return
	}
	c.put(w)
}

// verdictOf: stderr is only reported; text on stdout is kept from the client.
func verdictOf(kind audit.Kind) audit.Verdict {
	if kind == audit.KindStdout {
		return audit.Refused
	}
	return audit.Observed
}

// readable returns the line with unusual characters made visible, cut to the bound.
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
func (l *lane) closed() bool { return l.lost > 0 || len(l.kept) > 0 }

// keep keeps a line for the end, and drops the oldest if there are many.
func (l *lane) keep(w words) {
	if r := w.event.Request; r != nil { // parts of a line whose memory is reused
		own := *r
		own.ID, own.Args = slices.Clone(own.ID), slices.Clone(own.Args)
		w.event.Request = &own
	}
	l.kept = append(l.kept, w)
	l.size += len(w.text)
	for len(l.kept) > keptLines || l.size > keptBytes && len(l.kept) > 1 {
		l.size -= len(l.kept[0].text)
		l.kept = slices.Delete(l.kept, 0, 1)
		l.lost++
	}
}

// open reports the number of dropped lines and releases the held ones. The caller must
// hold c.mu.
func (c *chatter) open(kind audit.Kind) {
	on := c.lanes[kind]
	if on.lost > 0 {
		text := fmt.Sprintf("%d lines suppressed (%s)", on.lost, kind)
		c.emit(audit.Event{Kind: kind, Verdict: audit.Observed, Subject: text})
		c.enqueue("mcpen: " + text)
	}
	for _, w := range on.kept {
		c.put(w)
	}
	on.kept, on.size, on.lost = nil, 0, 0
}

// put records and shows a line. The caller must hold c.mu.
func (c *chatter) put(w words) {
	w.record(w.event)
	if w.server {
		w.text = marked(w.event.Kind, w.text)
	}
	c.enqueue(w.text)
}

// show shows a text that is recorded elsewhere.
func (c *chatter) show(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueue(text)
}

// enqueue shows a text. If stderr is not read, it replaces the oldest waiting line. The
// caller must hold c.mu.
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

// end reports the dropped lines and makes write return after the queue.
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
