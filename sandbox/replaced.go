package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/plan"
)

// shown is one declared path as the server sees it until it ends. A mount holds a
// file or a folder, and not the name: what takes the name outside, as when an editor
// saves, is not seen inside.
type shown struct {
	mount plan.Mount
	pin   child.Pin // of a bind
}

// replaced looks whether declared paths are still what the server sees. It looks
// when the client asks something, at most every second, and when the server ends:
// a watch would take one of the few that a user may have for as long as the server
// runs.
type replaced struct {
	box   *Box
	shown []shown
	told  map[string]bool
	asked chan struct{} // of one: somebody asked something
	over  chan struct{} // closed when it looked for the last time
}

// lookEvery is how often it looks at most, and how long a run waits at its end for a
// file system that does not answer.
const lookEvery = time.Second

func newReplaced(b *Box, pins []child.Pin) *replaced {
	r := &replaced{box: b, told: map[string]bool{}, asked: make(chan struct{}, 1), over: make(chan struct{})}
	for _, m := range b.plan.Root {
		if m.At == "" || m.Kind != plan.MountBind && m.Kind != plan.MountSymlink {
			continue // nothing that a rule names
		}
		s := shown{mount: m}
		if i := slices.IndexFunc(pins, func(p child.Pin) bool { return p.Target == m.Target }); i >= 0 {
			s.pin = pins[i]
		} else if m.Kind == plan.MountBind {
			continue
		}
		r.shown = append(r.shown, s)
	}
	return r
}

// ask has it look soon. It never waits.
func (r *replaced) ask() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// run looks until the server is gone, and once more then.
func (r *replaced) run() {
	defer close(r.over)
	for {
		select {
		case <-r.box.done:
			r.look()
			return
		case <-r.asked:
			r.look()
		}
		select {
		case <-r.box.done:
		case <-time.After(lookEvery):
		}
	}
}

// finish waits until everything was told.
func (r *replaced) finish() {
	select {
	case <-r.over:
	case <-time.After(lookEvery):
	}
}

// look tells of each path that is not what the server sees any more, once.
func (r *replaced) look() {
	for _, s := range r.shown {
		if r.told[s.mount.Target] || !s.isReplaced() {
			continue
		}
		r.told[s.mount.Target] = true
		e := r.event(s.mount)
		r.box.record(e)
		r.box.say(r.box.plan.Name + ": " + audit.Visible(e.Subject) + " " + audit.Visible(e.Detail))
		if e.Hint != "" {
			r.box.say("hint: " + audit.Visible(e.Hint))
		}
	}
}

// isReplaced reports whether something else has the name. What is not there at all
// may be on its way: programs take a file away and then make it anew.
func (s shown) isReplaced() bool {
	if s.mount.Kind == plan.MountSymlink {
		text, err := os.Readlink(s.mount.Target)
		return err == nil && text != s.mount.Source
	}
	var st unix.Stat_t
	return unix.Lstat(s.mount.Source, &st) == nil && (uint64(st.Dev) != s.pin.Dev || st.Ino != s.pin.Ino)
}

// event says what a server sees of a path that was replaced.
func (r *replaced) event(m plan.Mount) audit.Event {
	e := audit.Event{Kind: audit.KindFile, Verdict: audit.Observed, Subject: m.Target, Rule: m.At}
	singles := r.box.plan.Writes.Singles
	i := slices.IndexFunc(singles, func(s plan.Single) bool { return s.File == m.Target })
	switch outer := r.holds(m); {
	case m.Kind == plan.MountSymlink:
		e.Detail = "leads elsewhere outside by now; the server still sees what it led to when it started"
	case m.Dir:
		e.Detail = "is a new folder outside by now; the server still sees the old one, until it is started again"
	case outer != "":
		e.Detail = fmt.Sprintf("is a new file outside by now: what the rule says of the file holds for the old one, what it says of %q for the new one", outer)
	default:
		e.Detail = "is a new file outside by now; the server still sees the old one: a rule that names one file is about this file, one that names its folder follows the name"
	}
	if i >= 0 && singles[i].Folder != "" {
		e.Grant = r.box.plan.Roots().AllowPath("write", singles[i].Folder)
	}
	return e
}

// holds is the declared folder that a path lies in, where its new file is seen.
func (r *replaced) holds(m plan.Mount) string {
	for dir := filepath.Dir(m.Target); dir != "/"; dir = filepath.Dir(dir) {
		for _, s := range r.shown {
			if s.mount.Kind == plan.MountBind && s.mount.Target == strings.TrimSuffix(dir, "/") {
				return dir
			}
		}
	}
	return ""
}
