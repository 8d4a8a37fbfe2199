package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// undone counts a command's failures with single locks, while the command goes on.
type undone struct {
	count int
	first error
}

// note tells of one of them.
func (u *undone) note(a *app, name string, err error) {
	a.Warn("%s: %s", name, audit.Visible(err.Error()))
	var coded *launch.Error
	if errors.As(err, &coded) && coded.Hint != "" {
		fmt.Fprintf(a.Err, "mcpen: hint: %s\n", coded.Hint)
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
	return &launch.Error{Code: code, Err: fmt.Errorf("%s %s", user.Count(u.count, "lock"), what)}
}

// locks reads the locks that were named, or all. One that does not read is noted,
// and the others are looked at; a name that has none is a mistake.
func (a *app) locks(at user.Dirs, names []string, bad *undone) ([]locked.Lock, error) {
	var out []locked.Lock
	files, err := a.LockFiles(at, names)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		l, err := locked.Read(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("mcpen outdated", "there is no lock %s", file)
		}
		if err != nil {
			bad.note(a, locked.NameOf(file), err)
			continue
		}
		out = append(out, locked.Lock{Name: locked.NameOf(file), File: file, Lock: locked.ReadStanding(at, file).Complete(l)})
	}
	return out, nil
}

// eachLock calls f for every lock that was named, with an installer for it, and
// goes on with the next where one fails.
func (a *app) eachLock(ctx context.Context, names []string, f func(*install.Installer, user.Dirs, locked.Lock) error) error {
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	var bad undone
	all, err := a.locks(at, names, &bad)
	if err != nil {
		return err
	}
	for _, l := range all {
		in, err := a.InstallerFor(ctx, at, l)
		if err == nil {
			err = f(in, at, l)
		}
		if ctx.Err() != nil {
			return locked.Explained(ctx, err)
		}
		if err != nil {
			bad.note(a, l.Name, locked.Explained(ctx, err))
		}
	}
	return bad.err("could not be looked at")
}

// alarm prints a line that comes before all others, in red at a terminal.
func (a *app) alarm(format string, args ...any) {
	a.line("! " + fmt.Sprintf(format, args...))
}

// line prints a line for a person; one that begins with a mark is red.
func (a *app) line(text string) {
	text = audit.Visible(text)
	if strings.HasPrefix(text, "! ") && a.Terminal(a.out) {
		text = "\x1b[1;31m" + text + "\x1b[0m"
	}
	fmt.Fprintln(a.out, text)
}

// news is the registry's version in the place of a locked package.
type news struct {
	Name      string `json:"name"` // of the lock
	Package   string `json:"package"`
	Version   string `json:"version"` // the locked one
	Available string `json:"available,omitempty"`
	State     string `json:"state,omitempty"`     // one of the states below
	Withdrawn string `json:"withdrawn,omitempty"` // how the locked version was
	Error     string `json:"error,omitempty"`     // why nothing can be said
}

// The states of a locked version.
const (
	isCurrent   = "current"   // no version that is old enough is newer
	isNewer     = "newer"     // the available one is
	isLower     = "lower"     // the locked one was withdrawn, and its replacement is lower
	isPreferred = "preferred" // the registry prefers a lower one
	isOutside   = "outside"   // the profile asks for another version
)

// newsOf holds a release against the lock.
func (a *app) newsOf(at user.Dirs, l locked.Lock, rel registry.Release, withdrawn string, err error) news {
	n := news{Name: l.Name, Package: l.Lock.Package, Version: l.Lock.Version, Withdrawn: withdrawn}
	if err != nil {
		n.Error = err.Error()
		return n
	}
	n.Available, n.State = rel.Ref.Version, isCurrent
	switch order := rel.Compare(l.Lock); {
	case order != 0 && a.Outside(at, l):
		n.State = isOutside
	case order > 0:
		n.State = isNewer
	case order < 0 && withdrawn != "":
		n.State = isLower
	case order < 0 && rel.Preferred:
		n.State = isPreferred
	}
	return n
}

// tell prints the news, if there is any.
func (n news) tell(a *app) {
	if n.Withdrawn != "" {
		a.alarm("%s\t%s %s was %s", n.Name, n.Package, n.Version, n.Withdrawn)
	}
	if n.Error != "" || n.State == isCurrent {
		return
	}
	fmt.Fprintf(a.out, "%s\t%s\t%s → %s%s\n", n.Name, n.Package, n.Version, n.Available, map[string]string{
		isOutside: " (the profile asks for another version)", isLower: " (lower)", isPreferred: " (lower: the registry prefers it now)"}[n.State])
}

func (a *app) outdatedCommand() *cli.Command {
	return &cli.Command{
		Name: "outdated", Usage: "list locked packages that were withdrawn, or of which there is a newer version that is old enough", ArgsUsage: "[NAME…]",
		Description: "With --json, every lock that was asked about is in an array of mcpen.outdated/1: name,\npackage, version, available, state (current, newer, lower, preferred, outside),\nwithdrawn and error.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print all of them as JSON"}},
		Action: func(c *cli.Context) error {
			all := []news{}
			err := a.eachLock(c.Context, c.Args().Slice(), func(in *install.Installer, at user.Dirs, l locked.Lock) error {
				rel, withdrawn, err := a.Latest(c.Context, in, at, l)
				n := a.newsOf(at, l, rel, withdrawn, err)
				if all = append(all, n); !c.Bool("json") {
					n.tell(a)
				}
				return err
			})
			if c.Bool("json") {
				err = errors.Join(err, encode(a.out, all))
			}
			return err
		},
	}
}

