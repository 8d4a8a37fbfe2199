package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/user"
)

// tellNews prints the news, if there is any.
func (a *app) tellNews(n locked.News) {
	if n.Withdrawn != "" {
		a.alarm("%s\t%s %s was %s", n.Name, n.Package, n.Version, n.Withdrawn)
	}
	if n.Error != "" || n.State == locked.StateCurrent {
		return
	}
	fmt.Fprintf(a.out, "%s\t%s\t%s → %s%s\n", n.Name, n.Package, n.Version, n.Available, map[string]string{
		locked.StateOutside: " (the profile asks for another version)", locked.StateLower: " (lower)", locked.StatePreferred: " (lower: the registry prefers it now)"}[n.State])
}

func (a *app) outdatedCommand() *cli.Command {
	return &cli.Command{
		Name: "outdated", Usage: "list locked packages that were withdrawn, or of which there is a newer version that is old enough", ArgsUsage: "[NAME…]",
		Description: "With --json, every lock that was asked about is in an array of mcpen.outdated/1: name,\npackage, version, available, state (current, newer, lower, preferred, outside),\nwithdrawn and error.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print all of them as JSON"}},
		Action: func(c *cli.Context) error {
			all, current := []locked.News{}, 0
			err := a.eachLock(c.Context, c.Args().Slice(), func(in *install.Installer, at user.Dirs, l locked.Lock) error {
				rel, withdrawn, err := a.Latest(c.Context, in, at, l)
				n := a.NewsOf(at, l, rel, withdrawn, err)
				if all = append(all, n); !c.Bool("json") {
					a.tellNews(n)
				}
				if n.State == locked.StateCurrent {
					current++
				}
				return err
			})
			switch {
			case c.Bool("json"):
				err = errors.Join(err, document.WriteJSON(a.out, all))
			case current > 0:
				fmt.Fprintf(a.Err, "mcpen: note: no newer version of %s may be had\n", user.Count(current, "package"))
			}
			return err
		},
	}
}
