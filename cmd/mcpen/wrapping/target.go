package wrapping

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
)

// Target holds the files of a command, and those that it could not read.
type Target struct {
	At       user.Dirs
	Places   []clients.Place
	Servers  []string // --server
	JSON     bool
	Problems []Problem
	told     int // of the problems
}

// Problem is a file or an entry that is left alone, and why.
type Problem struct {
	Client string `json:"client"`
	File   string `json:"file"`
	Server string `json:"server,omitempty"`
	Error  string `json:"error"`
}

// Note notes that a file, or one server in it, is left alone, and why.
func (t *Target) Note(p clients.Place, server string, err error) {
	t.Problems = append(t.Problems, Problem{p.Client.Name, p.Path, server, err.Error()})
}

// Err is the error of a command that did the rest.
func (t *Target) Err() error {
	if len(t.Problems) == 0 {
		return nil
	}
	return &launch.Error{Code: 1, Err: fmt.Errorf("%s left as it is", Plural(len(t.Problems), "file or server was", "files or servers were"))}
}

// Plural is a number of things in words.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Wants reports whether a server was asked for.
func (t *Target) Wants(server string) bool {
	return len(t.Servers) == 0 || slices.Contains(t.Servers, server)
}

// Plural1 is the word for one thing or for several.
func Plural1(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// TellProblems names the files that are left alone, each once.
func (t *Target) TellProblems(out *os.File) {
	from := min(t.told, len(t.Problems))
	t.told = len(t.Problems)
	for _, p := range t.Problems[from:] {
		name := p.File
		if p.Server != "" {
			name += ": " + p.Server
		}
		launch.Say(out, "error", audit.Visible(fmt.Sprintf("%s is left as it is: %s", name, p.Error)))
	}
}

// Keys are the names of entries in a sentence.
func Keys(entries []clients.Entry) string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Key()
	}
	return strings.Join(names, ", ")
}

// TellChange reports the change of a file, or the reason why there is none.
func (t *Target) TellChange(p clients.Place, change clients.Change, err error, warn func(string, ...any)) {
	for _, l := range change.Left {
		t.Note(p, l.Key(), l.Err)
	}
	for _, k := range change.Kept {
		warn("%s may be an edit of somebody else's, of the moment at which an mcpen was killed: compare it with %s", audit.Visible(k), audit.Visible(p.Path))
	}
	if err != nil {
		t.Note(p, "", err)
		return
	}
	if len(change.Done) == 0 {
		return
	}
	open := change.Open
	for _, r := range p.Client.Running() {
		if !slices.Contains(open, r) {
			open = append(open, r)
		}
	}
	if len(open) > 0 {
		warn("%s runs, and may write its file anew from memory: end it and start it again: %s", p.Client.Title, audit.Visible(clients.List(open)))
	}
}
