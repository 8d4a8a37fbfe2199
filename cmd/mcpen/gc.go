package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/locked"
)

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
			names := locked.Names(at)
			removed, err := a.Store(at).GC(keep)
			for _, tree := range removed {
				fmt.Fprintln(a.out, strings.TrimSpace("removed "+tree+" "+audit.Visible(names[tree])))
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(a.Err, "mcpen: note: there was nothing to remove")
			}
			return err
		},
	}
}
