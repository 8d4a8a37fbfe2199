// Package subject finds the program that a trial is about, and holds the trial.
//
// A person names a package, a profile, a bundle, a description or a command. Find
// installs or copies it, so that nothing of the person's profiles changes. Hold puts it
// on a stage, a desk of package trial with certificates and folders of this machine's,
// and has package trial run it there; if the program names a variable or an argument
// that it lacks, Hold tries once more with one. What the trial shows is package trial's.
package subject

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
)

// Finder finds what is tried, and tries it, for a person.
type Finder struct {
	*server.Caller
	Note    func(string) // receives the remarks of a file that describes a server
	Release string       // of this program, for the report
}

// Subject is the program of a trial, which is installed, and the facts about it. The
// zero value is of no use: Find makes one, and who has it closes it.
type Subject struct {
	name    string // as a profile would be called
	about   trial.Subject
	program plan.Program
	command []string    // with which it starts outside of a trial; nil for a package
	home    string      // the folder of a command that was copied to dir
	bundle  bool        // its program is inside a file
	own     []plan.Env  // variables that lead to its own folder
	tree    *store.Tree // of a package
	dir     string      // the folder that is moved to the desk: the tree, a bundle, a copy
	temp    string      // a folder of this run's own, which close takes away
	ref     pack.Ref
	secrets []string          // variables that it reads and that hold secrets
	words   map[string]string // variables that it was found to lack, with a value where one is known
	args    []string          // those that its description or its profile has, before the user's
	more    []string          // arguments that it was found to lack, behind them
	reads   []string          // every variable that its code names
	needs   []trial.Need      // variables that it was found to need, or that its publisher names
	lacking *trial.Install    // why it did not install; nil if it did

	mu      sync.Mutex
	refused []string // what its install reached for and was refused
}

// Installed reports whether there is a program to start. If not, Hold only reports why.
func (s *Subject) Installed() bool { return s.lacking == nil }

func (s *Subject) Close() {
	if s.tree != nil {
		s.tree.Close()
	}
	if s.temp != "" {
		os.RemoveAll(s.temp)
	}
}

// Find finds the program of a trial, and installs a package. The caller closes it.
func (f *Finder) Find(ctx context.Context, at user.Dirs, o Options) (s *Subject, err error) {
	s = &Subject{words: map[string]string{}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	switch {
	case IsBundle(o.Server):
		return s, f.byBundle(ctx, at, o, s)
	case strings.HasSuffix(o.Server, ".json"):
		ref, draft, err := server.Wanted(o.Server, f.Note)
		if err != nil {
			return s, err
		}
		s.about.Name = ref.String()
		s.described(*draft)
		return s, f.byPackage(ctx, at, ref, slices.Concat(s.args, o.Args), o.Install, s)
	}
	t, err := server.Words{Profile: o.Server, Command: o.Command, Args: o.Args}.Target()
	if err != nil {
		return s, err
	}
	switch t.Kind {
	case server.ByProfile:
		return s, f.byProfile(ctx, at, o, s)
	case server.ByPackage:
		return s, f.byPackage(ctx, at, t.Ref, t.Args, o.Install, s)
	case server.ByImage:
		return s, launch.Usage("mcpen try npm:PACKAGE", "cannot try the image %q: mcpen runs packages and programs", t.Image)
	}
	return s, f.byCommand(at, o.Command, s)
}

// described takes over a description's variables and arguments.
func (s *Subject) described(d pack.Draft) {
	for _, e := range d.Env {
		if e.Secret {
			s.secrets = append(s.secrets, e.Name)
			s.needs = append(s.needs, trial.Need{Name: e.Name, Why: "which its description names", May: true, Secret: true})
		} else if !strings.Contains(e.Value, "${") {
			s.words[e.Name] = e.Value
			if e.Value != "" {
				s.needs = append(s.needs, trial.Need{Name: e.Name, Why: "as its description sets it", Value: e.Value})
			}
		}
	}
	for _, arg := range d.Args {
		if !strings.Contains(arg, "${") {
			s.args = append(s.args, arg)
		}
	}
}

// shortWord is a stranger's word for a report.
func shortWord(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return audit.Visible(s)
}
