package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
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
				at, err := a.place()
				if err != nil {
					return err
				}
				_, data, err := a.loader(at)(c.Args().First(), "")
				if err != nil {
					return noProfile(at, c.Args().First(), err)
				}
				_, err = a.out.Write(data)
				return err
			}},
		},
	}
}

// profileNames are the names that loader knows, sorted.
func profileNames(at place) []string {
	names := profiles.Names()
	for _, dir := range []string{at.config, machine} {
		files, _ := filepath.Glob(filepath.Join(dir, "profiles", "*.toml")) // the pattern is good
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".toml"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// noProfile is the error of a profile that cannot be read.
func noProfile(at place, name string, err error) error {
	hint := policy.DidYouMean(name, profileNames(at))
	if hint == "" {
		hint = "mcpen profile list"
	}
	return usage(hint, "cannot read the profile %q: %v", name, err)
}

func (a *app) checkCommand() *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "list every mistake in profiles, with file, line and column",
		ArgsUsage:   "[PATH…]",
		Description: "Without a path: the profiles of your own.",
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			paths := c.Args().Slice()
			if len(paths) == 0 {
				paths, _ = filepath.Glob(filepath.Join(at.config, "profiles", "*.toml")) // the pattern is good
				if len(paths) == 0 {
					return usage("mcpen check profile.toml", "no profile to check: there is none in %q", filepath.Join(at.config, "profiles"))
				}
			}
			here, _ := os.Getwd() // without one no path is in it
			if err := runCheck(paths, a.loader(at), readProfile, isSingle(here, at.home), a.out); err != nil {
				return &launch.Error{Code: exitUsage, Err: err}
			}
			return nil
		},
	}
}
