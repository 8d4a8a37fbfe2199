package relay

import (
	"fmt"
	"io"
	"sync"

	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
)

// Bounds of what a server's chatter may cost.
const (
	chatLine  = 4 << 10 // bytes shown of one line
	chatQueue = 256     // lines that wait for a stderr that is not read
	chatBurst = 500     // lines at once
	chatRate  = 100     // lines a second after that
)

// chatKinds are the kinds of events that a server causes at will, so that it
// could push the others out of the log with them.
var chatKinds = []audit.Kind{audit.KindStderr, audit.KindStdout, audit.KindLine}

// chatter shows and records what a server says beside the protocol: its stderr,
// and what it writes to stdout that is no JSON. It never makes the server wait:
// what goes beyond its bounds is counted instead, and the count is told.
type chatter struct {
	emit func(audit.Event)

	mu     sync.Mutex
	lanes  map[audit.Kind]*lane
	hidden int // lines recorded and not shown since the last that was shown
	queue  chan string
	shut   bool
	done   chan struct{}
}

// lane bounds one kind of lines, so that one cannot push out the other.
type lane struct {
	limit *rate.Limiter
	lost  int // lines not recorded since the last that was
}

func newChatter(out io.Writer, emit func(audit.Event)) *chatter {
	c := &chatter{
		emit:  emit,
		lanes: map[audit.Kind]*lane{},
		queue: make(chan string, chatQueue),
		done:  make(chan struct{}),
	}
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
	broken := false
	for text := range c.queue {
		if broken {
			continue // the log still has it
		}
		_, err := io.WriteString(out, text+"\n")
		broken = err != nil
	}
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

// say records and shows one line.
func (c *chatter) say(kind audit.Kind, f frame) {
	text := readable(f)
	c.tell(audit.Event{Kind: kind, Verdict: verdictOf(kind), Subject: text}, text, c.emit)
}

// tell records an event with record and shows text, unless there were too many
// of its kind.
func (c *chatter) tell(e audit.Event, text string, record func(audit.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return
	}
	on := c.lanes[e.Kind]
	if !on.limit.Allow() {
		on.lost++
		return
	}
	c.tellLost(e.Kind)
	record(e)
	c.enqueue(text)
}

// show shows text that is recorded elsewhere.
func (c *chatter) show(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.enqueue(text)
	}
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

// tellLost says how many lines were left out; c.mu is held.
func (c *chatter) tellLost(kind audit.Kind) {
	on := c.lanes[kind]
	if on.lost == 0 {
		return
	}
	text := fmt.Sprintf("%d lines suppressed (%s)", on.lost, kind)
	on.lost = 0
	c.emit(audit.Event{Kind: kind, Verdict: audit.Observed, Subject: text})
	c.enqueue("mcpen: " + text)
}

// enqueue shows text, or counts it when stderr is not read; c.mu is held.
func (c *chatter) enqueue(text string) {
	if c.hidden > 0 {
		text = fmt.Sprintf("mcpen: %d lines are only in the log\n%s", c.hidden, text)
	}
	select {
	case c.queue <- text:
		c.hidden = 0
	default:
		c.hidden++
	}
}

// end tells what was left out and ends write once it wrote what was queued.
func (c *chatter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return
	}
	for _, kind := range chatKinds {
		c.tellLost(kind)
	}
	c.shut = true
	close(c.queue)
}
