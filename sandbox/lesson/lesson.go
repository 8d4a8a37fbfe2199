// Package lesson reads in the log which rights the sessions of a server lacked, and writes
// them into its profile. What no profile learns it lists, with the reason.
package lesson

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/trial"
)

// Lesson is a right that the sessions of a server lacked.
type Lesson struct {
	Grant    audit.Grant
	What     string // as the log has it
	Sessions []string
	By       []string // tools that were being called, or when else
	Not      string   // why it is not learned; "": it is
}

// maxLessons limits the rights that one profile learns: a server chooses its requests.
const maxLessons = 200

// Read reads the rights that a server's sessions lacked, each once, the one that
// most sessions lacked first.
func Read(dir, name, home string, since time.Time) (lessons []Lesson, sessions int, err error) {
	r, err := audit.OpenReader(dir, audit.Filter{Server: name, Since: since})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the log: %w", err)
	}
	defer r.Close()
	seen := map[string]bool{}
	byText := map[string]*Lesson{}
	err = r.Read(func(e audit.Event) error {
		seen[e.Session] = true
		if e.Verdict != audit.Refused || e.Grant == nil || len(e.Grant.Values) != 1 {
			return nil
		}
		g := withPort(*e.Grant)
		key := g.TOML()
		l := byText[key]
		if l == nil {
			if len(byText) >= maxLessons {
				return nil
			}
			l = &Lesson{Grant: g, What: g.Values[0].Text, Not: unlearned(g, e, home)}
			byText[key] = l
		}
		l.Sessions = added(l.Sessions, e.Session)
		l.By = added(l.By, when(e))
		return nil
	})
	for _, l := range byText {
		lessons = append(lessons, *l)
	}
	slices.SortFunc(lessons, func(a, b Lesson) int {
		return cmp.Or(cmp.Compare(len(b.Sessions), len(a.Sessions)), cmp.Compare(a.Grant.TOML(), b.Grant.TOML()))
	})
	return lessons, len(seen), err
}

func added(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// when says in which situation an event came.
func when(e audit.Event) string {
	switch {
	case e.Request == nil:
		return "before any call"
	case e.Request.Name != "":
		return "in " + e.Request.Name
	}
	return "in " + e.Request.Method
}

// withPort completes the grant of a name that was only looked up. It takes the port of
// HTTPS until a session shows another.
func withPort(g audit.Grant) audit.Grant {
	if name, ok := strings.CutSuffix(g.Values[0].Text, ":PORT"); ok && g.Table == "network" {
		g.Values = []audit.GrantValue{{Text: name + ":443"}}
	}
	return g
}

// unlearned returns the reason why a profile must not gain a right from a server's
// deed, or "".
func unlearned(g audit.Grant, e audit.Event, home string) string {
	text := g.Values[0].Text
	switch g.Table + "." + g.Key {
	case "network.allow":
		name := text[:max(0, strings.LastIndexByte(text, ':'))]
		if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			return "an address without a name"
		}
		if trial.Telemetry(name) {
			return "telemetry"
		}
		return ""
	case "filesystem.read":
		return unlearnedPath(e.Subject, home)
	case "filesystem.unprotect":
		return "a protected place"
	case "sockets.connect":
		return "a socket: what answers there decides what it gives"
	}
	return "no right that is learned"
}

// machineFolders are the folders of the machine's own.
var machineFolders = []string{"/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/run", "/var", "/tmp", "/boot", "/opt"}

// unlearnedPath is unlearned for a path.
func unlearnedPath(path, home string) string {
	rest, own := strings.CutPrefix(path, home+"/")
	for part := range strings.SplitSeq(rest, "/") {
		if strings.HasPrefix(part, ".") || slices.Contains(plan.Protected, part) {
			return "a hidden or protected name: keys and settings lie in such"
		}
	}
	for _, m := range machineFolders {
		if !own && (path == m || strings.HasPrefix(path, m+"/")) {
			return "the machine's own"
		}
	}
	f := host.Look(path)
	switch {
	case !f.Exists:
		return "it is not there any more"
	case f.Dir:
		return "a folder: mcpen allow gives the whole of it"
	case f.Socket:
		return "a socket: what answers there decides what it gives"
	}
	if f.Real != "" && f.Real != path {
		return unlearnedPath(f.Real, home)
	}
	return ""
}
