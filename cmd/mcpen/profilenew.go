package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/draft"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

func (a *app) profileNewCommand() *cli.Command {
	return &cli.Command{
		Name: "new", Usage: "write a profile of your own that allows nothing yet", ArgsUsage: "NAME [-- COMMAND…]",
		Description: "Without a package and a command NAME is a profile that mcpen carries, and yours\nextends it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "package", Usage: "the `PACKAGE` that it starts: npm:NAME or pypi:NAME"},
			&cli.StringSliceFlag{Name: "extends", Usage: "a `PROFILE` that it extends; may be repeated"},
		},
		Action: func(c *cli.Context) error {
			n := draft.Profile{Package: c.String("package"), Extends: c.StringSlice("extends")}
			if err := newWords(&n, c.Args().Slice()); err != nil {
				return err
			}
			return a.newProfile(n)
		},
	}
}

// newWords reads a name, with flags before and behind it, and a command behind "--".
func newWords(n *draft.Profile, words []string) error {
	wrong := usage("mcpen profile new NAME --package npm:NAME", "one name, please, and a command behind --")
	for i := 0; i < len(words); i++ {
		flag, value, joined := strings.Cut(words[i], "=")
		if (flag == "--package" || flag == "--extends") && !joined {
			if i++; i == len(words) {
				return wrong
			}
			value = words[i]
		}
		switch {
		case flag == "--package":
			n.Package = value
		case flag == "--extends":
			n.Extends = append(n.Extends, value)
		case words[i] == "--" && n.Name != "" && i+1 < len(words):
			n.Command = words[i+1:]
			return nil
		case n.Name != "" || strings.HasPrefix(words[i], "-"):
			return wrong
		default:
			n.Name = words[i]
		}
	}
	if n.Name == "" {
		return wrong
	}
	return nil
}

// newProfile writes a profile that is not there yet.
func (a *app) newProfile(n draft.Profile) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	if err := n.Complete(); err != nil {
		return err
	}
	file := filepath.Join(at.Config, "profiles", n.Name+".toml")
	text := n.Text()
	if _, err := policy.Parse(file, text, catalog.Loader(at)); err != nil {
		return err
	}
	if filepath.Base(n.Name) != n.Name {
		return usage("mcpen profile new server", "%q cannot be a profile's name", n.Name)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write the profile: %w", err)
	}
	if err := wholefile.Create(file, text, 0o644); errors.Is(err, fs.ErrExist) {
		return usage("mcpen profile edit "+n.Name, "%s is there already", file)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "wrote %s\nmcpen profile edit %s   # what it may do\nmcpen run %s\n", file, n.Name, n.Name)
	return nil
}
