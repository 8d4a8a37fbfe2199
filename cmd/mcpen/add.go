package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

func (a *app) addCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "lock a package, install it in a sandbox, and write a profile that allows it nothing", ArgsUsage: "PACKAGE",
		Description: "PACKAGE is npm:NAME[@VERSION] or pypi:NAME[==VERSION], either with a\nrange in the version's place, such as npm:NAME@^1.2, or a file: a server.json of the MCP\nregistry or the manifest.json of an MCPB bundle, whose arguments and variables become the\nparameters of the profile.\n\n" +
			"With --json, an object of mcpen.add/1: name, package, version, lock, profile (the file that\nis there or was written), extends (the profile that ships for it), needs\n(parameters without a default), packages, bytes, and what\nthe registry says: published, publisher, licence, deprecated, scripts, newest, notes. What\npeople are told goes to stderr.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "the profile's `NAME` (default: the package's, without its scope)"},
			&cli.StringSliceFlag{Name: "client", Usage: "write it into the file of the client `NAME`, too, in its pen; may be repeated"},
			setFlag(),
			&cli.BoolFlag{Name: "json", Usage: "print what was added as JSON"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("mcpen add npm:NAME", "one package, please")
			}
			out := a.asked(c)
			if names := c.StringSlice("client"); len(names) > 0 || len(c.StringSlice("set")) > 0 {
				if c.Bool("json") {
					return usage("mcpen add --json "+c.Args().First(), "--json is for a package alone, without --client and --set")
				}
				return locked.Explained(c.Context, a.addToClients(c.Context, c.Args().First(), c.String("name"), names, c.StringSlice("set")))
			}
			done, err := a.add(c.Context, c.Args().First(), c.String("name"))
			if err != nil || !c.Bool("json") {
				return locked.Explained(c.Context, err)
			}
			return document.WriteJSON(out, done)
		},
	}
}

// addition is the outcome of add.
type addition struct {
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
func newAddition(name, lockFile string, r registry.Release, l pack.Lock) addition {
	d := addition{Name: name, Package: l.Package, Version: l.Version, Lock: lockFile, Packages: len(l.Dependencies), Bytes: l.Bytes,
		Publisher: r.Publisher, License: r.License, Deprecated: r.Deprecated, Scripts: r.Scripts, Newest: r.Newest, Notes: r.Notes}
	if !r.Published.IsZero() {
		d.Published = r.Published.UTC().Format(time.DateOnly)
	}
	return d
}

func (a *app) add(ctx context.Context, text, name string) (addition, error) {
	at, err := a.DirsToRun()
	if err != nil {
		return addition{}, err
	}
	ref, name, profile, err := a.toAdd(at, text, name)
	if err != nil {
		return addition{}, err
	}
	file := filepath.Join(at.Config, "profiles", name+".toml")
	lockFile := filepath.Join(at.Config, "profiles", name+".lock")
	if _, err := os.Stat(lockFile); err == nil {
		return addition{}, usage("mcpen update "+name, "%s is there already", lockFile)
	}
	rules, err := catalog.InstallRules(at, name)
	if err != nil {
		return addition{}, err
	}
	in, err := a.Installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return addition{}, err
	}
	if err := a.Connect(ctx, in, at, ref.Ecosystem); err != nil {
		return addition{}, err
	}
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return addition{}, err
	}
	a.describe(rel)
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return addition{}, err
	}
	defer tree.Close()
	if _, err := install.EntryOf(tree, lock); err != nil {
		return addition{}, err
	}
	err = locked.Create(lockFile, lock)
	if errors.Is(err, fs.ErrExist) {
		return newAddition(name, lockFile, rel, lock), a.addedMeanwhile(lockFile, lock)
	}
	if err != nil {
		return addition{}, err
	}
	fmt.Fprintf(a.out, "locked %s %s: %d packages, %s, in %s\n", lock.Package, lock.Version, len(lock.Dependencies), about(lock.Bytes), lockFile)
	done := newAddition(name, lockFile, rel, lock)
	if done.Profile, done.Extends, err = a.writeAdded(file, name, ref, profile); err != nil {
		return done, err
	}
	done.Needs, err = a.needed(at, name)
	return done, err
}

