package relay

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Process is the server as its end concerns the relay.
type Process struct {
	Signal func(os.Signal) error // an error means that nobody was there to get it
	Done   <-chan struct{}       // closed once the server and all that it started are gone
	Status func() string         // how it ended, as in "was killed by SIGSEGV"; called behind Done, may be nil
}

// Ladder is how a server is ended, each step harder than the one before: close
// its stdin, wait Grace, SIGTERM, wait Term, SIGKILL, wait Last. It is the order
// that MCP's stdio transport asks of clients. In a hurry the first two steps
// come at once and SIGKILL follows after Rush. Where the client closed its end
// the server first has the time to answer, see settle, and Grace begins anew with
// each of its lines.
type Ladder struct {
	Finish time.Duration // what answers, and the client's reading of them, may take once one side ended
	Grace  time.Duration // between the end of stdin and SIGTERM
	Term   time.Duration // between SIGTERM and SIGKILL
	Rush   time.Duration // the same, in a hurry
	Last   time.Duration // what SIGKILL may take
}

// DefaultLadder is what the usual clients grant, or less where they grant less:
// Claude Code kills half a second after its first signal, so that everything
// must be gone 400 ms behind it. SIGKILL takes a few milliseconds, and seconds on a
// machine that has no processor to spare; giving up sooner helps nobody.
var DefaultLadder = Ladder{Finish: 5 * time.Minute, Grace: 2 * time.Second, Term: 2 * time.Second, Rush: 250 * time.Millisecond, Last: 10 * time.Second}

// Step is how far the ladder was climbed. The zero Step is the ground: the
// server ended by itself.
type Step int

// The steps.
const (
	Ground     Step = iota
	StdinEnded      // it left when its stdin closed
	Terminated      // it left after SIGTERM
	Killed          // it left after SIGKILL
)

// String names the step for a log.
func (s Step) String() string {
	return [...]string{"ended by itself", "ended when its input ended", "ended after SIGTERM", "ended after SIGKILL"}[s]
}

// Climb ends the server and returns the step that did it. hurry, once it is
// closed, compresses what is left of the way. grace waits for Grace. A server that
// is there after the last step is an error; a signal that cannot be sent is not,
// for Done decides.
func (l Ladder) Climb(p Process, closeStdin func() error, hurry <-chan struct{}, grace waiter) (Step, error) {
	select {
	case <-p.Done:
		return Ground, nil
	default:
	}
	_ = closeStdin() // it may be closed already, and the next step does not depend on it
	if over, _ := grace(p.Done, hurry, l.Grace); over {
		return StdinEnded, nil
	}
	_ = p.Signal(syscall.SIGTERM)
	over, hurried := false, isClosed(hurry)
	if !hurried {
		over, hurried = wait(p.Done, hurry, l.Term)
	}
	if hurried && !over {
		over, _ = wait(p.Done, nil, l.Rush)
	}
	if over {
		return Terminated, nil
	}
	err := p.Signal(syscall.SIGKILL)
	if over, _ := wait(p.Done, nil, l.Last); !over {
		return Killed, fmt.Errorf("the server is still there %v after SIGKILL (sending it: %v)", l.Last, err)
	}
	return Killed, nil
}

// lastLines is what a client may take to read the last lines, in a hurry: as long
// as the server had, where that is more than usual.
func (l Ladder) lastLines() time.Duration {
	if l.Rush > DefaultLadder.Rush {
		return l.Rush
	}
	return rushTime
}

// waiter waits for done, at most d, and not when there is hurry.
type waiter func(done, hurry <-chan struct{}, d time.Duration) (over, hurried bool)

// wait is the plain waiter.
func wait(done, hurry <-chan struct{}, d time.Duration) (over, hurried bool) {
	select {
	case <-done:
		return true, false
	case <-hurry:
		return isClosed(done), true
	case <-time.After(d):
		return isClosed(done), false
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
