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

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
)

// locked is one lock file of the user's.
type locked struct {
	name, file string
	lock       pack.Lock
}

// undone counts what a command could not do for some of its locks, and goes on.
type undone struct {
	count int
	first error
}

// note tells of one of them.
func (u *undone) note(a *app, name string, err error) {
	a.warn("%s: %s", name, audit.Visible(err.Error()))
	var coded *launch.Error
	if errors.As(err, &coded) && coded.Hint != "" {
		fmt.Fprintf(a.err, "mcpen: hint: %s\n", coded.Hint)
	}
	if u.count++; u.first == nil {
		u.first = err
	}
}

// err is the error of the whole command, with the code of the first; nil where
// everything was done.
func (u *undone) err(what string) error {
	if u.first == nil {
		return nil
	}
	code := 1
	var coded *launch.Error
	if errors.As(u.first, &coded) {
		code = coded.Code
	}
	return &launch.Error{Code: code, Err: fmt.Errorf("%s %s", count(u.count, "lock"), what)}
}

// lockFiles are the files of the locks that were named, or all of the user's.
func lockFiles(at place, names []string) []string {
	dir := filepath.Join(at.config, "profiles")
	if len(names) == 0 {
		files, _ := filepath.Glob(filepath.Join(dir, "*.lock")) // the pattern is good
		return files
	}
	var out []string
	for _, n := range names {
		if !strings.Contains(n, "/") {
			n = filepath.Join(dir, n+".lock")
		}
		out = append(out, n)
	}
	return out
}

func lockName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".lock") }

// locks reads the locks that were named, or all. One that does not read is noted,
// and the others are looked at; a name that has none is a mistake.
func (a *app) locks(at place, names []string, bad *undone) ([]locked, error) {
	var out []locked
	for _, file := range lockFiles(at, names) {
		l, err := readLock(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("mcpen outdated", "there is no lock %s", file)
		}
		if err != nil {
			bad.note(a, lockName(file), err)
			continue
		}
		out = append(out, locked{lockName(file), file, readStanding(at, file).trees(l)})
	}
	return out, nil
}

// eachLock calls f for every lock that was named, with an installer for it, and
// goes on with the next where one fails.
func (a *app) eachLock(ctx context.Context, names []string, f func(*pack.Installer, place, locked) error) error {
	at, err := a.placeToRun()
	if err != nil {
		return err
	}
	var bad undone
	all, err := a.locks(at, names, &bad)
	if err != nil {
		return err
	}
	for _, l := range all {
		in, err := a.installerFor(ctx, at, l)
		if err == nil {
			err = f(in, at, l)
		}
		if ctx.Err() != nil {
			return packageError(ctx, err)
		}
		if err != nil {
			bad.note(a, l.name, packageError(ctx, err))
		}
	}
	return bad.err("could not be looked at")
}

// rules are those of the profile that a lock belongs to, and what that asks for:
// the profile beside it, or of its name.
func (a *app) rules(at place, l locked) (policy.Install, pack.Ref, error) {
	profile := l.name
	if beside := strings.TrimSuffix(l.file, ".lock") + ".toml"; filepath.Dir(l.file) != filepath.Join(at.config, "profiles") && exists(beside) {
		profile = beside
	}
	rules, text, err := a.packageRules(at, profile)
	if err != nil || text == "" {
		return rules, pack.Ref{}, err
	}
	wanted, err := pack.ParseWanted(text)
	if own, bad := l.lock.Ref(); err != nil || bad != nil || own.Ecosystem != wanted.Ecosystem || own.Name != wanted.Name {
		wanted = pack.Ref{} // the lock is of another package
	}
	return rules, wanted, err
}

// installerFor is an installer for a lock, connected to its registry.
func (a *app) installerFor(ctx context.Context, at place, l locked) (*pack.Installer, error) {
	ref, err := l.lock.Ref()
	if err != nil {
		return nil, err
	}
	rules, _, err := a.rules(at, l)
	if err != nil {
		return nil, err
	}
	in, err := a.installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return nil, err
	}
	return in, a.connect(ctx, in, at, ref.Ecosystem)
}

// outside is true for a lock whose version its profile does not ask for any more.
func (a *app) outside(at place, l locked) bool {
	_, wanted, err := a.rules(at, l)
	return err == nil && !wanted.Allows(l.lock.Version)
}

// latest asks the registry for the version in a lock's place, and keeps what it
// says against the locked one, for the next start.
func (a *app) latest(ctx context.Context, in *pack.Installer, at place, l locked) (rel pack.Release, withdrawn string, err error) {
	_, wanted, err := a.rules(at, l)
	if err != nil {
		return rel, "", err
	}
	rel, withdrawn, err = in.Check(ctx, l.lock, wanted)
	if err == nil || withdrawn != "" {
		s := readStanding(at, l.file)
		if s.Withdrawn != withdrawn || s.Version != l.lock.Version {
			s.Withdrawn, s.Version = withdrawn, l.lock.Version
			s.keep(at, l.file)
		}
	}
	return rel, withdrawn, err
}

