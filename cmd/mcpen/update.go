package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

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
				err = errors.Join(err, document.WriteJSON(out, all))
			}
			return err
		},
	}
}

// updated is the outcome of update for a lock.
type updated struct {
	locked.News
	Changes *pack.Diff `json:"changes,omitempty"`
	Locked  bool       `json:"locked"`
}

func (a *app) update(ctx context.Context, in *install.Installer, at user.Dirs, l locked.Lock, yes bool) (updated, error) {
	rel, withdrawn, err := a.Latest(ctx, in, at, l)
	u := updated{News: a.NewsOf(at, l, rel, withdrawn, err)}
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
	if err := locked.Replace(l, fresh); err != nil {
		return u, err
	}
	u.Locked = true
	return u, a.renew(ctx, at, l)
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