func (a *app) updateCommand() *cli.Command {
	return &cli.Command{
		Name: "update", Usage: "show what a newer version changes, and lock it", ArgsUsage: "[NAME…]",
		Description: "With --json, every lock that was looked at is in an array of mcpen.update/1: what outdated\nsays of it, changes (old, new, added, removed, changed, swapped, scripts, built, publishers,\nentry, bundled, registry, license, old_bytes, new_bytes), and locked: whether the available\nversion is locked now. What people are told goes to stderr.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
			&cli.BoolFlag{Name: "json", Usage: "print all of them as JSON"},
		},
		Action: func(c *cli.Context) error {
			out, all := a.asked(c), []updated{}
			err := a.eachLock(c.Context, c.Args().Slice(), func(in *install.Installer, at user.Dirs, l locked.Lock) error {
				var u updated
				err := trust.ChangeBeside(at, l.File, func() (err error) {
					u, err = a.update(c.Context, in, at, l, c.Bool("yes"))
					return err
				})
				if err != nil {
					u.Error = err.Error()
				}
				all = append(all, u)
				return err
			})
			if c.Bool("json") {
				err = errors.Join(err, encode(out, all))
			}
			return err
		},
	}
}

// updated is the outcome of update for a lock.
type updated struct {
	news
	Changes *pack.Diff `json:"changes,omitempty"`
	Locked  bool       `json:"locked"`
}

func (a *app) update(ctx context.Context, in *install.Installer, at user.Dirs, l locked.Lock, yes bool) (updated, error) {
	rel, withdrawn, err := a.Latest(ctx, in, at, l)
	u := updated{news: a.newsOf(at, l, rel, withdrawn, err)}
	if withdrawn != "" {
		a.alarm("%s: %s %s was %s", l.Name, l.Lock.Package, l.Lock.Version, withdrawn)
	}
	if err != nil {
		return u, err
	}
	order := rel.Compare(l.Lock)
	switch {
	case order != 0 && a.Outside(at, l):
		// Whatever the registry has, the locked one does not run.
	case order < 0 && withdrawn == "":
		fmt.Fprintf(a.out, "%s: %s %s stays: the registry's %s is lower\n", l.Name, l.Lock.Package, l.Lock.Version, rel.Ref.Version)
		return u, nil
	case order == 0 && withdrawn != "":
		return u, fmt.Errorf("there is no other version of %s to lock that is old enough", l.Lock.Package)
	case order == 0:
		fmt.Fprintf(a.out, "%s: %s %s is the newest that is old enough\n", l.Name, l.Lock.Package, l.Lock.Version)
		return u, nil
	}
	fresh, tree, err := in.Install(ctx, rel)
	if err != nil {
		return u, err
	}
	defer tree.Close()
	fresh.Pins, fresh.Bin, fresh.Tag = l.Lock.Pins, l.Lock.Bin, l.Lock.Tag
	if _, err := install.EntryOf(tree, fresh); err != nil {
		return u, err
	}
	diff := pack.DiffLocks(l.Lock, fresh)
	u.Changes = &diff
	for line := range strings.Lines(diff.String()) {
		a.line(strings.TrimSuffix(line, "\n"))
	}
	if ok, err := a.agreed(l, fresh, yes); err != nil || !ok {
		return u, err
	}
	if err := a.relock(l, fresh); err != nil {
		return u, err
	}
	u.Locked = true
	return u, a.renew(ctx, at, l)
}

// relock writes a fresh lock in the place of one that nobody changed meanwhile: a
// server that ran may have been pinned, and another update done.
func (a *app) relock(l locked.Lock, fresh pack.Lock) error {
	now, err := locked.Read(l.File)
	if err != nil {
		return err
	}
	if now.Version != l.Lock.Version {
		return usage("mcpen update "+l.Name, "nothing was changed: %s was locked anew meanwhile", l.File)
	}
	fresh.Pins = now.Pins
	return locked.Write(l.File, fresh)
}

// agreed asks whether to lock the shown packages.
func (a *app) agreed(l locked.Lock, fresh pack.Lock, yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.Terminal(a.in) {
		return false, usage("mcpen update --yes "+l.Name, "nothing was changed: there is nobody to ask")
	}
	fmt.Fprintf(a.Err, "lock %s %s? [y/N] ", fresh.Package, fresh.Version)
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
		Description: "A lock of which nothing is installed on this machine was not verified, and makes the\nexit code 1. With --repair, trees that are damaged or missing are fetched again, exactly\nas their locks say; what is whole is left alone. With --json, every lock is in an array\nof mcpen.verify/1: name, package, version, ok, repaired and error.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repair", Usage: "fetch again what is damaged or missing"},
			&cli.BoolFlag{Name: "json", Usage: "print all of them as JSON"},
		},
		Action: func(c *cli.Context) error {
			all := []verified{}
			tell := func(v verified) { all = append(all, v) }
			if !c.Bool("json") {
				tell = a.tellVerified
			}
			err := a.verify(c.Context, c.Args().Slice(), c.Bool("repair"), tell)
			if c.Bool("json") {
				err = errors.Join(err, encode(a.out, all))
			}
			return err
		},
	}
}

