package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// machineProfiles are the profiles of this machine's administrator.
func machineProfiles() string { return filepath.Join(machine, "profiles") }

// lockBeside is where the lock of a profile is: beside the file, or, for one
// that ships with mcpen, was never written, or is the machine's and has no lock
// there, among the user's own.
func lockBeside(at place, profileFile, name string) string {
	if profileFile != "" && profileFile != noProfileFile && !ships(profileFile) {
		if _, err := os.Stat(profileFile); err == nil {
			beside := strings.TrimSuffix(profileFile, ".toml") + ".lock"
			if _, err := os.Stat(beside); err == nil || filepath.Dir(profileFile) != machineProfiles() {
				return beside
			}
		}
	}
	return filepath.Join(at.config, "profiles", name+".lock")
}

// nameOf is the profile name of a package: what stands behind its scope.
func nameOf(ref pack.Ref) string {
	name := ref.Name[strings.LastIndex(ref.Name, "/")+1:]
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name))
}

// name is what a package is called: as the profile that ships for it, or else nameOf,
// or that with its scope in front where it names another package already. Two of
// eleven called "mcp" live side by side.
func (a *app) name(at place, ref pack.Ref) string {
	if name, ok := profiles.For(bare(ref)); ok && !a.taken(at, name, ref) {
		return name
	}
	name := nameOf(ref)
	if !a.taken(at, name, ref) {
		return name
	}
	scope, _, scoped := strings.Cut(ref.Name, "/")
	full := string(ref.Ecosystem) + "-" + name
	if scoped {
		full = nameOf(pack.Ref{Name: strings.TrimPrefix(scope, "@")}) + "-" + name
	}
	return full
}

// taken reports whether a name is that of another package's lock or of a profile
// that is not this package's.
func (a *app) taken(at place, name string, ref pack.Ref) bool {
	if p, ok := packageIn(filepath.Join(at.config, "profiles", name+".lock")); ok && !samePackage(p, ref) {
		return true
	}
	if _, _, err := a.loader(at)(name, ""); err != nil {
		return false
	}
	p, err := a.profile(choice{profile: name}, at)
	return err != nil || !samePackage(p.Package(), ref)
}

var lockedPackage = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^package = "([^"\n]*)"$`) })

// packageIn is the package of a lock file, without reading the rest of it.
func packageIn(file string) (string, bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := io.ReadFull(f, head) // less is what there is
	m := lockedPackage().FindSubmatch(head[:n])
	if m == nil {
		return "", false
	}
	return string(m[1]), true
}

// samePackage compares without version and extras.
func samePackage(text string, ref pack.Ref) bool {
	r, err := pack.ParseWanted(text)
	return err == nil && r.Ecosystem == ref.Ecosystem && r.Name == ref.Name
}

// packaged is the package that a choice or a profile names, if it is one: by
// reference, by profile, or by the command line of npx, uvx and the like.
func packaged(ch choice, pol policy.Policy) (ref pack.Ref, args []string, ok bool, err error) {
	switch {
	case ch.ref.Name != "" && ch.whole:
		return ch.ref, ch.args, true, nil
	case ch.ref.Name != "":
		return ch.ref, slices.Concat(pol.Server.Args, ch.args), true, nil
	}
	if isRef(ch.profile) {
		ref, err = pack.ParseWanted(ch.profile)
		if err != nil {
			err = &launch.Error{Code: exitUsage, Err: err, Hint: "npm:NAME, npm:NAME@VERSION, npm:NAME@RANGE, pypi:NAME, pypi:NAME==VERSION or pypi:NAME>=VERSION"}
		}
		return ref, ch.args, true, err
	}
	if len(ch.command) > 0 {
		c, err := pack.FromCommand(ch.command)
		if err != nil {
			return ref, nil, false, &launch.Error{Code: exitUsage, Err: err}
		}
		switch c.Kind {
		case pack.CommandPackage:
			return c.Ref, c.Args, true, nil
		case pack.CommandContainer:
			return ref, nil, false, usage("mcpen run npm:PACKAGE", "cannot run the image %q: a container has its own isolation; mcpen runs packages and programs", c.Image)
		}
		return ref, nil, false, nil
	}
	if pol.Server.Package == "" {
		return ref, nil, false, nil
	}
	ref, err = pack.ParseWanted(pol.Server.Package)
	return ref, append(append([]string{}, pol.Server.Args...), ch.args...), true, err
}