// alarm prints a line that comes before all others, in red at a terminal.
func (a *app) alarm(format string, args ...any) {
	a.line("! " + fmt.Sprintf(format, args...))
}

// line prints a line for a person; one that begins with a mark is red.
func (a *app) line(text string) {
	text = audit.Visible(text)
	if strings.HasPrefix(text, "! ") && a.terminal(a.out) {
		text = "\x1b[1;31m" + text + "\x1b[0m"
	}
	fmt.Fprintln(a.out, text)
}

func (a *app) outdatedCommand() *cli.Command {
	return &cli.Command{
		Name: "outdated", Usage: "list locked packages that were withdrawn, or of which there is a newer version that is old enough", ArgsUsage: "[NAME…]",
		Action: func(c *cli.Context) error {
			return a.eachLock(c.Context, c.Args().Slice(), func(in *pack.Installer, at place, l locked) error {
				rel, withdrawn, err := a.latest(c.Context, in, at, l)
				if withdrawn != "" {
					a.alarm("%s\t%s %s was %s", l.name, l.lock.Package, l.lock.Version, withdrawn)
				}
				if err != nil {
					return err
				}
				switch order := rel.Compare(l.lock); {
				case order != 0 && a.outside(at, l):
					fmt.Fprintf(a.out, "%s\t%s\t%s → %s (the profile asks for another version)\n", l.name, l.lock.Package, l.lock.Version, rel.Ref.Version)
				case order > 0:
					fmt.Fprintf(a.out, "%s\t%s\t%s → %s\n", l.name, l.lock.Package, l.lock.Version, rel.Ref.Version)
				case order < 0 && withdrawn == "" && rel.Preferred:
					fmt.Fprintf(a.out, "%s\t%s\t%s → %s (lower: the registry prefers it now)\n", l.name, l.lock.Package, l.lock.Version, rel.Ref.Version)
				case order < 0 && withdrawn != "":
					fmt.Fprintf(a.out, "%s\t%s\t%s → %s (lower)\n", l.name, l.lock.Package, l.lock.Version, rel.Ref.Version)
				}
				return nil
			})
		},
	}
}

func (a *app) updateCommand() *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "show what a newer version changes, and lock it", ArgsUsage: "[NAME…]",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "yes", Usage: "do not ask"}},
		Action: func(c *cli.Context) error {
			return a.eachLock(c.Context, c.Args().Slice(), func(in *pack.Installer, at place, l locked) error {
				return a.keepTrustBeside(at, l.file, func() error { return a.update(c.Context, in, at, l, c.Bool("yes")) })
			})
		},
	}
}

func (a *app) update(ctx context.Context, in *pack.Installer, at place, l locked, yes bool) error {
	rel, withdrawn, err := a.latest(ctx, in, at, l)
	if withdrawn != "" {
		a.alarm("%s: %s %s was %s", l.name, l.lock.Package, l.lock.Version, withdrawn)
	}
	if err != nil {
		return err
	}
	order := rel.Compare(l.lock)
	switch {
	case order != 0 && a.outside(at, l):
		// Whatever the registry has, the locked one does not run.
	case order < 0 && withdrawn == "":
		fmt.Fprintf(a.out, "%s: %s %s stays: the registry's %s is lower\n", l.name, l.lock.Package, l.lock.Version, rel.Ref.Version)
		return nil
	case order == 0 && withdrawn != "":
		return fmt.Errorf("there is no other version of %s to lock that is old enough", l.lock.Package)
	case order == 0:
		fmt.Fprintf(a.out, "%s: %s %s is the newest that is old enough\n", l.name, l.lock.Package, l.lock.Version)
		return nil
	}
	fresh, tree, err := in.Install(ctx, rel)
	if err != nil {
		return err
	}
	defer tree.Close()
	fresh.Pins, fresh.Bin, fresh.Tag = l.lock.Pins, l.lock.Bin, l.lock.Tag
	if _, err := pack.EntryOf(tree, fresh); err != nil {
		return err
	}
	for line := range strings.Lines(pack.DiffLocks(l.lock, fresh).String()) {
		a.line(strings.TrimSuffix(line, "\n"))
	}
	if ok, err := a.agreed(l, fresh, yes); err != nil || !ok {
		return err
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

// agreed asks whether to lock what was shown.
func (a *app) agreed(l locked, fresh pack.Lock, yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.terminal(a.in) {
		return false, usage("mcpen update --yes "+l.name, "nothing was changed: there is nobody to ask")
	}
	fmt.Fprintf(a.err, "lock %s %s? [y/N] ", fresh.Package, fresh.Version)
	answer, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	if s := strings.ToLower(strings.TrimSpace(answer)); s == "y" || s == "yes" {
		return true, nil
	}
	fmt.Fprintln(a.out, "nothing was changed")
	return false, nil
}

func (a *app) verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "hold every file of locked packages against their locks", ArgsUsage: "[NAME…]",
		Description: "A lock of which nothing is installed on this machine was not verified, and makes the\nexit code 1. With --repair, trees that are damaged or missing are fetched again, exactly\nas their locks say; what is whole is left alone.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "repair", Usage: "fetch again what is damaged or missing"}},
		Action: func(c *cli.Context) error {
			return a.verify(c.Context, c.Args().Slice(), c.Bool("repair"))
		},
	}
}

