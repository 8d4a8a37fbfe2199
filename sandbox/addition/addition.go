// Package addition adds a package to a person's servers: locked, installed in a sandbox,
// and with a profile that gives it nothing yet.
package addition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/draft"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Adder adds packages for a person.
type Adder struct {
	*server.Caller
	Out  io.Writer         // what the person is told
	Note func(text string) // receives the remarks of a file that describes a server
}

// Addition is the outcome of add.
type Addition struct {
	Name       string   `json:"name"`
	Package    string   `json:"package"`
	Version    string   `json:"version"`
	Lock       string   `json:"lock"`
	Profile    string   `json:"profile,omitempty"` // "": the one that ships runs it
	Extends    string   `json:"extends,omitempty"` // the profile that ships
	Needs      []string `json:"needs,omitempty"`   // parameters that have no default
	Packages   int      `json:"packages"`
	Bytes      int64    `json:"bytes"`
	Published  string   `json:"published,omitempty"` // a date
	Publisher  string   `json:"publisher,omitempty"`
	License    string   `json:"licence,omitempty"`
	Deprecated string   `json:"deprecated,omitempty"`
	Scripts    []string `json:"scripts,omitempty"` // install scripts, which were not run
	Newest     string   `json:"newest,omitempty"`
	Notes      []string `json:"notes,omitempty"`
}

// newAddition holds a registry's description of a release, and the parts that a lock
// has of it.
func newAddition(name, lockFile string, r registry.Release, l pack.Lock) Addition {
	d := Addition{Name: name, Package: l.Package, Version: l.Version, Lock: lockFile, Packages: len(l.Dependencies), Bytes: l.Bytes,
		Publisher: r.Publisher, License: r.License, Deprecated: r.Deprecated, Scripts: r.Scripts, Newest: r.Newest, Notes: r.Notes}
	if !r.Published.IsZero() {
		d.Published = r.Published.UTC().Format(time.DateOnly)
	}
	return d
}

// Add installs a package, locks it, and writes a profile for it if it has none. name
// names the profile; "" takes the package's name. It prints each step to Out. A package
// that is locked already, or that brings no program, is an error, and leaves no lock.
func (a *Adder) Add(ctx context.Context, text, name string) (Addition, error) {
	at, err := a.DirsToRun()
	if err != nil {
		return Addition{}, err
	}
	ref, name, profile, err := a.Asked(at, text, name)
	if err != nil {
		return Addition{}, err
	}
	file := filepath.Join(at.Config, "profiles", name+".toml")
	lockFile := filepath.Join(at.Config, "profiles", name+".lock")
	if _, err := os.Stat(lockFile); err == nil {
		return Addition{}, launch.Usage("mcpen update "+name, "%s is there already", lockFile)
	}
	rules, err := catalog.InstallRules(at, name)
	if err != nil {
		return Addition{}, err
	}
	in, err := a.Installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return Addition{}, err
	}
	if err := a.Connect(ctx, in, at, ref.Ecosystem); err != nil {
		return Addition{}, err
	}
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return Addition{}, err
	}
	a.describe(rel)
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return Addition{}, err
	}
	defer tree.Close()
	if _, err := install.EntryOf(tree, lock); err != nil {
		return Addition{}, err
	}
	err = locked.Create(lockFile, lock)
	if errors.Is(err, fs.ErrExist) {
		return newAddition(name, lockFile, rel, lock), a.addedMeanwhile(lockFile, lock)
	}
	if err != nil {
		return Addition{}, err
	}
	fmt.Fprintf(a.Out, "locked %s %s: %d packages, %s, in %s\n", lock.Package, lock.Version, len(lock.Dependencies), about(lock.Bytes), lockFile)
	done := newAddition(name, lockFile, rel, lock)
	if done.Profile, done.Extends, err = a.writeAdded(file, name, ref, profile); err != nil {
		return done, err
	}
	done.Needs, err = a.needed(at, name)
	return done, err
}

// writeAdded writes the profile of an added package, where it has none: neither one of
// the person's nor one that ships. It returns the file, if there is one now, and the
// profile that ships.
func (a *Adder) writeAdded(file, name string, ref pack.Ref, profile []byte) (is, ships string, err error) {
	ships, shipped := profiles.For(server.Bare(ref))
	switch _, err := os.Stat(file); {
	case err == nil:
		return file, "", nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", err
	case shipped && ships == name:
		fmt.Fprintf(a.Out, "it runs by the profile %q: mcpen explain %s\n", name, name)
		return "", ships, nil
	}
	if err := wholefile.Replace(file, profile, 0o644); err != nil {
		return "", "", err
	}
	if shipped {
		fmt.Fprintf(a.Out, "wrote %s, which extends the profile %q: mcpen explain %s\n", file, ships, name)
		return file, ships, nil
	}
	fmt.Fprintf(a.Out, "wrote %s, which gives it no file and no host yet: mcpen explain %s\n", file, name)
	return file, "", nil
}

// addedMeanwhile is the end of an add that another one overtook: it is done where
// both locked the same.
func (a *Adder) addedMeanwhile(lockFile string, lock pack.Lock) error {
	have, err := locked.Read(lockFile)
	if err != nil {
		return err
	}
	if have.Package != lock.Package || have.Version != lock.Version || have.Integrity != lock.Integrity {
		return launch.Usage("mcpen update "+strings.TrimSuffix(filepath.Base(lockFile), ".lock"), "%s was written meanwhile, and locks %s %s", lockFile, have.Package, have.Version)
	}
	fmt.Fprintf(a.Out, "locked %s %s: another add was there first, with the same\n", have.Package, have.Version)
	return nil
}

// needed returns the parameters that need a value before a start. It prints each with
// the command that sets it.
func (a *Adder) needed(at user.Dirs, name string) (names []string, err error) {
	p, err := catalog.Profile(at, name)
	if err != nil {
		return nil, err
	}
	sets := ""
	for _, q := range p.Params {
		if q.Default == nil && !q.Optional && (q.Env == "" || a.Getenv(q.Env) == "") {
			names = append(names, q.Name)
			sets += " --set " + q.Name + "=VALUE"
			fmt.Fprintf(a.Out, "it needs %s: %s\n", q.Name, audit.Visible(cmp.Or(q.Description, "its profile does not say what that is")))
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(a.Out, "start it with: mcpen run%s %s\n", sets, name)
	}
	return names, nil
}

// Asked is the package that was asked for, the name that it gets, and its profile.
func (a *Adder) Asked(at user.Dirs, text, name string) (ref pack.Ref, called string, profile []byte, err error) {
	ref, described, err := server.Wanted(text, a.Note)
	if err != nil {
		return ref, "", nil, err
	}
	if name == "" {
		name = a.Name(at, ref)
	}
	if a.Taken(at, name, ref) {
		return ref, "", nil, launch.Usage("mcpen add --name OTHER "+text, "%q is the name of a profile of another server", name)
	}
	profile = draft.Starting(name, server.Bounded(ref))
	if described != nil {
		profile = draft.Described(name, server.Bounded(ref), *described)
	}
	if ships, ok := profiles.For(server.Bare(ref)); ok && ships != name {
		profile = draft.Extending(name, ships)
	}
	if _, err := policy.Parse("(profile)", profile, catalog.Loader(at)); err != nil || filepath.Base(name) != name {
		return ref, "", nil, launch.Usage("--name server", "%q cannot be a profile's name", name)
	}
	return ref, name, profile, nil
}
