package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/locked"
)

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
				err = errors.Join(err, document.WriteJSON(a.out, all))
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
		err := a.Packages.Verify(at, l)
		if err != nil && repair {
			v.Repaired, err = a.Packages.Repair(ctx, at, l, err)
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
