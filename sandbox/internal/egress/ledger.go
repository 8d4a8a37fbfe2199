package egress

import (
	"fmt"
	"sync"
	"time"

	"mcpen/sandbox/audit"
)

// Bounds on a ledger.
const (
	window   = time.Minute
	maxKinds = 512 // different decisions in one window that are written in full
)

// ledger passes decisions on to the log and to a person, and counts repetitions: the
// first of a kind goes out at once, the others of the same minute together at its end.
// Nothing goes unrecorded, and no program can fill a disk by its requests. Any
// goroutine may call its methods.
type ledger struct {
	sink audit.Sink
	warn func(string)
	now  func() time.Time

	mu   sync.Mutex
	seen map[kindOf]*tally
	told map[string]time.Time
}

// kindOf identifies equal decisions.
type kindOf struct {
	kind                           audit.Kind
	verdict                        audit.Verdict
	subject, address, rule, detail string
	request                        string
}

type tally struct {
	event audit.Event // the first
	since time.Time
	more  int
	sum   audit.Event // bytes and time of the others
}

func newLedger(sink audit.Sink, warn func(string), now func() time.Time) *ledger {
	return &ledger{sink: sink, warn: warn, now: now, seen: map[kindOf]*tally{}, told: map[string]time.Time{}}
}

// note records one decision. An error means that it was not recorded.
func (l *ledger) note(ev audit.Event) error {
	now := l.now()
	ev.Time = now
	k := kindOf{kind: ev.Kind, verdict: ev.Verdict, subject: ev.Subject, address: ev.Address, rule: ev.Rule, detail: ev.Detail}
	if ev.Request != nil {
		k.request = string(ev.Request.ID)
	}
	l.mu.Lock()
	t := l.seen[k]
	if t == nil && len(l.seen) >= maxKinds {
		// The rest share one line; the first of them goes out in full.
		k = kindOf{kind: ev.Kind, verdict: ev.Verdict, subject: "others"}
		t = l.seen[k]
	}
	if t != nil && now.Sub(t.since) < window {
		t.more++
		t.sum.Sent += ev.Sent
		t.sum.Received += ev.Received
		t.sum.Duration += ev.Duration
		l.mu.Unlock()
		return nil
	}
	l.seen[k] = &tally{event: ev, since: now}
	l.mu.Unlock()
	var err error
	if t != nil {
		err = l.report(t)
	}
	if e := l.sink(ev); e != nil {
		l.mu.Lock()
		delete(l.seen, k) // so that the next one is tried again
		l.mu.Unlock()
		err = e
	}
	return err
}

// report writes the count, if there is one.
func (l *ledger) report(t *tally) error {
	if t.more == 0 {
		return nil
	}
	ev := t.event
	ev.Time = l.now()
	ev.Sent, ev.Received, ev.Duration = t.sum.Sent, t.sum.Received, t.sum.Duration
	more := fmt.Sprintf("%d more within a minute", t.more)
	if ev.Detail != "" {
		more = ev.Detail + " (" + more + ")"
	}
	ev.Detail = more
	return l.sink(ev)
}

// sweep reports the counts of the windows that have ended, or of all windows if all is
// set. It returns the first error.
func (l *ledger) sweep(all bool) error {
	now := l.now()
	l.mu.Lock()
	var done []*tally
	for k, t := range l.seen {
		if all || now.Sub(t.since) >= window {
			delete(l.seen, k)
			done = append(done, t)
		}
	}
	for k, at := range l.told {
		if now.Sub(at) >= window {
			delete(l.told, k)
		}
	}
	l.mu.Unlock()
	var first error
	for _, t := range done {
		if err := l.report(t); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// say tells a person, once about each subject a minute.
func (l *ledger) say(about, line string) {
	now := l.now()
	l.mu.Lock()
	at, known := l.told[about]
	if (known && now.Sub(at) < window) || (!known && len(l.told) >= maxKinds) {
		l.mu.Unlock()
		return
	}
	l.told[about] = now
	l.mu.Unlock()
	l.warn(line)
}
