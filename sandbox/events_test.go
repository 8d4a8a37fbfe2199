package sandbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// recorder is a reporter with everything it said.
type recorder struct {
	reporter
	events []audit.Event
	lines  strings.Builder
	killed int
	fails  error // of the log
}

func newRecorder() *recorder {
	r := &recorder{}
	r.reporter.log = func(e audit.Event) error { r.events = append(r.events, e); return r.fails }
	r.server, r.stderr, r.kill = "s", &r.lines, func() { r.killed++ }
	return r
}

func refusal(kind audit.Kind) audit.Event {
	return audit.Event{Kind: kind, Verdict: audit.Refused, Subject: "x\n", Detail: "why\u202e", Request: &audit.Request{Method: "m"}}
}

// A warning during a conversation goes through it, in order with the server's lines;
// before there is one, a warning still reaches the person.
func TestWarningsReachThePerson(t *testing.T) {
	r := newRecorder()
	r.warn("first")
	e := refusal(audit.KindFile)
	e.Hint = "read = [\"/x\"]"
	r.warnOf(e)
	r.hint("")
	want := "mcpen: s: first\nmcpen: s: refused: x\\x0a: why\\u202e\nmcpen: hint: read = [\"/x\"]\n"
	if got := r.lines.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var said []string
	r.carried.Store(&carried{warn: func(text string) { said = append(said, text) }, notify: func(string) {}})
	r.warnAll([]string{"a", "b"})
	if r.lines.String() != want || !slices.Equal(said, []string{"mcpen: s: a", "mcpen: s: b"}) {
		t.Errorf("said %q, and beside it %q", said, strings.TrimPrefix(r.lines.String(), want))
	}
}

// The client is notified of refusals of its own requests, and of nothing else: a model
// reads its messages.
func TestClientIsNotifiedOfRefusalsAlone(t *testing.T) {
	other := refusal(audit.KindFile)
	other.Request = nil
	allowed := refusal(audit.KindFile)
	allowed.Verdict = audit.Observed
	for _, c := range []struct {
		event audit.Event
		want  string
	}{
		{refusal(audit.KindName), "mcpen refused the name x\\x0a"}, {refusal(audit.KindConnect), "mcpen refused a connection to x\\x0a"}, {refusal(audit.KindFile), "mcpen refused opening x\\x0a"},
		{refusal(audit.KindSyscall), ""}, {other, ""}, {allowed, ""},
	} {
		r := newRecorder()
		r.report(c.event) // nobody carries it yet
		got := ""
		r.carried.Store(&carried{warn: func(string) {}, notify: func(text string) { got += text }})
		if r.report(c.event); got != c.want || len(r.events) != 2 || r.killed != 0 {
			t.Errorf("%+v: notified of %q, want %q; %d events", c.event, got, c.want, len(r.events))
		}
	}
}

// A log that fails ends the server, which nobody could account for.
func TestRunEndsWithItsLog(t *testing.T) {
	r := newRecorder()
	r.fails = errors.New("full")
	if err := r.report(refusal(audit.KindFile)); err == nil || r.killed != 1 {
		t.Errorf("%v, killed %d times", err, r.killed)
	}
	if err := r.started(plan.Plan{Gaps: []plan.Gap{{}, {}}}); err == nil || len(r.events) != 2 || r.killed != 1 {
		t.Errorf("a start without a log: %v, %d events", err, len(r.events)-1)
	}
}

// An event's advice is its command, or else a line of a profile.
func TestEventsAreAdvised(t *testing.T) {
	r := newRecorder()
	e := refusal(audit.KindFile)
	e.Grant = audit.Roots{}.AllowPath("read", "/x")
	if r.report(e); r.events[0].Hint != "" || r.events[0].Advice() == "" {
		t.Errorf("without a word for the server: %q", r.events[0].Hint)
	}
	r.allow = "word"
	r.report(e)
	if got := r.events[1].Hint; got != e.Grant.Command("word") || got == "" {
		t.Errorf("got %q", got)
	}
	e.Hint = "own"
	if r.report(e); r.events[2].Hint != "own" {
		t.Errorf("an event's own hint became %q", r.events[2].Hint)
	}
}

// Who reads the log later finds the run, the server and the plan with every event.
func TestEventsAreStamped(t *testing.T) {
	var got audit.Event
	log := stamped(func(e audit.Event) error { got = e; return nil }, "id", "server", "digest")
	if log(audit.Event{Subject: "x"}); got.Session != "id" || got.Server != "server" || got.Plan != "digest" || got.Subject != "x" || time.Since(got.Time) > time.Hour {
		t.Errorf("%+v", got)
	}
	at := time.Unix(7, 0)
	if log(audit.Event{Time: at}); !got.Time.Equal(at) {
		t.Errorf("an event's own time became %v", got.Time)
	}
	if err := stamped(nil, "", "", "")(audit.Event{}); err != nil {
		t.Error(err)
	}
}

// The log says which layers held, which did not, and how the server ended.
func TestStartAndEndAreRecorded(t *testing.T) {
	r := newRecorder()
	p := plan.Plan{Layers: []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp}, Gaps: []plan.Gap{{Layer: policy.LayerLimits, Want: "a", Have: "b", Why: "c"}}}
	p.Landlock.ABI = 5
	r.started(p)
	r.ended("/x", Exit{Code: 3}, relay.Ground, nil, time.Second)
	r.ended("/x", Exit{Signal: 9}, relay.Killed, []string{"memory over 1G", "processes over 5"}, time.Second)
	r.ended("/x", Exit{}, relay.Ground, []string{"memory over 1G"}, 0)
	for i, want := range []string{"held by landlock (ABI 5), seccomp", "not held: a, have b: c", "", "ended after SIGKILL, memory over 1G, processes over 5", "memory over 1G"} {
		if got := r.events[i].Detail; got != want {
			t.Errorf("event %d is %q, want %q", i, got, want)
		}
	}
	if c := r.events[2].Code; c == nil || *c != 3 || r.events[2].Signal != "" || r.events[2].Duration != time.Second {
		t.Errorf("an exit is %+v", r.events[2])
	}
	if r.events[3].Code != nil || r.events[3].Signal != "SIGKILL" {
		t.Errorf("a signal is %+v", r.events[3])
	}
}
