package sandbox

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// reporter speaks for one run: it reports events to the log, warns the person on
// stderr and notifies the client. Its methods may be called from any
// goroutine.
type reporter struct {
	log    audit.Sink // stamps events and passes them on
	server string     // its name
	allow  string     // see Options.Allow
	stderr io.Writer  // where warnings go while nobody carries them
	kill   func()     // ends the run, whose log failed

	carried atomic.Pointer[carried]
}

// carried is how a conversation takes along lines of mcpen's own.
type carried struct {
	warn   func(text string) // a line on stderr; never waits
	notify func(text string) // a message in the client's log; never waits
}

// stamped is a sink that adds the time and the run to every event. A nil sink takes
// events and keeps none.
func stamped(sink audit.Sink, session, server, plan string) audit.Sink {
	return func(e audit.Event) error {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		e.Session, e.Server, e.Plan = session, server, plan
		if sink == nil {
			return nil
		}
		return sink(e)
	}
}

// report gives an event to the log, and notifies the client of it where it is a
// refusal. A log that fails ends the run.
func (r *reporter) report(e audit.Event) error {
	e = r.advised(e)
	err := r.log(e)
	if err != nil {
		r.kill()
	}
	r.notify(e)
	return err
}

// advised returns the event with the command that would allow it as its hint, if there
// is one.
func (r *reporter) advised(e audit.Event) audit.Event {
	if e.Hint == "" {
		e.Hint = e.Grant.Command(r.allow)
	}
	return e
}

// notify sends a message to the client's log about a refusal that the server met
// while it worked on a request of the client's.
func (r *reporter) notify(e audit.Event) {
	c := r.carried.Load()
	if c == nil || e.Verdict != audit.Refused || e.Request == nil {
		return
	}
	if what := map[audit.Kind]string{audit.KindName: "the name ", audit.KindConnect: "a connection to ", audit.KindFile: "opening "}[e.Kind]; what != "" {
		c.notify("mcpen refused " + what + audit.Visible(e.Subject))
	}
}

// warn says a sentence about the server to the person.
func (r *reporter) warn(text string) { r.line(r.server + ": " + text) }

// warnAll is warn for several.
func (r *reporter) warnAll(texts []string) {
	for _, t := range texts {
		r.warn(t)
	}
}

// warnOf says a refusal to the person, with its hint.
func (r *reporter) warnOf(e audit.Event) {
	r.warn("refused: " + audit.Visible(e.Subject) + ": " + audit.Visible(e.Detail))
	r.hint(r.advised(e).Advice())
}

// hint gives the person a remedy; "" gives none.
func (r *reporter) hint(text string) {
	if text != "" {
		r.line("hint: " + audit.Visible(text))
	}
}

// line writes a line of mcpen's own to stderr.
func (r *reporter) line(text string) {
	text = "mcpen: " + text
	if c := r.carried.Load(); c != nil {
		c.warn(text)
		return
	}
	fmt.Fprintln(r.stderr, text)
}

// started records the start, with the layers that hold, and each gap. The error is
// the log's.
func (r *reporter) started(p plan.Plan) error {
	layers := make([]string, len(p.Layers))
	for i, l := range p.Layers {
		layers[i] = string(l)
		if l == policy.LayerLandlock {
			layers[i] = fmt.Sprintf("landlock (ABI %d)", p.Landlock.ABI)
		}
	}
	e := audit.Event{Kind: audit.KindStart, Verdict: audit.Observed, Subject: p.Process.Path, Detail: "held by " + strings.Join(layers, ", "),
		Given: map[string][]string{}}
	for _, g := range p.Tools.Given {
		e.Given[g.Name] = g.Values
	}
	if len(p.Sources) > 0 {
		e.Profile = p.Sources[0].File
	}
	if filepath.IsAbs(r.allow) { // the same file, wherever the log is read
		e.Profile = r.allow
	}
	err := r.log(e)
	for _, g := range p.Gaps {
		if err != nil {
			break
		}
		err = r.log(audit.Event{Kind: audit.KindGap, Verdict: audit.Observed, Subject: string(g.Layer),
			Detail: fmt.Sprintf("not held: %s, have %s: %s", g.Want, g.Have, g.Why)})
	}
	return err
}

// ended records how the server at path ended, which step that took, and the limits
// that it met. The error is the log's.
func (r *reporter) ended(path string, exit Exit, step relay.Step, limits []string, ran time.Duration) error {
	e := audit.Event{Kind: audit.KindExit, Verdict: audit.Observed, Subject: path, Duration: ran}
	if step != relay.Ground {
		e.Detail = step.String()
	}
	for _, l := range limits {
		e.Detail = strings.TrimPrefix(e.Detail+", "+l, ", ")
	}
	if exit.Signal != 0 {
		e.Signal = unix.SignalName(exit.Signal)
	} else {
		code := exit.Code
		e.Code = &code
	}
	return r.log(e)
}
