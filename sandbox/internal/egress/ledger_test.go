package egress

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/audit"
)

// Every decision is in the record, repeated ones as a count.
func TestLedgerCounts(t *testing.T) {
	w := newQuietWorld(t)
	l := newLedger(w.sink, w.tell, w.clock)
	ev := audit.Event{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: "a:1", Detail: "closed", Sent: 3, Received: 5, Duration: time.Second}
	for range 10 {
		must(t, l.note(ev))
	}
	if len(w.events) != 1 {
		t.Fatalf("%d events, want the first alone", len(w.events))
	}
	must(t, l.sweep(false))
	if len(w.events) != 1 {
		t.Fatalf("%d events before the minute is over", len(w.events))
	}
	w.pass(window)
	must(t, l.sweep(false))
	last := w.events[len(w.events)-1]
	if len(w.events) != 2 || last.Detail != "closed (9 more within a minute)" || last.Sent != 27 || last.Received != 45 || last.Duration != 9*time.Second {
		t.Errorf("%d events, the last %+v", len(w.events), last)
	}
	must(t, l.note(ev))
	if len(w.events) != 3 {
		t.Errorf("%d events: the first of the next minute goes out at once", len(w.events))
	}
	must(t, l.note(ev))
	w.pass(window)
	must(t, l.note(ev)) // without a sweep in between
	if len(w.events) != 5 || w.events[3].Detail != "closed (1 more within a minute)" || w.events[4].Detail != "closed" {
		t.Errorf("%+v", w.events[3:])
	}
}

// The same decision for two client requests counts as two.
func TestLedgerKeepsRequestsApart(t *testing.T) {
	w := newQuietWorld(t)
	l := newLedger(w.sink, w.tell, w.clock)
	for _, id := range []string{"1", "2", "2"} {
		must(t, l.note(audit.Event{Kind: audit.KindName, Verdict: audit.Refused, Subject: "n", Request: &audit.Request{ID: []byte(id)}}))
	}
	if len(w.events) != 2 {
		t.Errorf("%d events", len(w.events))
	}
}

// Decisions that differ in anything that a person reads are not counted as one.
func TestLedgerKeepsDecisionsApart(t *testing.T) {
	w := newQuietWorld(t)
	l := newLedger(w.sink, w.tell, w.clock)
	ev := audit.Event{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "a:1", Address: "192.0.2.1:1", Rule: "p.toml:1:1", Detail: "why"}
	must(t, l.note(ev))
	for i, change := range []func(*audit.Event){
		func(ev *audit.Event) { ev.Kind = audit.KindName }, func(ev *audit.Event) { ev.Verdict = audit.Allowed }, func(ev *audit.Event) { ev.Subject = "b:1" },
		func(ev *audit.Event) { ev.Address = "192.0.2.2:1" }, func(ev *audit.Event) { ev.Rule = "p.toml:2:1" }, func(ev *audit.Event) { ev.Detail = "whither" },
	} {
		other := ev
		change(&other)
		must(t, l.note(other))
		if len(w.events) != i+2 {
			t.Errorf("%+v is counted as another", other)
		}
	}
	ev.Sent, ev.Received, ev.Duration = 1, 2, time.Second // not the same bytes, and the same decision
	must(t, l.note(ev))
	if len(w.events) != 7 {
		t.Errorf("%d events", len(w.events))
	}
}

// Ten thousand different refusals cause no flood, and all are counted.
func TestLedgerIsBounded(t *testing.T) {
	w := newQuietWorld(t)
	l := newLedger(w.sink, w.tell, w.clock)
	for i := range 10_000 {
		must(t, l.note(audit.Event{Kind: audit.KindName, Verdict: audit.Refused, Subject: fmt.Sprint(i)}))
		l.say(fmt.Sprint(i), "line")
	}
	if n := len(w.events); n != maxKinds+1 {
		t.Errorf("%d events", n)
	}
	if n := len(w.told); n != maxKinds {
		t.Errorf("%d lines", n)
	}
	must(t, l.sweep(true))
	last := w.events[len(w.events)-1]
	if want := fmt.Sprintf("%d more", 10_000-maxKinds-1); !strings.Contains(last.Detail, want) {
		t.Errorf("%+v, want %s", last, want)
	}
	// A minute later there is room for others.
	w.pass(window)
	must(t, l.sweep(false))
	for i := range maxKinds {
		l.say(fmt.Sprint("other ", i), "line")
	}
	if n := len(w.told); n != 2*maxKinds {
		t.Errorf("%d lines", n)
	}
}

func TestLedgerSaysWhatIsNotRecorded(t *testing.T) {
	w := newQuietWorld(t)
	broken := true
	l := newLedger(func(ev audit.Event) error {
		if broken {
			return errors.New("disk full")
		}
		return w.sink(ev)
	}, w.tell, w.clock)
	ev := audit.Event{Kind: audit.KindConnect, Verdict: audit.Allowed, Subject: "a:1"}
	for range 2 { // not only the first time
		if err := l.note(ev); err == nil {
			t.Error("an event was lost in silence")
		}
	}
	broken = false
	must(t, l.note(ev))
	if len(w.events) != 1 {
		t.Errorf("%d events", len(w.events))
	}
	must(t, l.note(ev))
	broken = true
	if err := l.sweep(true); err == nil {
		t.Error("a count was lost in silence")
	}
}

func TestTellsOnceAMinute(t *testing.T) {
	w := newQuietWorld(t)
	l := newLedger(w.sink, w.tell, w.clock)
	for range 3 {
		l.say("evil.example", "refused evil.example:443")
		l.say("other.example", "refused other.example:443")
	}
	if len(w.told) != 2 {
		t.Errorf("%q", w.told)
	}
	w.pass(window)
	l.say("evil.example", "again")
	if len(w.told) != 3 {
		t.Errorf("%q", w.told)
	}
}
