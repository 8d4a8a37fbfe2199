package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
)

// ForPackage makes a choice that names a package the choice of the profile which is
// for this package and no other: the one that --profile names, one of the person's own
// that is called as the package is, or the one that ships. It gives back the choice
// where there is none, and where the profile is a repository's.
//
// What stands on the command line of the package gives the profile's parameters their
// values, where it is written as the profile's own arguments are; what is left comes
// behind those. Where --set gives such a parameter as well, the command line is the
// server's as it is.
func (c *Caller) ForPackage(ch Choice, at Dirs) (Choice, error) {
	ref, args, ok, err := Packaged(ch, policy.Policy{})
	if err != nil || !ok {
		return ch, nil // where it is an error, program tells it
	}
	name := ch.Profile
	if ch.Unwritten() {
		name = c.Name(at, ref)
		if ships, ok := profiles.For(Bare(ref)); ok && name != ships {
			_, err = c.Profile(Choice{Profile: ships}, at) // mistakes in one of the person's own, which is another package's otherwise
			if mistakes := (policy.Mistakes)(nil); errors.As(err, &mistakes) {
				return ch, err
			}
		}
	}
	file, _, err := c.Loader(at)(name, "")
	if err != nil || Foreign(at, file) != "" {
		return ch, nil // a profile that was named and is not there is told by resolve
	}
	profile, err := c.Profile(Choice{Profile: name}, at)
	if err != nil || !SamePackage(profile.Package(), ref) {
		return ch, err
	}
	ch.Profile, ch.Command, ch.Args, ch.Ref = name, nil, args, ref
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

// gives reports whether the command line of mcpen gives one of these parameters.
func (ch Choice) gives(params map[string][]string) bool {
	for name := range params {
		if _, ok := ch.Params[name]; ok || name == "workspace" && ch.Workspace != "" {
			return true
		}
	}
	return false
}

// Bind gives parameters their values.
func (ch *Choice) Bind(params map[string][]string) {
	given := make(map[string][]string, len(ch.Params)+len(params))
	for name, values := range ch.Params {
		given[name] = values
	}
	for name, values := range params {
		if name == "workspace" {
			ch.Workspace = values[0]
			continue
		}
		given[name] = slices.Clone(values)
	}
	ch.Params = given
}

// withVariables is the choice with what the environment gives the profile's parameters:
// it is part of what the profile is started with.
func (c *Caller) withVariables(ch Choice, p *policy.Profile) Choice {
	set := c.variables(p.EnvOf())
	for _, q := range p.Params {
		if v := set[q.Env]; v != "" && ch.Params[q.Name] == nil {
			ch.Bind(map[string][]string{q.Name: {v}})
		}
	}
	return ch
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
func foundText(ch Choice) string {
	if ch.Ref.Name == "" {
		return ""
	}
	return fmt.Sprintf("%s runs by the profile %q: mcpen profile show %s", Bare(ch.Ref), ch.Profile, ch.Profile)
}

// Choice is what the command line says about a server.
type Choice struct {
	Profile   string   // name or path; "" is the closed default
	Command   []string // what stands behind "--" without a server before it
	Args      []string // what stands behind "SERVER --"
	Params    map[string][]string
	Pass      []string          // variables to pass on
	Secrets   map[string]string // variables and where they are fetched from
	Workspace string
	Baseline  string
	Without   []policy.Layer
	Ref       pack.Ref // the package that was asked for, where its profile was found by it
	whole     bool     // args are all of the server's, and not behind those of its profile
	Look      bool     // only look: nothing is installed, locked or made
	Empty     bool     // the workspace is an empty folder of mcpen's own
}

// Unwritten reports whether the choice names no profile: a command alone, or a
// package by reference.
func (ch Choice) Unwritten() bool { return ch.Profile == "" || IsRef(ch.Profile) }

// ServerName is the name of a server that has no profile.
func (c *Caller) ServerName(ch Choice, at Dirs) string {
	if IsRef(ch.Profile) {
		if ref, err := pack.ParseWanted(ch.Profile); err == nil {
			return c.Name(at, ref)
		}
		return "package" // the reference is refused in a moment
	}
	if named, err := pack.FromCommand(ch.Command); err == nil && named.Kind == pack.CommandPackage {
		return c.Name(at, named.Ref)
	}
	name := filepath.Base(ch.Command[0])
	for _, arg := range ch.Command[1:] {
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
