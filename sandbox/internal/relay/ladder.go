package relay

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Process is the relay's view of the server's process.
type Process struct {
	Signal func(os.Signal) error // an error means that the process is gone
	Done   <-chan struct{}       // closed once the server and all of its descendants are gone
	Status func() string         // how it ended, as in "was killed by SIGSEGV"; called after Done, may be nil
}

// Ladder holds the times for ending a server, each step harder than the one before:
// close its stdin, wait Grace, SIGTERM, wait Term, SIGKILL, wait Last. MCP's stdio
// transport asks clients for this order. In a hurry the first two steps come at once
// and SIGKILL follows after Rush. If the client closed its end, the server first gets
// time to answer (see settle), and Grace restarts with each of its lines.
type Ladder struct {
	Finish time.Duration // for answers, and for the client to read them, once one side has ended
	Grace  time.Duration // from the end of stdin to SIGTERM
	Term   time.Duration // from SIGTERM to SIGKILL
	Rush   time.Duration // the same, in a hurry
	Last   time.Duration // for SIGKILL to take effect
}

// DefaultLadder has the times that the usual clients grant, or less if they grant less:
// Claude Code kills half a second after its first signal, so everything must be gone
// within 400 ms. SIGKILL takes a few milliseconds, and seconds on an overloaded
// machine; giving up sooner helps nobody.
var DefaultLadder = Ladder{Finish: 5 * time.Minute, Grace: 2 * time.Second, Term: 2 * time.Second, Rush: 250 * time.Millisecond, Last: 10 * time.Second}

// Step is the last step taken. The zero Step means that the server ended by itself.
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

// climb ends the server and returns the step that succeeded. Closing hurry shortens the
// remaining steps. grace waits for Grace. A server that survives the last step is an
// error. A signal that cannot be sent is not, since Done decides.
func (l Ladder) climb(p Process, closeStdin func() error, hurry <-chan struct{}, grace waiter) (Step, error) {
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

// lastLines is the time for a client to read the last lines, in a hurry: the server's
// time, if that is longer than usual.
func (l Ladder) lastLines() time.Duration {
	if l.Rush > DefaultLadder.Rush {
		return l.Rush
	}
	return rushTime
}

// waiter waits for done, at most d, and stops early on hurry.
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
