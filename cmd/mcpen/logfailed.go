package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
)

// lastRun is the end of a server's last run, by its events.
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

// tell names the cause and a remedy if the last run went wrong. It writes a right into
// the profile named allow, if there is one.
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
