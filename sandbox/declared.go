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

// declaredPath is one declared path as the server sees it until it ends. A mount holds
// a file or a folder, and not the name: the server does not see a file that takes the
// name outside, as when an editor saves.
type declaredPath struct {
	mount plan.Mount
	pin   child.Pin // of a bind
}

// declared reports declared paths that are replaced outside. It looks when the client
// asks something, at most every second, and when the server ends: an inotify watch
// would take one of the few that a user may have for as long as the server runs.
type declared struct {
	paths    []declaredPath
	singles  []plan.Single
	roots    audit.Roots
	report   func(replaced audit.Event)
	reported map[string]bool
	asked    chan struct{} // of one: somebody asked something
	over     chan struct{} // closed when it looked for the last time
}

// lookEvery is how often it looks at most, and how long a run waits at its end for a
// file system that does not answer.
const lookEvery = time.Second

// newDeclared watches the paths of a plan that rules name, as pins hold them.
func newDeclared(p plan.Plan, pins []child.Pin, report func(replaced audit.Event)) *declared {
	d := &declared{singles: p.Writes.Singles, roots: p.Roots(), report: report, reported: map[string]bool{}, asked: make(chan struct{}, 1), over: make(chan struct{})}
	for _, m := range p.Root {
		if m.At == "" || m.Kind != plan.MountBind && m.Kind != plan.MountSymlink {
			continue // no rule names it
		}
		path := declaredPath{mount: m}
		if i := slices.IndexFunc(pins, func(p child.Pin) bool { return p.Target == m.Target }); i >= 0 {
			path.pin = pins[i]
		} else if m.Kind == plan.MountBind {
			continue
		}
		d.paths = append(d.paths, path)
	}
	return d
}

// ask has it look soon. It never waits.
func (d *declared) ask() {
	select {
	case d.asked <- struct{}{}:
	default:
	}
}

// run looks until gone is closed, and once more then.
func (d *declared) run(gone <-chan struct{}) {
	defer close(d.over)
	for {
		select {
		case <-gone:
			d.look()
			return
		case <-d.asked:
			d.look()
		}
		select {
		case <-gone:
		case <-time.After(lookEvery):
		}
	}
}

// finish waits until everything was reported.
func (d *declared) finish() {
	select {
	case <-d.over:
	case <-time.After(lookEvery):
	}
}

// look reports each path that the server does not see any more, once.
func (d *declared) look() {
	for _, p := range d.paths {
		if d.reported[p.mount.Target] || !p.isReplaced() {
			continue
		}
		d.reported[p.mount.Target] = true
		d.report(d.event(p.mount))
	}
}

// isReplaced reports whether something else has the name. A missing file may be on its
// way back: programs remove a file and then make it anew.
func (p declaredPath) isReplaced() bool {
	if p.mount.Kind == plan.MountSymlink {
		text, err := os.Readlink(p.mount.Target)
		return err == nil && text != p.mount.Source
	}
	var st unix.Stat_t
	return unix.Lstat(p.mount.Source, &st) == nil && (uint64(st.Dev) != p.pin.Dev || st.Ino != p.pin.Ino)
}

// event tells of a path that was replaced, and which file the server sees.
func (d *declared) event(m plan.Mount) audit.Event {
	e := audit.Event{Kind: audit.KindFile, Verdict: audit.Observed, Subject: m.Target, Rule: m.At}
	i := slices.IndexFunc(d.singles, func(s plan.Single) bool { return s.File == m.Target })
	switch outer := d.folderOf(m); {
	case m.Kind == plan.MountSymlink:
		e.Detail = "leads elsewhere outside by now; the server still sees what it led to when it started"
	case m.Dir:
		e.Detail = "is a new folder outside by now; the server still sees the old one, until it is started again"
	case outer != "":
		e.Detail = fmt.Sprintf("is a new file outside by now: what the rule says of the file holds for the old one, what it says of %q for the new one", outer)
	default:
		e.Detail = "is a new file outside by now; the server still sees the old one: a rule that names one file is about this file, one that names its folder follows the name"
	}
	if i >= 0 && d.singles[i].Folder != "" {
		e.Grant = d.roots.AllowPath("write", d.singles[i].Folder)
	}
	return e
}

// folderOf is the declared folder that a path lies in, where its new file is seen.
func (d *declared) folderOf(m plan.Mount) string {
	for dir := filepath.Dir(m.Target); dir != "/"; dir = filepath.Dir(dir) {
		for _, p := range d.paths {
			if p.mount.Kind == plan.MountBind && p.mount.Target == strings.TrimSuffix(dir, "/") {
				return dir
			}
		}
	}
	return ""
}
