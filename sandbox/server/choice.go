package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

// Words are a person's words about a server, on a command line or in a client's
// configuration. The zero Words name nothing.
type Words struct {
	Profile   string   // name or path of a profile, or a package by reference; "": Command stands alone
	Command   []string // the words after "--" without a server before it
	Args      []string // the words after "SERVER --"
	Params    map[string][]string
	Pass      []string          // variables to pass on
	Secrets   map[string]string // variables and where they are fetched from
	Workspace string
	Baseline  string
	Without   []policy.Layer
	Look      bool // only look: nothing is installed, locked or made
	Empty     bool // the workspace is an empty folder of mcpen's own
	Interview bool // mcpen itself asks for the server's definitions: it hides, holds and keeps nothing
}

// Start are the words that start a profile, as trust covers them.
func (w Words) Start() trust.Start {
	return trust.Start{Command: w.Command, Args: w.Args, Params: w.Params, Pass: w.Pass, Secrets: w.Secrets, Workspace: w.Workspace, Without: w.Without}
}

// Kind tells apart the things that words name.
type Kind byte

// The kinds of things that words may name.
const (
	ByProfile Kind = iota + 1 // a profile, which names the program to start
	ByPackage                 // a package: by reference, or by the command line of npx, uvx and the like
	ByCommand                 // a program of this machine
	ByImage                   // a container, which mcpen does not run
)

// Target is the thing that words name, before any profile is read.
type Target struct {
	Kind  Kind
	Ref   pack.Ref // of a package
	Args  []string // of the package's program
	Image string   // of a container
}

// Target reads the words. It is the one place that knows the forms of a reference and
// of a command line.
func (w Words) Target() (Target, error) {
	if isRef(w.Profile) {
		ref, err := pack.ParseWanted(w.Profile)
		if err != nil {
			err = &launch.Error{Code: launch.ExitUsage, Err: err, Hint: "npm:NAME, npm:NAME@VERSION, npm:NAME@RANGE, pypi:NAME, pypi:NAME==VERSION or pypi:NAME>=VERSION"}
		}
		return Target{Kind: ByPackage, Ref: ref, Args: w.Args}, err
	}
	if len(w.Command) == 0 {
		return Target{Kind: ByProfile}, nil
	}
	named, err := pack.FromCommand(w.Command)
	if err != nil {
		return Target{Kind: ByCommand}, &launch.Error{Code: launch.ExitUsage, Err: err}
	}
	switch named.Kind {
	case pack.CommandPackage:
		return Target{Kind: ByPackage, Ref: named.Ref, Args: named.Args}, nil
	case pack.CommandContainer:
		return Target{Kind: ByImage, Image: named.Image}, nil
	}
	return Target{Kind: ByCommand}, nil
}

// isRef reports whether a server is named by a package reference.
func isRef(s string) bool { return strings.HasPrefix(s, "npm:") || strings.HasPrefix(s, "pypi:") }

// Unwritten reports whether the words name no profile: a command alone, or a package by
// reference.
func (w Words) Unwritten() bool { return w.Profile == "" || isRef(w.Profile) }

// Choice is the meaning of words on this machine. Choose decides it once.
type Choice struct {
	Words  // of the profile that was found, if one was
	Target Target
	Name   string // of a server that has no profile
	Found  bool   // the profile is the package's own, found by it
	bad    error  // why nothing can be started
	whole  bool   // Args are all of the server's, and not behind those of its profile
}

// Choose decides the meaning of words. If they name a package, the choice is a profile
// for this package and no other: the one that --profile names, one of the person's own
// with the package's name, or the one that ships. A profile of a repository is none of
// these.
//
// The package's command line sets the profile's parameters if it is written like the
// profile's own arguments; the rest of it follows those. If --set sets such a parameter
// as well, the command line reaches the server unchanged. An error is about a profile;
// a program that cannot start is an error only at the start.
func (c *Caller) Choose(at user.Dirs, w Words) (Choice, error) {
	ch := Choice{Words: w}
	if w.Unwritten() {
		ch.Name = c.ServerName(at, w)
	}
	ch.Target, ch.bad = w.Target()
	switch {
	case ch.Target.Kind == ByImage:
		ch.bad = launch.Usage("mcpen run npm:PACKAGE", "cannot run the image %q: a container has its own isolation; mcpen runs packages and programs", ch.Target.Image)
	case ch.Target.Kind == ByPackage && ch.bad == nil:
		return c.ownProfile(at, ch)
	}
	return ch, nil
}