func (a *app) verify(ctx context.Context, names []string, repair bool) error {
	at, err := a.place()
	if err != nil {
		return err
	}
	var bad undone
	all, err := a.locks(at, names, &bad)
	if err != nil {
		return err
	}
	for _, l := range all {
		err := a.verifyLock(at, l)
		if err != nil && repair {
			err = a.repair(ctx, at, l, err)
		}
		if ctx.Err() != nil {
			return packageError(ctx, ctx.Err())
		}
		if err != nil {
			bad.note(a, l.name, err)
			continue
		}
		fmt.Fprintf(a.out, "%s: ok\n", l.name)
	}
	return bad.err("could not be verified")
}

// verifyLock reads every file of the trees of a lock that are here.
func (a *app) verifyLock(at place, l locked) error {
	verified := 0
	for _, platform := range slices.Sorted(maps.Keys(l.lock.Trees)) {
		hash := l.lock.Trees[platform]
		err := a.store(at).Verify(hash)
		if errors.Is(err, pack.ErrAbsent) {
			continue
		}
		if err != nil {
			return damaged(err, l.name)
		}
		tree, err := a.store(at).Open(hash)
		if err != nil {
			return damaged(err, l.name)
		}
		_, err = pack.CheckTree(tree, l.lock)
		tree.Close()
		if err != nil {
			return &launch.Error{Code: exitRefused, Err: err}
		}
		verified++
	}
	if verified == 0 {
		return &launch.Error{Code: 1, Err: errors.New("not installed: there was nothing to verify"), Hint: "mcpen verify --repair " + l.name}
	}
	return nil
}

// repair fetches one lock's tree again. Another lock's is not touched.
func (a *app) repair(ctx context.Context, at place, l locked, damage error) error {
	in, err := a.installerFor(ctx, at, l)
	if err != nil {
		return err
	}
	fresh, tree, err := in.Repair(ctx, l.lock)
	if err != nil {
		return packageError(ctx, err)
	}
	defer tree.Close()
	fmt.Fprintf(a.out, "%s: fetched again (%s)\n", l.name, audit.Visible(damage.Error()))
	if !maps.Equal(fresh.Trees, l.lock.Trees) {
		s := readStanding(at, l.file)
		s.For, s.Trees = l.lock.Digest, fresh.Trees
		s.keep(at, l.file)
		l.lock = fresh
	}
	return a.verifyLock(at, l)
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
				if keep, err = a.namedTrees(at); err != nil {
					return err
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

// namedTrees are the trees that a lock of the user's or the machine's names. Of a
// lock that does not read nobody knows which it names, so that is an error.
func (a *app) namedTrees(at place) ([]string, error) {
	files := lockFiles(at, nil)
	machine, _ := filepath.Glob(machineProfiles() + "/*.lock") // the pattern is good
	var keep []string
	for _, file := range append(files, machine...) {
		l, err := readLock(file)
		if err != nil {
			return nil, &launch.Error{Code: exitUsage, Err: fmt.Errorf("nothing was removed: which packages it names is not known: %w", err), Hint: "mcpen remove " + lockName(file)}
		}
		keep = slices.AppendSeq(keep, maps.Values(readStanding(at, file).trees(l).Trees))
	}
	return keep, nil
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
			files := lockFiles(at, c.Args().Slice())
			for _, file := range files {
				if !exists(file) {
					return usage("mcpen outdated", "there is no lock %s", file)
				}
			}
			for _, file := range files {
				l, unread := readLock(file) // one that does not read is removed all the same
				if err := os.Remove(file); err != nil {
					return fmt.Errorf("cannot remove the lock: %w", err)
				}
				os.Remove(standingFile(at, file)) // it says nothing without its lock
				fmt.Fprintln(a.out, "removed", file)
				if unread == nil {
					if err := a.removeAdded(locked{lockName(file), file, l}); err != nil {
						return err
					}
				}
				if err := pinsOf(at, strings.TrimSuffix(file, ".lock")).Forget(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
