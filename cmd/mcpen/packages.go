package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/launch"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// machineProfiles are the profiles of this machine's administrator.
const machineProfiles = "/etc/mcpen/profiles"

// lockBeside is where the lock of a profile is: beside the file, or, for one
// that ships with mcpen, was never written, or is the machine's and has no lock
// there, among the user's own.
func lockBeside(at place, profileFile, name string) string {
	if profileFile != "" && filepath.Ext(profileFile) == ".toml" && !ships(profileFile) {
		if _, err := os.Stat(profileFile); err == nil {
			beside := strings.TrimSuffix(profileFile, ".toml") + ".lock"
			if _, err := os.Stat(beside); err == nil || filepath.Dir(profileFile) != machineProfiles {
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

// packaged is the package that a choice or a profile names, if it is one: by
// reference, by profile, or by the command line of npx, uvx and the like.
func packaged(ch choice, pol policy.Policy) (ref pack.Ref, args []string, ok bool, err error) {
	if isRef(ch.profile) {
		ref, err = pack.ParseRef(ch.profile)
		if err != nil {
			err = &codeError{code: exitUsage, err: err, hint: "npm:NAME, npm:NAME@VERSION, pypi:NAME or pypi:NAME==VERSION"}
		}
		return ref, ch.args, true, err
	}
	if len(ch.command) > 0 {
		c, err := pack.FromCommand(ch.command)
		if err != nil {
			return ref, nil, false, &codeError{code: exitUsage, err: err}
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
	ref, err = pack.ParseRef(pol.Server.Package)
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
		Description: "PACKAGE is npm:NAME[@VERSION] or pypi:NAME[==VERSION], or a file: a server.json of the MCP\nregistry or the manifest.json of an MCPB bundle, whose arguments and variables become the\nparameters of the profile." + exitStatus,
		Flags:       []cli.Flag{&cli.StringFlag{Name: "name", Usage: "the profile's `NAME` (default: the package's, without its scope)"}},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("mcpen add npm:NAME", "one package, please")
			}
			return packageError(c.Context, a.add(c.Context, c.Args().First(), c.String("name")))
		},
	}
}

func (a *app) add(ctx context.Context, text, name string) error {
	at, err := a.place()
	if err != nil {
		return err
	}
	ref, draft, err := a.wanted(text)
	if err != nil {
		return err
	}
	if name == "" {
		name = nameOf(ref)
	}
	profile := fmt.Appendf(nil, addedProfile, name, bare(ref))
	if draft != nil {
		profile = draftProfile(name, bare(ref), *draft)
	}
	if _, err := policy.Parse("(profile)", profile, nil); err != nil || filepath.Base(name) != name {
		return usage("--name server", "%q cannot be a profile's name", name)
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
	if err := createLock(lockFile, lock); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "locked %s %s: %d packages, %s, in %s\n", lock.Package, lock.Version, len(lock.Dependencies), about(lock.Bytes), lockFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := launch.ReplaceFile(file, profile); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "wrote %s, which gives it no file and no host yet: mcpen explain %s\n", file, name)
	}
	return nil
}

// addedProfile is the profile that add writes for a name and a package.
const addedProfile = "version = 1\nname = %q\n\n[server]\npackage = %q\n"

// bare is a reference without a version: that is the lock's to say.
func bare(ref pack.Ref) string {
	ref.Version, ref.Tag = "", ""
	return ref.String()
}

// installRules are those of the profile that a lock belongs to, or the default
// ones where there is no profile.
func (a *app) installRules(at place, name string) (policy.Install, error) {
	if _, _, err := a.loader(at)(name, ""); err != nil {
		return policy.Closed(name).Install, nil
	}
	pol, err := a.policy(choice{profile: name}, at)
	if err == nil {
		return pol.Install, nil
	}
	if p, parse := a.profile(choice{profile: name}, at); parse != nil || len(p.Params) == 0 {
		return policy.Install{}, err
	}
	a.warn("the default install rules hold: the profile %q has parameters that are not set", name)
	return policy.Closed(name).Install, nil
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

// locked is one lock file of the user's.
type locked struct {
	name, file string
	lock       pack.Lock
}

// locks reads the locks that were named, or all.
func (a *app) locks(at place, names []string) ([]locked, error) {
	dir := filepath.Join(at.config, "profiles")
	if len(names) == 0 {
		files, _ := filepath.Glob(filepath.Join(dir, "*.lock")) // the pattern is good
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".lock"))
		}
	}
	var out []locked
	for _, n := range names {
		file := n
		if !strings.Contains(n, "/") {
			file = filepath.Join(dir, n+".lock")
		}
		l, err := readLock(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("mcpen outdated", "there is no lock %s", file)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, locked{strings.TrimSuffix(filepath.Base(file), ".lock"), file, l})
	}
	return out, nil
}