// isRef reports whether a server is named by a package reference.
func isRef(s string) bool { return strings.HasPrefix(s, "npm:") || strings.HasPrefix(s, "pypi:") }

// program finds or installs what is to be run. The caller closes the tree, where
// it is a package, once the program has ended.
func (a *app) program(ctx context.Context, ch choice, at place, pol policy.Policy) (plan.Program, *pack.Tree, error) {
	ref, args, ok, err := packaged(ch, pol)
	if err != nil {
		return plan.Program{}, nil, err
	}
	if ok {
		file := ""
		if len(pol.Sources) > 0 {
			file = pol.Sources[0].File
		}
		lockFile := lockBeside(at, file, pol.Name)
		get := a.ensure
		if ch.look {
			get = a.installed
		}
		prog, tree, err := get(ctx, at, ref, lockFile, pol.Install, args)
		return prog, tree, packageError(ctx, err)
	}
	argv, err := argv(ch, pol)
	if err != nil {
		return plan.Program{}, nil, err
	}
	prog, err := a.find(argv, at)
	return prog, nil, err
}

func (a *app) addCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "lock a package, install it in a sandbox, and write a profile that allows it nothing", ArgsUsage: "PACKAGE",
		Description: "PACKAGE is npm:NAME[@VERSION] or pypi:NAME[==VERSION], either with a\nrange in the version's place, such as npm:NAME@^1.2, or a file: a server.json of the MCP\nregistry or the manifest.json of an MCPB bundle, whose arguments and variables become the\nparameters of the profile.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "the profile's `NAME` (default: the package's, without its scope)"},
			&cli.StringSliceFlag{Name: "client", Usage: "write it into the file of the client `NAME`, too, in its pen; may be repeated"},
			setFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("mcpen add npm:NAME", "one package, please")
			}
			if names := c.StringSlice("client"); len(names) > 0 || len(c.StringSlice("set")) > 0 {
				return packageError(c.Context, a.addToClients(c.Context, c.Args().First(), c.String("name"), names, c.StringSlice("set")))
			}
			return packageError(c.Context, a.add(c.Context, c.Args().First(), c.String("name")))
		},
	}
}

func (a *app) add(ctx context.Context, text, name string) error {
	at, err := a.placeToRun()
	if err != nil {
		return err
	}
	ref, name, profile, err := a.toAdd(at, text, name)
	if err != nil {
		return err
	}
	file := filepath.Join(at.config, "profiles", name+".toml")
	lockFile := filepath.Join(at.config, "profiles", name+".lock")
	if _, err := os.Stat(lockFile); err == nil {
		return usage("mcpen update "+name, "%s is there already", lockFile)
	}
	rules, err := a.installRules(at, name)
	if err != nil {
		return err
	}
	in, err := a.installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return err
	}
	if err := a.connect(ctx, in, at, ref.Ecosystem); err != nil {
		return err
	}
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	a.describe(rel)
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return err
	}
	defer tree.Close()
	if _, err := pack.EntryOf(tree, lock); err != nil {
		return err
	}
	err = createLock(lockFile, lock)
	if errors.Is(err, fs.ErrExist) {
		return a.addedMeanwhile(lockFile, lock)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "locked %s %s: %d packages, %s, in %s\n", lock.Package, lock.Version, len(lock.Dependencies), about(lock.Bytes), lockFile)
	return a.writeAdded(file, name, ref, profile)
}

// writeAdded writes the profile of an added package, where it has none: neither one of
// the person's nor one that ships.
func (a *app) writeAdded(file, name string, ref pack.Ref, profile []byte) error {
	ships, shipped := profiles.For(bare(ref))
	switch _, err := os.Stat(file); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case shipped && ships == name:
		fmt.Fprintf(a.out, "it runs by the profile %q: mcpen explain %s\n", name, name)
		return nil
	}
	if err := wholefile.Replace(file, profile, 0o644); err != nil {
		return err
	}
	if shipped {
		fmt.Fprintf(a.out, "wrote %s, which extends the profile %q: mcpen explain %s\n", file, ships, name)
		return nil
	}
	fmt.Fprintf(a.out, "wrote %s, which gives it no file and no host yet: mcpen explain %s\n", file, name)
	return nil
}

