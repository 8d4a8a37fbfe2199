package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

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
			removed, err := a.Store(at).GC(keep)
			for _, r := range removed {
				fmt.Fprintln(a.out, "removed", r)
			}
			return err
		},
	}
}
