package main

import (
	"errors"
	"fmt"
	"slices"

	"mcpen/profiles"
	"mcpen/sandbox/policy"
)

// forPackage makes a choice that names a package the choice of the profile which is
// for this package and no other: the one that --profile names, one of the person's own
// that is called as the package is, or the one that ships. It gives back the choice
// where there is none, and where the profile is a repository's.
//
// What stands on the command line of the package gives the profile's parameters their
// values, where it is written as the profile's own arguments are; what is left comes
// behind those. Where --set gives such a parameter as well, the command line is the
// server's as it is.
func (a *app) forPackage(ch choice, at place) (choice, error) {
	ref, args, ok, err := packaged(ch, policy.Policy{})
	if err != nil || !ok {
		return ch, nil // where it is an error, program tells it
	}
	name := ch.profile
	if ch.unwritten() {
		name = a.name(at, ref)
		if ships, ok := profiles.For(bare(ref)); ok && name != ships {
			_, err = a.profile(choice{profile: ships}, at) // mistakes in one of the person's own, which is another package's otherwise
			if mistakes := (policy.Mistakes)(nil); errors.As(err, &mistakes) {
				return ch, err
			}
		}
	}
	file, _, err := a.loader(at)(name, "")
	if err != nil || foreign(at, file) != "" {
		return ch, nil // a profile that was named and is not there is told by resolve
	}
	profile, err := a.profile(choice{profile: name}, at)
	if err != nil || !samePackage(profile.Package(), ref) {
		return ch, err
	}
	ch.profile, ch.command, ch.args, ch.ref = name, nil, args, ref
	params, rest, bound := profile.Bind(args)
	switch {
	case !bound:
	case ch.gives(params):
		ch.whole = true
	default:
		ch.bind(params)
		ch.args = rest
	}
	return ch, nil
}

// gives reports whether the command line of mcpen gives one of these parameters.
func (ch choice) gives(params map[string][]string) bool {
	for name := range params {
		if _, ok := ch.params[name]; ok || name == "workspace" && ch.workspace != "" {
			return true
		}
	}
	return false
}

// bind gives parameters their values.
func (ch *choice) bind(params map[string][]string) {
	given := make(map[string][]string, len(ch.params)+len(params))
	for name, values := range ch.params {
		given[name] = values
	}
	for name, values := range params {
		if name == "workspace" {
			ch.workspace = values[0]
			continue
		}
		given[name] = slices.Clone(values)
	}
	ch.params = given
}

// withVariables is the choice with what the environment gives the profile's parameters:
// it is part of what the profile is started with.
func (a *app) withVariables(ch choice, p *policy.Profile) choice {
	set := a.variables(p.EnvOf())
	for _, q := range p.Params {
		if v := set[q.Env]; v != "" && ch.params[q.Name] == nil {
			ch.bind(map[string][]string{q.Name: {v}})
		}
	}
	return ch
}

// variables are those of these names that are set.
func (a *app) variables(names []string) map[string]string {
	set := make(map[string]string)
	for _, name := range names {
		if v, ok := a.lookup(name); ok {
			set[name] = v
		}
	}
	return set
}

// foundText says that a package's own profile is used, for a person, or is "".
func foundText(ch choice) string {
	if ch.ref.Name == "" {
		return ""
	}
	return fmt.Sprintf("%s runs by the profile %q: mcpen profile show %s", bare(ch.ref), ch.profile, ch.profile)
}
