package launch

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"mcpen/sandbox/audit"
)

// withheld watches a run's log for variables that are set where mcpen was started, that
// the server does not get, and that it names on its stderr: most servers say so when
// they lack one. Its Write may be called from any goroutine.
type withheld struct {
	write audit.Sink
	allow string // as in Order

	mu    sync.Mutex
	names map[string]bool // not yet named by the server
	heard []audit.Event
}

func newWithheld(names []string, allow string, write audit.Sink) *withheld {
	w := &withheld{write: write, allow: allow, names: make(map[string]bool, len(names))}
	for _, n := range names {
		w.names[n] = true
	}
	return w
}

// Write passes an event on, and then the refusal of each variable that it names first.
func (w *withheld) Write(e audit.Event) error {
	if err := w.write(e); err != nil || e.Kind != audit.KindStderr || len(w.names) == 0 {
		return err
	}
	for _, v := range w.named(e) {
		if err := w.write(v); err != nil {
			return err
		}
	}
	return nil
}

// named returns the refusals of the variables that a line names for the first time.
func (w *withheld) named(line audit.Event) (out []audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for word := range strings.FieldsFuncSeq(line.Subject, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r == '_')
	}) {
		if !w.names[word] {
			continue
		}
		w.names[word] = false
		grant := audit.AllowVariable(word)
		out = append(out, audit.Event{Time: line.Time, Session: line.Session, Server: line.Server, Plan: line.Plan,
			Kind: audit.KindVariable, Verdict: audit.Refused, Subject: word, Grant: grant, Hint: grant.Command(w.allow), Request: line.Request,
			Detail: "the server names it, and it is set outside, but not passed on"})
	}
	w.heard = append(w.heard, out...)
	return out
}

// tell says the refusals to the person. Nothing may be written any more.
func (w *withheld) tell(out io.Writer) {
	for _, e := range w.heard {
		fmt.Fprintf(out, "mcpen: %s: refused variable %s: %s; to allow it: %s\n", audit.Visible(e.Server), e.Subject, e.Detail, audit.Visible(e.Advice()))
	}
}
