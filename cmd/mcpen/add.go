package main

import (
	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/addition"
	"mcpen/sandbox/locked"
)

func (a *app) addCommand() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "lock a package, install it in a sandbox, and write a profile that allows it nothing", ArgsUsage: "PACKAGE",
		Description: "PACKAGE is npm:NAME[@VERSION] or pypi:NAME[==VERSION], either with a\nrange in the version's place, such as npm:NAME@^1.2, or a file: a server.json of the MCP\nregistry or the manifest.json of an MCPB bundle, whose arguments and variables become the\nparameters of the profile.\n\n" +
			"With --json, an object of mcpen.add/1: name, package, version, lock, profile (the file that\nis there or was written), extends (the profile that ships for it), needs\n(parameters without a default), packages, bytes, and what\nthe registry says: published, publisher, licence, deprecated, scripts, newest, notes. What\npeople are told goes to stderr.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "the profile's `NAME` (default: the package's, without its scope)"},
			&cli.StringSliceFlag{Name: "client", Usage: "write it into the file of the client `NAME`, too, in its pen; may be repeated"},
			setFlag(),
			&cli.BoolFlag{Name: "json", Usage: "print what was added as JSON"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("mcpen add npm:NAME", "one package, please")
			}
			out := a.asked(c)
			if names := c.StringSlice("client"); len(names) > 0 || len(c.StringSlice("set")) > 0 {
				if c.Bool("json") {
					return usage("mcpen add --json "+c.Args().First(), "--json is for a package alone, without --client and --set")
				}
				return locked.Explained(c.Context, a.addToClients(c.Context, c.Args().First(), c.String("name"), names, c.StringSlice("set")))
			}
			done, err := a.adder().Add(c.Context, c.Args().First(), c.String("name"))
			if err != nil || !c.Bool("json") {
				return locked.Explained(c.Context, err)
			}
			return document.WriteJSON(out, done)
		},
	}
}

// adder adds packages, and tells the person of it on stdout.
func (a *app) adder() *addition.Adder {
	return &addition.Adder{Caller: &a.Caller, Out: a.out, Note: a.note}
}
