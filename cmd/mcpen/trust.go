package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/explain"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

func (a *app) trustCommand(words []string) *cli.Command {
	return &cli.Command{
		Name: "trust", Usage: "show what profiles of a repository ask for, and trust them as they are", ArgsUsage: "[PATH…] | SERVER -- ARGS… | --profile P -- COMMAND…",
		Description: "PATH is a profile, or a folder with profiles or with a .mcpen of them (default:\nthe folder where mcpen was started). What is trusted is the content: of the\nprofile, of all that it extends, of its lock and of what was approved; any change\nasks again. What a command line adds to it (a command, arguments, --set, --without,\na workspace outside of the project) is trusted with the same words as in run.\nProfiles of your own configuration need no trust.",
		Flags: append(serverFlags(),
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
			&cli.BoolFlag{Name: "revoke", Usage: "trust it no longer, however it is used"},
		),
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			do := func(file string, w server.Words) error { return a.trustOne(at, file, w, c.Bool("yes")) }
			if c.Bool("revoke") {
				do = func(file string, _ server.Words) error { return a.revoke(at, file) }
			}
			if used(c, words) {
				ch, err := choose(c, words)
				if err != nil {
					return err
				}
				if ch.Unwritten() {
					return usage("mcpen trust --profile PATH -- COMMAND", "no profile named: what has none needs no trust")
				}
				return do(ch.Profile, ch)
			}
			files, err := trust.ProfilesAt(at, c.Args().Slice())
			if err != nil {
				return err
			}
			for _, f := range files {
				if err := do(f, server.Words{Profile: f}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// used reports whether a command line says how a profile is used.
func used(c *cli.Context, words []string) bool {
	return slices.Contains(words, "--") || slices.ContainsFunc(serverFlags(), func(f cli.Flag) bool { return c.IsSet(f.Names()[0]) })
}

// trustOne shows one profile and how it is used, and asks.
func (a *app) trustOne(at user.Dirs, file string, w server.Words, yes bool) error {
	p, err := trust.Named(at, file)
	if err != nil {
		return err
	}
	e, err := trust.Gather(at, p)
	if err != nil {
		return err
	}
	e.Use = trust.UseOf(at, w.Start(), p)
	if e.Why == "" {
		fmt.Fprintf(a.out, "%s needs no trust: it is yours\n", audit.Visible(file))
		return nil
	}
	was, err := trust.Decided(at, e.File)
	if err != nil {
		return err
	}
	if _, held := was.Covers(e); held {
		fmt.Fprintf(a.out, "%s is trusted as it is\n", audit.Visible(file))
		return nil
	}
	explain.Evidence(a.out, at, e)
	if !yes {
		if !a.Terminal(a.in) {
			return usage(strings.Replace(e.Hint(), "mcpen trust ", "mcpen trust --yes ", 1), "nothing was trusted: there is nobody to ask")
		}
		if !a.yes("trust it as it is?") {
			fmt.Fprintln(a.out, "nothing was trusted")
			return nil
		}
	}
	if err := trust.Keep(at, e); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "trusted %s, until anything of it changes\n", audit.Visible(e.File))
	return nil
}

// revoke forgets the decision about a profile.
func (a *app) revoke(at user.Dirs, file string) error {
	name, err := trust.File(at, origin.RealFile(at, file))
	if err != nil {
		return err
	}
	err = os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("mcpen trust "+file, "%q was not trusted", file)
	}
	if err != nil {
		return fmt.Errorf("cannot revoke the trust: %w", err)
	}
	fmt.Fprintf(a.out, "%s is no longer trusted\n", audit.Visible(file))
	return nil
}
