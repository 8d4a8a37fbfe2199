package main

import (
	"github.com/urfave/cli/v2"

	"mcpen/sandbox/catalog"
)

func (a *app) profileCommand() *cli.Command {
	return &cli.Command{
		Name:  "profile",
		Usage: "list, show, compare and write profiles",
		Subcommands: []*cli.Command{
			a.profileListCommand(),
			a.profileNewCommand(),
			a.profileEditCommand(),
			a.profileDiffCommand(),
			{Name: "show", Usage: "print a profile as it was written", ArgsUsage: "NAME", Action: func(c *cli.Context) error {
				if c.NArg() != 1 {
					return usage("mcpen profile list", "one profile, please")
				}
				at, err := a.Dirs()
				if err != nil {
					return err
				}
				_, data, err := catalog.Loader(at)(c.Args().First(), "")
				if err != nil {
					return catalog.NoProfile(at, c.Args().First(), err)
				}
				_, err = a.out.Write(data)
				return err
			}},
		},
	}
}