// toAdd is the package that was asked for, the name that it gets, and its profile.
func (a *app) toAdd(at place, text, name string) (ref pack.Ref, called string, profile []byte, err error) {
	ref, draft, err := a.wanted(text)
	if err != nil {
		return ref, "", nil, err
	}
	if name == "" {
		name = a.name(at, ref)
	}
	if a.taken(at, name, ref) {
		return ref, "", nil, usage("mcpen add --name OTHER "+text, "%q is the name of a profile of another server", name)
	}
	profile = fmt.Appendf(nil, addedProfile, name, bounded(ref))
	if draft != nil {
		profile = draftProfile(name, bounded(ref), *draft)
	}
	if ships, ok := profiles.For(bare(ref)); ok && ships != name {
		profile = fmt.Appendf(nil, extendingProfile, name, ships)
	}
	if _, err := policy.Parse("(profile)", profile, a.loader(at)); err != nil || filepath.Base(name) != name {
		return ref, "", nil, usage("--name server", "%q cannot be a profile's name", name)
	}
	return ref, name, profile, nil
}

// addedMeanwhile is the end of an add that another one overtook: it is done where
// both locked the same.
func (a *app) addedMeanwhile(lockFile string, lock pack.Lock) error {
	have, err := readLock(lockFile)
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

// bare is a reference without a version: that is the lock's to say.
func bare(ref pack.Ref) string {
	ref.Range = ""
	return bounded(ref)
}

// bounded is bare with the range that was asked for, which is the profile's.
func bounded(ref pack.Ref) string {
	ref.Version, ref.Tag = "", ""
	return ref.String()
}

// installRules are those of a profile, by name or path, or the default ones where
// there is none, within the machine's baseline.
func (a *app) installRules(at place, profile string) (policy.Install, error) {
	rules, _, err := a.packageRules(at, profile)
	return rules, err
}

// packageRules are the rules of a profile for installs and the package that it asks
// for, "" where there is none.
func (a *app) packageRules(at place, profile string) (rules policy.Install, wanted string, err error) {
	baselines, err := a.baselines(choice{}, at)
	if err != nil {
		return policy.Install{}, "", err
	}
	file, data, err := a.loader(at)(profile, "")
	if err != nil { // a package that has no profile
		pol, err := policy.Resolve(&policy.Profile{Name: strings.TrimSuffix(filepath.Base(profile), ".toml")}, policy.Input{Baselines: baselines})
		return pol.Install, "", err
	}
	p, err := policy.Parse(file, data, a.loader(at))
	if err != nil {
		return policy.Install{}, "", err
	}
	pol, err := policy.Resolve(p.InstallOnly(), policy.Input{Baselines: baselines})
	return pol.Install, pol.Server.Package, err
}

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

// describe says what a registry says of a release.
func (a *app) describe(r pack.Release) {
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
	row("dependencies", fmt.Sprint(r.Dependencies))
	if r.Newest != "" {
		row("newest", r.Newest)
	}
	w.Flush()
	for _, n := range r.Notes {
		fmt.Fprintf(a.out, "note: %s\n", audit.Visible(n))
	}
}

// removeAdded removes the profile beside a lock if it is as add wrote it.
func (a *app) removeAdded(l locked) error {
	file := strings.TrimSuffix(l.file, ".lock") + ".toml"
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	has, err := profilePackage(text)
	ref, bad := pack.ParseRef(l.lock.Package)
	if err != nil || bad != nil {
		return nil
	}
	ships, _ := profiles.For(bare(ref))
	if string(text) != fmt.Sprintf(extendingProfile, l.name, ships) && (!samePackage(has, ref) || string(text) != fmt.Sprintf(addedProfile, l.name, has)) {
		return nil
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("cannot remove the profile: %w", err)
	}
	fmt.Fprintln(a.out, "removed", file)
	return nil
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
	return count(int(n), "byte")
}
