package relay

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLadder plays servers that exit at different steps, with synctest's clock, and
// checks the time of each step.
func TestLadder(t *testing.T) {
	l := Ladder{Grace: 2 * time.Second, Term: 3 * time.Second, Rush: 250 * time.Millisecond, Last: time.Second}
	never := time.Hour
	for name, c := range map[string]struct {
		leaves  map[string]time.Duration // after which step, how much later
		hurry   time.Duration            // when the client loses patience
		gone    bool                     // the server was gone before
		want    Step
		journal string
		err     bool
	}{
		"gone before":              {gone: true, hurry: never, want: Ground},
		"ends with its input":      {leaves: map[string]time.Duration{"stdin": time.Second}, hurry: never, want: StdinEnded, journal: "stdin@0s"},
		"ends after SIGTERM":       {leaves: map[string]time.Duration{"terminated": time.Second}, hurry: never, want: Terminated, journal: "stdin@0s terminated@2s"},
		"needs SIGKILL":            {leaves: map[string]time.Duration{"killed": 0}, hurry: never, want: Killed, journal: "stdin@0s terminated@2s killed@5s"},
		"stays":                    {hurry: never, want: Killed, journal: "stdin@0s terminated@2s killed@5s", err: true},
		"hurry at once":            {leaves: map[string]time.Duration{"killed": 0}, want: Killed, journal: "stdin@0s terminated@0s killed@250ms"},
		"hurry, a good server":     {leaves: map[string]time.Duration{"terminated": 0}, want: Terminated, journal: "stdin@0s terminated@0s"},
		"hurry in the first wait":  {leaves: map[string]time.Duration{"killed": 0}, hurry: time.Second, want: Killed, journal: "stdin@0s terminated@1s killed@1.25s"},
		"hurry in the second wait": {leaves: map[string]time.Duration{"killed": 0}, hurry: 4 * time.Second, want: Killed, journal: "stdin@0s terminated@2s killed@4.25s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var journal []string
				done, hurry := make(chan struct{}), make(chan struct{})
				step := func(name string) {
					journal = append(journal, fmt.Sprintf("%s@%v", name, time.Since(start)))
					if d, ok := c.leaves[name]; ok {
						time.AfterFunc(d, func() { close(done) })
					}
				}
				if c.gone {
					close(done)
				}
				if c.hurry == 0 {
					close(hurry)
				} else {
					defer time.AfterFunc(c.hurry, func() { close(hurry) }).Stop()
				}
				p := Process{Done: done, Signal: func(s os.Signal) error { step(s.String()); return nil }}
				got, err := l.climb(p, func() error { step("stdin"); return os.ErrClosed }, hurry, wait)
				if got != c.want || (err != nil) != c.err || strings.Join(journal, " ") != c.journal {
					t.Errorf("%v, %v, %q", got, err, journal)
				}
			})
		})
	}
}

// Claude Code sends SIGINT and kills half a second later: the ladder and the relay's
// end together must fit in 400 ms.
func TestHurryFitsWhatClientsGrant(t *testing.T) {
	if sum := DefaultLadder.Rush + rushTime + leaveTime; sum > 400*time.Millisecond {
		t.Errorf("a hurried end may take %v", sum)
	}
}