// ownProfile is the choice of the package's own profile, or the same choice if there is
// none.
func (c *Caller) ownProfile(at user.Dirs, ch Choice) (Choice, error) {
	ref := ch.Target.Ref
	name := ch.Profile
	if ch.Unwritten() {
		name = c.Name(at, ref)
		if ships, ok := profiles.For(Bare(ref)); ok && name != ships {
			_, err := catalog.Profile(at, ships) // mistakes in one of the person's own, which is another package's otherwise
			if mistakes := (policy.Mistakes)(nil); errors.As(err, &mistakes) {
				return ch, err
			}
		}
	}
	file, _, err := catalog.Loader(at)(name, "")
	if err != nil || origin.Foreign(at, file) != "" {
		return ch, nil // Resolve reports a profile that was named and is not there
	}
	profile, err := catalog.Profile(at, name)
	if err != nil || !SamePackage(profile.Package(), ref) {
		return ch, err
	}
	args := ch.Target.Args
	ch.Profile, ch.Command, ch.Args, ch.Found = name, nil, args, true
	params, rest, bound := profile.Bind(args)
	switch {
	case !bound:
	case ch.gives(params):
		ch.whole = true
	default:
		ch.Bind(params)
		ch.Args = rest
	}
	return ch, nil
}

// starts is the package that a choice starts under a policy, and its arguments; ok is
// false for a program.
func (ch Choice) starts(pol policy.Policy) (ref pack.Ref, args []string, ok bool, err error) {
	switch {
	case ch.bad != nil:
		return ref, nil, false, ch.bad
	case ch.Target.Kind == ByPackage && !ch.Found:
		return ch.Target.Ref, ch.Target.Args, true, nil
	case ch.Found && ch.whole:
		return ch.Target.Ref, ch.Args, true, nil
	case ch.Found:
		return ch.Target.Ref, slices.Concat(pol.Server.Args, ch.Args), true, nil
	case ch.Target.Kind == ByCommand || pol.Server.Package == "":
		return ref, nil, false, nil
	}
	ref, err = pack.ParseWanted(pol.Server.Package)
	return ref, slices.Concat(pol.Server.Args, ch.Args), true, err
}

// gives reports whether the command line of mcpen gives one of these parameters.
func (w Words) gives(params map[string][]string) bool {
	for name := range params {
		if _, ok := w.Params[name]; ok || name == "workspace" && w.Workspace != "" {
			return true
		}
	}
	return false
}

// Bind gives parameters their values.
func (w *Words) Bind(params map[string][]string) {
	given := make(map[string][]string, len(w.Params)+len(params))
	for name, values := range w.Params {
		given[name] = values
	}
	for name, values := range params {
		if name == "workspace" {
			w.Workspace = values[0]
			continue
		}
		given[name] = slices.Clone(values)
	}
	w.Params = given
}

// withVariables returns the words with the parameters that the environment sets: they
// are part of the profile's use.
func (c *Caller) withVariables(w Words, p *policy.Profile) Words {
	set := c.variables(p.EnvOf())
	for _, q := range p.Params {
		if v := set[q.Env]; v != "" && w.Params[q.Name] == nil {
			w.Bind(map[string][]string{q.Name: {v}})
		}
	}
	return w
}

// variables are those of these names that are set.
func (c *Caller) variables(names []string) map[string]string {
	set := make(map[string]string)
	for _, name := range names {
		if v, ok := c.Lookup(name); ok {
			set[name] = v
		}
	}
	return set
}

// foundText says that a package's own profile is used, for a person, or is "".
func (ch Choice) foundText() string {
	if !ch.Found {
		return ""
	}
	return fmt.Sprintf("%s runs by the profile %q: mcpen profile show %s", Bare(ch.Target.Ref), ch.Profile, ch.Profile)
}

// ServerName is the name of a server that has no profile. A reference that cannot be
// read is refused in a moment.
func (c *Caller) ServerName(at user.Dirs, w Words) string {
	switch t, err := w.Target(); {
	case err == nil && t.Kind == ByPackage:
		return c.Name(at, t.Ref)
	case isRef(w.Profile):
		return "package"
	}
	name := filepath.Base(w.Command[0])
	for _, arg := range w.Command[1:] {
		// "node dist/index.js" is better told apart by the script.
		if !strings.HasPrefix(arg, "-") && strings.ContainsAny(arg, "/.") && !strings.ContainsAny(arg, " \t\n") && len(arg) < 256 {
			if base := strings.TrimSuffix(filepath.Base(arg), filepath.Ext(arg)); base != "" {
				name += "-" + base
			}
			break
		}
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
}
