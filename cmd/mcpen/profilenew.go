package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
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
			n := newProfile{pkg: c.String("package"), extends: c.StringSlice("extends")}
			if err := n.words(c.Args().Slice()); err != nil {
				return err
			}
			return a.newProfile(n)
		},
	}
}

// newProfile holds the program that a new profile starts and the profiles that it
// extends.
type newProfile struct {
	name, pkg string
	command   []string
	extends   []string
}

// words reads a name, with flags before and behind it, and a command behind "--".
func (n *newProfile) words(words []string) error {
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
			n.pkg = value
		case flag == "--extends":
			n.extends = append(n.extends, value)
		case words[i] == "--" && n.name != "" && i+1 < len(words):
			n.command = words[i+1:]
			return nil
		case n.name != "" || strings.HasPrefix(words[i], "-"):
			return wrong
		default:
			n.name = words[i]
		}
	}
	if n.name == "" {
		return wrong
	}
	return nil
}

// newProfile writes a profile that is not there yet.
func (a *app) newProfile(n newProfile) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	if err := n.complete(); err != nil {
		return err
	}
	file := filepath.Join(at.Config, "profiles", n.name+".toml")
	text := n.text()
	if _, err := policy.Parse(file, text, catalog.Loader(at)); err != nil {
		return err
	}
	if filepath.Base(n.name) != n.name {
		return usage("mcpen profile new server", "%q cannot be a profile's name", n.name)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write the profile: %w", err)
	}
	if err := wholefile.Create(file, text, 0o644); errors.Is(err, fs.ErrExist) {
		return usage("mcpen profile edit "+n.name, "%s is there already", file)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "wrote %s\nmcpen profile edit %s   # what it may do\nmcpen run %s\n", file, n.name, n.name)
	return nil
}

// complete chooses the profile to extend if the person named none: the one that mcpen
// carries for the package or of its name, and else the one for servers of its language.
func (n *newProfile) complete() error {
	if n.pkg != "" && len(n.command) > 0 {
		return usage("mcpen profile new "+n.name+" -- COMMAND", "a server is a package or a command")
	}
	if n.pkg == "" && len(n.command) == 0 {
		if _, ok := profiles.Read(n.name); !ok && len(n.extends) == 0 {
			return usage("mcpen profile new "+n.name+" --package npm:NAME", "%q is to start something: a package, a command, or a profile that it extends", n.name)
		} else if len(n.extends) == 0 {
			n.extends = []string{n.name}
		}
	}
	if n.pkg == "" || len(n.extends) > 0 {
		return nil
	}
	ref, err := pack.ParseRef(n.pkg)
	if err != nil {
		return &launch.Error{Code: exitUsage, Err: err, Hint: "npm:NAME or pypi:NAME"}
	}
	n.pkg = server.Bare(ref)
	n.extends = []string{map[pack.Ecosystem]string{pack.NPM: "node", pack.PyPI: "python"}[ref.Ecosystem]}
	if ships, ok := profiles.For(n.pkg); ok {
		n.extends, n.pkg = []string{ships}, ""
	}
	return nil
}

// text is the text of the profile, with possible additions as comments.
func (n newProfile) text() []byte {
	var b strings.Builder
	list := func(words []string) string {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = fmt.Sprintf("%q", w)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	fmt.Fprintf(&b, "version = 1\nname = %q\n", n.name)
	if len(n.extends) > 0 {
		fmt.Fprintf(&b, "extends = %s\n", list(n.extends))
	}
	switch {
	case n.pkg != "":
		fmt.Fprintf(&b, "\n[server]\npackage = %q\n", n.pkg)
	case len(n.command) > 0:
		fmt.Fprintf(&b, "\n[server]\ncommand = %s\n", list(n.command))
	}
	b.WriteString(`
# What the server may do. What is not written here, or in what it extends, it may not.

# [filesystem]
# read = ["${workspace}"]
# write = ["${state}"]

# [network]
# allow = ["api.example.com:443"]

# [env.secret]
# API_KEY = "env:API_KEY"
`)
	return []byte(b.String())
}