func (a *app) outdatedCommand() *cli.Command {
	return &cli.Command{
		Name: "outdated", Usage: "list locked packages of which there is a newer version that is old enough", ArgsUsage: "[NAME…]",
		Action: func(c *cli.Context) error {
			return a.eachLock(c.Context, c.Args().Slice(), func(in *pack.Installer, at place, l locked) error {
				rel, err := a.latest(c.Context, in, l.lock)
				if err != nil {
					return err
				}
				if newer(rel, l.lock) {
					fmt.Fprintf(a.out, "%s\t%s\t%s → %s\n", l.name, l.lock.Package, l.lock.Version, rel.Ref.Version)
				}
				return nil
			})
		},
	}
}

// newer reports whether a release takes a lock's place. One that was locked with
// a lower minimum age may be newer than all that are old enough now.
func newer(rel pack.Release, l pack.Lock) bool {
	return rel.Ref.Version != l.Version && !rel.Published.Before(l.Published)
}

// latest resolves the newest version that is old enough.
func (a *app) latest(ctx context.Context, in *pack.Installer, l pack.Lock) (pack.Release, error) {
	ref, err := pack.ParseRef(l.Package)
	if err != nil {
		return pack.Release{}, err
	}
	return in.Resolve(ctx, ref)
}

// eachLock calls f for every lock that was named, with an installer for it.
func (a *app) eachLock(ctx context.Context, names []string, f func(*pack.Installer, place, locked) error) error {
	at, err := a.place()
	if err != nil {
		return err
	}
	all, err := a.locks(at, names)
	if err != nil {
		return err
	}
	for _, l := range all {
		ref, err := l.lock.Ref()
		if err != nil {
			return err
		}
		rules, err := a.installRules(at, l.name)
		if err != nil {
			return err
		}
		in, err := a.installer(ctx, at, ref.Ecosystem, rules)
		if err != nil {
			return err
		}
		if err := a.connect(ctx, in, at, ref.Ecosystem); err != nil {
			return packageError(ctx, err)
		}
		if err := f(in, at, l); err != nil {
			return packageError(ctx, err)
		}
	}
	return nil
}

func (a *app) updateCommand() *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "show what a newer version changes, and lock it", ArgsUsage: "[NAME…]",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "yes", Usage: "do not ask"}},
		Action: func(c *cli.Context) error {
			return a.eachLock(c.Context, c.Args().Slice(), func(in *pack.Installer, at place, l locked) error {
				return a.update(c.Context, in, at, l, c.Bool("yes"))
			})
		},
	}
}