// needed are the parameters that a start wants a value for. It says each with the
// command that gives it.
func (a *app) needed(at user.Dirs, name string) (names []string, err error) {
	p, err := catalog.Profile(at, name)
	if err != nil {
		return nil, err
	}
	sets := ""
	for _, q := range p.Params {
		if q.Default == nil && !q.Optional && (q.Env == "" || a.Getenv(q.Env) == "") {
			names = append(names, q.Name)
			sets += " --set " + q.Name + "=VALUE"
			fmt.Fprintf(a.out, "it needs %s: %s\n", q.Name, audit.Visible(cmp.Or(q.Description, "its profile does not say what that is")))
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(a.out, "start it with: mcpen run%s %s\n", sets, name)
	}
	return names, nil
}

// writeAdded writes the profile of an added package, where it has none: neither one of
// the person's nor one that ships. It returns the file, if there is one now, and the
// profile that ships.
func (a *app) writeAdded(file, name string, ref pack.Ref, profile []byte) (is, ships string, err error) {
	ships, shipped := profiles.For(server.Bare(ref))
	switch _, err := os.Stat(file); {
	case err == nil:
		return file, "", nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", err
	case shipped && ships == name:
		fmt.Fprintf(a.out, "it runs by the profile %q: mcpen explain %s\n", name, name)
		return "", ships, nil
	}
	if err := wholefile.Replace(file, profile, 0o644); err != nil {
		return "", "", err
	}
	if shipped {
		fmt.Fprintf(a.out, "wrote %s, which extends the profile %q: mcpen explain %s\n", file, ships, name)
		return file, ships, nil
	}
	fmt.Fprintf(a.out, "wrote %s, which gives it no file and no host yet: mcpen explain %s\n", file, name)
	return file, "", nil
}

// toAdd is the package that was asked for, the name that it gets, and its profile.
func (a *app) toAdd(at user.Dirs, text, name string) (ref pack.Ref, called string, profile []byte, err error) {
	ref, draft, err := server.Wanted(text, a.note)
	if err != nil {
		return ref, "", nil, err
	}
	if name == "" {
		name = a.Name(at, ref)
	}
	if a.Taken(at, name, ref) {
		return ref, "", nil, usage("mcpen add --name OTHER "+text, "%q is the name of a profile of another server", name)
	}
	profile = fmt.Appendf(nil, addedProfile, name, server.Bounded(ref))
	if draft != nil {
		profile = draftProfile(name, server.Bounded(ref), *draft)
	}
	if ships, ok := profiles.For(server.Bare(ref)); ok && ships != name {
		profile = fmt.Appendf(nil, extendingProfile, name, ships)
	}
	if _, err := policy.Parse("(profile)", profile, catalog.Loader(at)); err != nil || filepath.Base(name) != name {
		return ref, "", nil, usage("--name server", "%q cannot be a profile's name", name)
	}
	return ref, name, profile, nil
}

// addedMeanwhile is the end of an add that another one overtook: it is done where
// both locked the same.
func (a *app) addedMeanwhile(lockFile string, lock pack.Lock) error {
	have, err := locked.Read(lockFile)
	if err != nil {
		return err
	}
	if have.Package != lock.Package || have.Version != lock.Version || have.Integrity != lock.Integrity {
		return usage("mcpen update "+strings.TrimSuffix(filepath.Base(lockFile), ".lock"), "%s was written meanwhile, and locks %s %s", lockFile, have.Package, have.Version)
	}
	fmt.Fprintf(a.out, "locked %s %s: another add was there first, with the same\n", have.Package, have.Version)
	return nil
}

// addedProfile is the profile that add writes for a name and a package.
const addedProfile = "version = 1\nname = %q\n\n[server]\npackage = %q\n"

// extendingProfile is the one for a name and the profile that ships for its package.
const extendingProfile = "version = 1\nname = %q\nextends = [%q]\n"

// profilePackage is the package that a profile's own text names.
func profilePackage(text []byte) (string, error) {
	var p struct {
		Server struct {
			Package string `toml:"package"`
		} `toml:"server"`
	}
	_, err := toml.Decode(string(text), &p)
	return p.Server.Package, err
}

// describe prints a registry's description of a release.
func (a *app) describe(r registry.Release) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(what, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", what, audit.Visible(value))
		}
	}
	row("package", r.Ref.String())
	if !r.Published.IsZero() {
		row("published", r.Published.UTC().Format("2006-01-02"))
	}
	row("publisher", r.Publisher)
	row("licence", r.License)
	row("deprecated", r.Deprecated)
	row("install scripts", strings.Join(r.Scripts, ", "))
	if r.Ref.Ecosystem == pack.NPM { // PyPI's index does not tell
		row("dependencies", fmt.Sprint(r.Dependencies))
	}
	if r.Newest != "" {
		row("newest", r.Newest)
	}
	w.Flush()
	for _, n := range r.Notes {
		fmt.Fprintf(a.out, "note: %s\n", audit.Visible(n))
	}
}

// about is a size for a person, who does not want to know it to the byte.
func about(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return user.Count(int(n), "byte")
}
