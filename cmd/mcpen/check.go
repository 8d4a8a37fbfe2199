package main

import (
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/proofread"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
)

func (a *app) checkCommand() *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "list every mistake in profiles, with file, line and column",
		ArgsUsage:   "[PATH…]",
		Description: "Without a path: the profiles of your own. With --json, every profile is in an array of\nmcpen.check/1: profile, ok, mistakes (file, line, col, key, text, hint) and notes, which\nare of the same form.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print all of them as JSON"}},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			paths := c.Args().Slice()
			if len(paths) == 0 {
				paths, _ = filepath.Glob(filepath.Join(at.Config, "profiles", "*.toml")) // the pattern is good
				if len(paths) == 0 {
					return usage("mcpen check profile.toml", "no profile to check: there is none in %q", filepath.Join(at.Config, "profiles"))
				}
			}
			here, _ := os.Getwd() // without one no path is in it
			check := proofread.Write
			if c.Bool("json") {
				check = proofread.WriteJSON
			}
			if err := check(paths, catalog.Loader(at), catalog.ReadProfile, proofread.Single(here, at.Home), a.out); err != nil {
				return &launch.Error{Code: exitUsage, Err: err}
			}
			return nil
		},
	}
}