func (a *app) update(ctx context.Context, in *pack.Installer, at place, l locked, yes bool) error {
	rel, err := a.latest(ctx, in, l.lock)
	if err != nil {
		return err
	}
	if !newer(rel, l.lock) {
		fmt.Fprintf(a.out, "%s: %s %s is the newest that is old enough\n", l.name, l.lock.Package, l.lock.Version)
		return nil
	}
	fresh, tree, err := in.Install(ctx, rel)
	if err != nil {
		return err
	}
	defer tree.Close()
	fresh.Pins, fresh.Bin = l.lock.Pins, l.lock.Bin
	for line := range strings.Lines(pack.DiffLocks(l.lock, fresh).String()) {
		fmt.Fprintln(a.out, audit.Visible(strings.TrimSuffix(line, "\n")))
	}
	if !yes {
		if !a.terminal(a.in) {
			return usage("mcpen update --yes "+l.name, "nothing was changed: there is nobody to ask")
		}
		fmt.Fprintf(a.err, "lock %s %s? [y/N] ", fresh.Package, fresh.Version)
		answer, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
		if s := strings.ToLower(strings.TrimSpace(answer)); s != "y" && s != "yes" {
			fmt.Fprintln(a.out, "nothing was changed")
			return nil
		}
	}
	// A server that ran meanwhile may have been pinned, and another update done.
	now, err := readLock(l.file)
	if err != nil {
		return err
	}
	if now.Version != l.lock.Version {
		return usage("mcpen update "+l.name, "nothing was changed: %s was locked anew meanwhile", l.file)
	}
	fresh.Pins = now.Pins
	if err := writeLock(l.file, fresh); err != nil {
		return err
	}
	return a.renew(ctx, at, l)
}

func (a *app) verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "hold every file of locked packages against their locks", ArgsUsage: "[NAME…]",
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			all, err := a.locks(at, c.Args().Slice())
			if err != nil {
				return err
			}
			bad := 0
			for _, l := range all {
				for _, hash := range l.lock.Trees {
					err := a.store(at).Verify(hash)
					switch {
					case errors.Is(err, pack.ErrAbsent):
						fmt.Fprintf(a.out, "%s: not installed\n", l.name)
					case err != nil:
						bad++
						fmt.Fprintf(a.out, "%s: %s\n", l.name, audit.Visible(err.Error()))
					default:
						fmt.Fprintf(a.out, "%s: ok\n", l.name)
					}
				}
			}
			if bad > 0 {
				return &codeError{code: exitRefused, err: fmt.Errorf("%s differ from their locks", count(bad, "package")), hint: "mcpen gc --all   # and run again: they are fetched as the locks say"}
			}
			return nil
		},
	}
}

func (a *app) gcCommand() *cli.Command {
	return &cli.Command{
		Name: "gc", Usage: "remove packages that no lock among your profiles names and no server uses",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "those too that a lock names; they are fetched again when they are run"}},
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			var keep []string
			if !c.Bool("all") {
				all, err := a.locks(at, nil)
				if err != nil {
					return err
				}
				machine, _ := filepath.Glob(machineProfiles + "/*.lock") // the pattern is good
				if len(machine) > 0 {
					more, err := a.locks(at, machine)
					if err != nil {
						return err
					}
					all = append(all, more...)
				}
				for _, l := range all {
					keep = slices.AppendSeq(keep, maps.Values(l.lock.Trees))
				}
			}
			removed, err := a.store(at).GC(keep)
			for _, r := range removed {
				fmt.Fprintln(a.out, "removed", r)
			}
			return err
		},
	}
}

func (a *app) removeCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "remove the lock of a package; a profile that you changed stays", ArgsUsage: "NAME…",
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			if c.NArg() == 0 {
				return usage("mcpen profile list", "no package named")
			}
			all, err := a.locks(at, c.Args().Slice())
			if err != nil {
				return err
			}
			for _, l := range all {
				if err := os.Remove(l.file); err != nil {
					return fmt.Errorf("cannot remove the lock: %w", err)
				}
				fmt.Fprintln(a.out, "removed", l.file)
				if err := a.removeAdded(l); err != nil {
					return err
				}
				if err := pinsOf(at, strings.TrimSuffix(l.file, ".lock")).Forget(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// removeAdded removes the profile beside a lock if it is as add wrote it.
func (a *app) removeAdded(l locked) error {
	file := strings.TrimSuffix(l.file, ".lock") + ".toml"
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || string(text) != fmt.Sprintf(addedProfile, l.name, l.lock.Package) {
		return err
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
