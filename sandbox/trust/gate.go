package trust

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Confirm asks a person whether they trust a profile as it is.
type Confirm func(user.Dirs, Evidence) bool

// Gate lets nothing start from a profile, a lock or a baseline that is not the person's
// own until the person has trusted it as it is; the profile, together with its use. With
// confirm it asks the person; with nil it refuses. It reports whether anything needed
// trust.
func Gate(at user.Dirs, confirm Confirm, w Start, profile *policy.Profile, baselines ...*policy.Profile) (asked bool, err error) {
	for _, p := range append(slices.Clone(baselines), profile) {
		e, err := Gather(at, p)
		if err == nil && e.Why != "" {
			if p == profile {
				e.Use = UseOf(at, w, p)
			}
			asked, err = true, gateOne(at, confirm, e)
		}
		if err != nil {
			return asked, err
		}
	}
	return asked, nil
}

// GateOf is Gate for a look at one profile.
func GateOf(at user.Dirs, p *policy.Profile) error {
	_, err := Gate(at, nil, Start{}, p)
	return err
}

// gateOne is Gate for one profile that is not the person's own.
func gateOne(at user.Dirs, confirm Confirm, e Evidence) error {
	was, err := Decided(at, e.File)
	if err != nil {
		return err
	}
	content, used := was.Covers(e)
	if content && used {
		return nil
	}
	no := &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("%q is not trusted: %s", e.File, e.Why), Hint: e.Hint()}
	switch {
	case content:
		no.Err = fmt.Errorf("%q is trusted, but not with what it is started with here: %s; %s", e.File, audit.Visible(Short(strings.Join(e.Use.Says(e.Starts()), ", "), 300)), e.Why)
	case was.Digest != "":
		no.Err = fmt.Errorf("%q is not trusted: it, its lock, or what it names changed since it was trusted; %s", e.File, e.Why)
	}
	if confirm == nil || !confirm(at, e) {
		return no
	}
	return Keep(at, e)
}

// Change runs a change of a profile's lock or pins at the person's word. It trusts
// the outcome if the person trusted the state before.
func Change(at user.Dirs, p *policy.Profile, change func() error) error {
	before, err := Gather(at, p)
	if err != nil || before.Why == "" {
		return change() // the next start reports any error
	}
	was, err := Decided(at, before.File)
	if err != nil {
		return change()
	}
	if err := change(); err != nil {
		return err
	}
	after, err := Gather(at, p)
	if err != nil || was.Digest != before.digest || after.digest == before.digest {
		return err
	}
	return keep(at, after, was.Uses)
}

// ChangeBeside is Change for the profile that a lock or pins lie beside.
func ChangeBeside(at user.Dirs, file string, change func() error) error {
	profile := strings.TrimSuffix(file, filepath.Ext(file)) + ".toml"
	data, err := catalog.ReadProfile(profile)
	if err != nil {
		return change()
	}
	p, err := policy.Parse(catalog.FileName(profile), data, catalog.Loader(at))
	if err != nil {
		return change()
	}
	return Change(at, p, change)
}

// Named reads a profile, or a baseline, of a path or a name.
func Named(at user.Dirs, file string) (*policy.Profile, error) {
	load := catalog.Loader(at)
	if !strings.Contains(file, "/") && wholefile.Exists(file) {
		file = "./" + file
	}
	name, data, err := load(file, "")
	if err != nil {
		return nil, launch.Usage("mcpen trust PATH", "cannot read the profile: %v", err)
	}
	if filepath.Base(file) == catalog.BaselineName {
		return policy.ParseBaseline(name, data, load)
	}
	return policy.Parse(name, data, load)
}
