package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

// notStarted writes into a server's log why it did not start. What a client shows its
// person is an exit code at most, and "mcpen log NAME" then has the cause. Where no
// log can be kept, the error itself is all there is.
func (a *app) notStarted(p prepared, ch choice, err error) {
	if p.place.state == "" || repositoryOf(p.place, p.place.state) != "" {
		return
	}
	name, what := p.policy.Name, ch.profile
	if name == "" && (ch.unwritten() || ch.ref.Name != "") {
		name = a.serverName(ch, p.place)
	}
	if name == "" {
		// A profile with mistakes is told apart by its file all the same: what a
		// repository has does not get into the log of the person's server of that name.
		unread := &policy.Profile{Name: strings.TrimSuffix(filepath.Base(ch.profile), ".toml")}
		if strings.Contains(ch.profile, "/") || strings.HasSuffix(ch.profile, ".toml") {
			unread.Sources = []policy.Source{{File: ch.profile}}
		}
		var errName error
		if name, errName = server(p.place, unread, true); errName != nil {
			return
		}
	}
	if len(ch.command) > 0 {
		what = strings.Join(audit.RedactArgs(ch.command), " ")
	}
	log, errLog := audit.Open(logDir(p.place), audit.Options{Server: name})
	if errLog != nil {
		return
	}
	defer log.Close()
	e := launch.NotStarted(err)
	e.Subject = what
	_ = log.Write(e) // the error itself is told
}

// lastRun is what the events of a server's last run say of its end.
type lastRun struct {
	start, end audit.Event
	words      string // the last line that it wrote to stderr
	refused    []audit.Event
	scripts    string // a hint on packages whose install scripts did not run
}

// maxRefused is how many refusals are said again at the end.
const maxRefused = 5

func (l *lastRun) see(e audit.Event) {
	switch {
	case e.Kind == audit.KindStart:
		*l = lastRun{start: e}
	case e.Kind == audit.KindExit:
		l.end = e
	case e.Kind == audit.KindStderr && strings.TrimSpace(e.Subject+e.Detail) != "":
		l.words = strings.TrimSpace(e.Subject + e.Detail)
	case e.Kind == audit.KindPackage && e.Hint != "":
		l.scripts = e.Hint
	case e.Verdict == audit.Refused && len(l.refused) < maxRefused:
		same := func(o audit.Event) bool { return o.Kind == e.Kind && o.Subject == e.Subject }
		if !slices.ContainsFunc(l.refused, same) {
			l.refused = append(l.refused, e)
		}
	}
}

// tell says, where the last run went wrong, what the cause is and what to do. A right
// is written into the profile of the name allow, where there is one.
func (l *lastRun) tell(out io.Writer, allow string) {
	line := func(format string, args ...any) { fmt.Fprintln(out, audit.Visible(fmt.Sprintf(format, args...))) }
	failed := l.end.Code != nil && *l.end.Code != 0 ||
		// A client that ends a server does so with a signal, and mcpen then says after which.
		l.end.Signal != "" && l.end.Signal != "SIGTERM" && !strings.HasPrefix(l.end.Detail, "ended after")
	switch {
	case l.start.Verdict == audit.Refused:
		line("")
		line("did not start: %s", l.start.Detail)
		if l.start.Hint != "" {
			line("to mend it: %s", l.start.Hint)
		}
		return
	case !failed:
		return
	}
	line("")
	how := l.end.Signal
	if l.end.Code != nil {
		how = fmt.Sprintf("exit code %d", *l.end.Code)
	}
	line("ended with %s", how)
	if l.words != "" {
		line("its last words: %s", l.words)
	}
	for _, e := range l.refused {
		advice := e.Hint
		if c := e.Grant.Advice(allow); c != "" {
			advice = c
		}
		line("was refused %s %s", e.Kind, e.Subject)
		if advice != "" {
			line("to allow it: %s", advice)
		}
	}
	if l.scripts != "" {
		line("to mend it: %s", l.scripts)
	}
}
