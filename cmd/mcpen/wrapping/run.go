package wrapping

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
)

// Question is the question to a person.
func (w *Run) Question() string {
	moving := 0
	for _, p := range w.All {
		if p.inside && w.chosen(p) {
			moving++
		}
	}
	var parts []string
	if n := w.Count() - moving; n > 0 {
		parts = append(parts, fmt.Sprintf("put %s into %s", Plural(n, "server", "servers"), Plural1(n, "its pen", "their pens")))
	}
	if moving > 0 {
		parts = append(parts, "move the secrets of "+Plural(moving, "wrapped server", "wrapped servers")+" into the keyring")
	}
	return strings.Join(parts, ", and ") + "?"
}

// Run is one "mcpen wrap".
type Run struct {
	Caller  *server.Caller
	Out     *os.File
	Target  *Target
	Mcpen   string
	All     []Proposal
	Every   bool // --all
	Install bool
	Keyring bool // --secrets keyring
	Set     map[string][]string
	done    []Proposal
}

// chosen reports whether to carry out a proposal. It leaves out a server that would not
// start, unless the person named it.
func (w *Run) chosen(p Proposal) bool {
	if p.inside {
		return w.Keyring && p.place.Refused() == nil
	}
	named := len(w.Target.Servers) > 0 && p.kind != "" && p.kind != byTrial
	return p.place.Refused() == nil && (p.wrapped(w.Every) || named && len(w.Set) == 0 && p.policy.Name != "" && !strings.Contains(p.needs, "the profile sets"))
}

// Count is the number of proposals to carry out.
func (w *Run) Count() (n int) {
	for _, p := range w.All {
		if w.chosen(p) {
			n++
		}
	}
	return n
}

// Nothing is the end of a wrap that had nothing to do.
func (w *Run) Nothing() error {
	switch {
	case w.Target.JSON:
		return w.JSON()
	case len(w.All) == 0 && len(w.Target.Problems) == 0:
		fmt.Fprintln(w.Out, "no servers were found: no client that mcpen knows has any")
	default:
		fmt.Fprintln(w.Out, "nothing was changed: there is nothing to wrap")
		if slices.ContainsFunc(w.All, func(p Proposal) bool { return p.kind == byTrial && p.wrapped(true) }) {
			launch.Say(w.Caller.Err, "hint", "mcpen wrap --all   # closes in those as well of which nobody knows what they need: no file, no host")
		}
	}
	return w.Target.Err()
}

// words returns wrap's words for the servers of a file.
func (w *Run) words(place clients.Place) clients.Words {
	return func(e clients.Entry) ([]string, bool) {
		i := slices.IndexFunc(w.All, func(p Proposal) bool {
			return p.place.Path == place.Path && p.entry.Key() == e.Key() && slices.Equal(p.entry.Command, e.Command)
		})
		if i < 0 || !w.chosen(w.All[i]) {
			return nil, false
		}
		return w.All[i].words, true
	}
}

// starter is mcpen's word in a file: a path, or the name alone if others use the file
// as well.
func (w *Run) starter(p clients.Place) string {
	if p.Scope == clients.Project {
		return "mcpen"
	}
	return w.Mcpen
}

// Diff prints the changes to make.
func (w *Run) Diff() error {
	for _, p := range w.Target.Places {
		if p.Refused() != nil {
			continue
		}
		change, err := p.Wrap(w.starter(p), w.words(p), w.moves(p))
		if err != nil {
			continue // it was noted when it was read
		}
		fmt.Fprint(w.Out, masked(change).Diff())
		for _, l := range change.Left {
			w.Target.Note(p, l.Key(), l.Err)
		}
	}
	w.Target.TellProblems(w.Caller.Err)
	return w.Target.Err()
}

// Do installs and writes.
func (w *Run) Do(ctx context.Context) error {
	if w.Install {
		if err := w.prepare(ctx); err != nil {
			return err
		}
	}
	for _, p := range w.Target.Places {
		if slices.ContainsFunc(w.All, func(o Proposal) bool { return o.place.Path == p.Path && w.chosen(o) }) {
			w.apply(p)
		}
	}
	if err := clients.Remember(w.Target.At.State, w.Target.Places); err != nil {
		w.Caller.Warn("what is wrapped was not remembered: %v", err)
	}
	if w.Target.JSON {
		return w.JSON()
	}
	w.Target.TellProblems(w.Caller.Err)
	return w.Target.Err()
}

// prepare installs the packages, so that the first start of each is an instant one. A
// server whose package cannot be installed is left as it is.
func (w *Run) prepare(ctx context.Context) error {
	for i := range w.All {
		p := &w.All[i]
		if !w.chosen(*p) || p.inside {
			continue
		}
		ch := p.choice
		ch.Look = false
		_, tree, err := w.Caller.Program(ctx, ch, w.Target.At, p.policy)
		if tree != nil {
			tree.Close()
		}
		if ctx.Err() != nil {
			return locked.Explained(ctx, ctx.Err())
		}
		if err != nil {
			p.kind, p.needs = "", err.Error()
			w.Target.Note(p.place, p.entry.Key(), err)
		}
	}
	return nil
}

// apply writes one file, and tells of it.
func (w *Run) apply(p clients.Place) {
	change, err := clients.Apply(p, func() (clients.Change, error) {
		change, err := p.Wrap(w.starter(p), w.words(p), w.moves(p))
		if err == nil {
			err = keep(change.Moved)
		}
		return change, err
	})
	w.Target.TellChange(p, change, err, w.Caller.Warn)
	if err != nil {
		dropMoved(change.Moved)
		return
	}
	for i := range w.All {
		if o := w.All[i]; slices.ContainsFunc(change.Done, func(e clients.Entry) bool { return o.place.Path == p.Path && o.entry.Key() == e.Key() }) {
			w.done = append(w.done, o)
		}
	}
	if w.Target.JSON {
		return
	}
	for _, inside := range []bool{false, true} {
		done := slices.DeleteFunc(slices.Clone(change.Done), func(e clients.Entry) bool { return (e.State == clients.Wrapped) != inside })
		if len(done) > 0 {
			fmt.Fprintf(w.Out, "%s %s in %s\n", map[bool]string{false: "wrapped", true: "moved the secrets of"}[inside], audit.Visible(Keys(done)), audit.Visible(w.Target.At.Tilde(p.Path)))
		}
	}
}