// verified is how the files of a lock were found.
type verified struct {
	Name     string `json:"name"`
	Package  string `json:"package,omitempty"` // "" for a lock that does not read
	Version  string `json:"version,omitempty"`
	OK       bool   `json:"ok"`
	Repaired string `json:"repaired,omitempty"` // why it was fetched again
	Error    string `json:"error,omitempty"`
}

func (a *app) tellVerified(v verified) {
	if v.Repaired != "" {
		fmt.Fprintf(a.out, "%s: fetched again (%s)\n", v.Name, audit.Visible(v.Repaired))
	}
	if v.OK {
		fmt.Fprintf(a.out, "%s: ok\n", v.Name)
	}
}

// verify looks at each lock that was named, and tells of it.
func (a *app) verify(ctx context.Context, names []string, repair bool, tell func(verified)) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	var bad undone
	all, err := a.locks(at, names, &bad)
	if err != nil {
		return err
	}
	for _, l := range all {
		v := verified{Name: l.Name, Package: l.Lock.Package, Version: l.Lock.Version}
		err := a.verifyLock(at, l)
		if err != nil && repair {
			v.Repaired, err = a.repair(ctx, at, l, err)
		}
		if ctx.Err() != nil {
			return locked.Explained(ctx, ctx.Err())
		}
		if v.OK = err == nil; !v.OK {
			v.Error = err.Error()
			bad.note(a, l.Name, err)
		}
		tell(v)
	}
	return bad.err("could not be verified")
}

// verifyLock reads every file of the trees of a lock that are here.
func (a *app) verifyLock(at user.Dirs, l locked.Lock) error {
	whole := 0
	for _, platform := range slices.Sorted(maps.Keys(l.Lock.Trees)) {
		hash := l.Lock.Trees[platform]
		err := a.Store(at).Verify(hash)
		if errors.Is(err, store.ErrAbsent) {
			continue
		}
		if err != nil {
			return locked.Damaged(err, l.Name)
		}
		tree, err := a.Store(at).Open(hash)
		if err != nil {
			return locked.Damaged(err, l.Name)
		}
		_, err = install.CheckTree(tree, l.Lock)
		tree.Close()
		if err != nil {
			return &launch.Error{Code: exitRefused, Err: err}
		}
		whole++
	}
	if whole == 0 {
		return &launch.Error{Code: 1, Err: errors.New("not installed: there was nothing to verify"), Hint: "mcpen verify --repair " + l.Name}
	}
	return nil
}

// repair fetches one lock's tree again, and returns why if it did. Another lock's is
// not touched.
func (a *app) repair(ctx context.Context, at user.Dirs, l locked.Lock, damage error) (why string, err error) {
	in, err := a.InstallerFor(ctx, at, l)
	if err != nil {
		return "", err
	}
	fresh, tree, err := in.Repair(ctx, l.Lock)
	if err != nil {
		return "", locked.Explained(ctx, err)
	}
	defer tree.Close()
	if !maps.Equal(fresh.Trees, l.Lock.Trees) {
		s := locked.ReadStanding(at, l.File)
		s.For, s.Trees = l.Lock.Digest, fresh.Trees
		s.Keep(at, l.File)
		l.Lock = fresh
	}
	return damage.Error(), a.verifyLock(at, l)
}

func (a *app) gcCommand() *cli.Command {
	return &cli.Command{
		Name: "gc", Usage: "remove packages that no lock among your profiles names and no server uses",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "those too that a lock names; they are fetched again when they are run"}},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			var keep []string
			if !c.Bool("all") {
				if keep, err = locked.NamedTrees(at); err != nil {
					return err
				}
			}
			removed, err := a.Store(at).GC(keep)
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
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			if c.NArg() == 0 {
				return usage("mcpen profile list", "no package named")
			}
			files, err := a.LockFiles(at, c.Args().Slice())
			if err != nil {
				return err
			}
			for _, file := range files {
				if !wholefile.Exists(file) {
					return usage("mcpen outdated", "there is no lock %s", file)
				}
			}
			for _, file := range files {
				l, unread := locked.Read(file) // one that does not read is removed all the same
				if err := os.Remove(file); err != nil {
					return fmt.Errorf("cannot remove the lock: %w", err)
				}
				os.Remove(locked.StandingFile(at, file)) // it says nothing without its lock
				fmt.Fprintln(a.out, "removed", file)
				if unread == nil {
					if err := a.removeAdded(locked.Lock{Name: locked.NameOf(file), File: file, Lock: l}); err != nil {
						return err
					}
				}
				if err := catalog.PinsOf(at, strings.TrimSuffix(file, ".lock")).Forget(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
