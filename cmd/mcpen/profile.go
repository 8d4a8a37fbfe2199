package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/policy"
)

func (a *app) profileCommand() *cli.Command {
	return &cli.Command{
		Name:  "profile",
		Usage: "list and show profiles",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the profiles that can be run by name", Action: func(c *cli.Context) error { return a.listProfiles() }},
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
					return usage("mcpen profile list", "cannot read the profile %q: %v", c.Args().First(), err)
				}
				_, err = a.out.Write(data)
				return err
			}},
		},
	}
}

// listProfiles prints each name with where it comes from; the first of two of
// one name is the one that counts.
func (a *app) listProfiles() error {
	at, err := a.place()
	if err != nil {
		return err
	}
	load := a.loader(at)
	names := map[string]bool{}
	for _, n := range profiles.Names() {
		names[n] = true
	}
	for _, dir := range []string{at.config, "/etc/mcpen"} {
		files, _ := filepath.Glob(filepath.Join(dir, "profiles", "*.toml")) // the pattern is good
		for _, f := range files {
			names[strings.TrimSuffix(filepath.Base(f), ".toml")] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, n := range sorted {
		file, data, err := load(n, "")
		if err != nil {
			return fmt.Errorf("cannot read the profile %q: %w", n, err)
		}
		what := "(has mistakes: mcpen check " + file + ")"
		if p, err := policy.Parse(file, data, load); err == nil {
			what = p.Description
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", n, file, what)
	}
	return w.Flush()
}

func (a *app) checkCommand() *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "list every mistake in profiles, with file, line and column",
		ArgsUsage:   "[PATH…]",
		Description: "Without a path: the profiles of your own." + exitStatus,
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			paths := c.Args().Slice()
			if len(paths) == 0 {
				paths, _ = filepath.Glob(filepath.Join(at.config, "profiles", "*.toml")) // the pattern is good
			}
			if err := runCheck(paths, a.loader(at), os.ReadFile, a.out); err != nil {
				return &codeError{code: exitUsage, err: err}
			}
			return nil
		},
	}
}
