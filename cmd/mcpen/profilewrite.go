package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
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

func (a *app) profileEditCommand() *cli.Command {
	return &cli.Command{
		Name: "edit", Usage: "change a profile in your editor, and see what it gives then", ArgsUsage: "NAME",
		Description: "Opens VISUAL or EDITOR with a copy. What has mistakes is not taken over, and not lost.\nFor a profile that mcpen carries a new one of yours extends it.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repository", Usage: "change a profile that others share, too: everybody is asked to trust it again"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("mcpen profile edit NAME", "one profile, please")
			}
			return a.editProfile(c.Context, c.Args().First(), c.Bool("repository"))
		},
	}
}

// editProfile has a person change a copy of a profile, and takes it over once it has no
// mistakes. The copy stays where it cannot be taken over.
func (a *app) editProfile(ctx context.Context, name string, shared bool) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	file, old, err := a.WritableProfile(at, name, shared)
	if err != nil {
		return err
	}
	copied, err := os.CreateTemp("", "mcpen-*-"+strings.TrimSuffix(filepath.Base(file), ".toml")+".toml")
	if err != nil {
		return fmt.Errorf("cannot make a copy to edit: %w", err)
	}
	_, err = copied.Write(old)
	if err = errors.Join(err, copied.Close()); err != nil {
		return fmt.Errorf("cannot make a copy to edit: %w", err)
	}
	text, err := a.edited(ctx, at, file, copied.Name())
	if err == nil && string(text) != string(old) {
		err = a.takeOver(at, file, old, text)
	} else if err == nil {
		fmt.Fprintln(a.out, "nothing was changed")
	}
	if err != nil {
		a.Warn("what you wrote is in %s", copied.Name())
		return err
	}
	return os.Remove(copied.Name())
}

// edited is the copy once the editor is done with it, and it has no mistakes. At a
// terminal it may be edited again.
func (a *app) edited(ctx context.Context, at user.Dirs, file, copied string) ([]byte, error) {
	for {
		if err := a.editor(ctx, copied); err != nil {
			return nil, err
		}
		text, err := catalog.ReadProfile(copied)
		if err != nil {
			return nil, err
		}
		_, err = policy.Parse(file, text, catalog.Loader(at))
		if err == nil || !a.Terminal(a.in) {
			return text, err
		}
		launch.Report(a.Err, err)
		if !a.yes("edit it again?") {
			return nil, &launch.Error{Code: exitUsage, Err: errors.New("nothing was changed: the profile has mistakes")}
		}
	}
}

// editor runs the person's editor, which may be a program with words behind it, as git
// and crontab have it.
func (a *app) editor(ctx context.Context, file string) error {
	line := a.Getenv("VISUAL")
	if line == "" {
		line = a.Getenv("EDITOR")
	}
	for _, name := range []string{"sensible-editor", "nano", "vi"} {
		if _, err := exec.LookPath(name); line == "" && err == nil {
			line = name
		}
	}
	if line == "" {
		return usage("export EDITOR=vi", "cannot edit: there is no editor")
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line+` "$1"`, "mcpen", file)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = a.Env, a.in, a.out, a.Err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot edit: %s: %w", audit.Visible(line), err)
	}
	return nil
}

// takeOver writes the edited text, and reports the rights that it adds. It keeps
// another program's edit in between.
func (a *app) takeOver(at user.Dirs, file string, old, text []byte) error {
	now, err := catalog.ReadProfile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && string(now) != string(old) {
		return &launch.Error{Code: 1, Err: fmt.Errorf("nothing was changed: %s was written meanwhile", file)}
	}
	is, err := policy.Parse(file, text, catalog.Loader(at))
	if err != nil {
		return err
	}
	if was, err := policy.Parse(file, old, catalog.Loader(at)); err == nil {
		a.diffText(policy.Compare(was, is))
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write %q: %w", file, err)
	}
	if err := wholefile.Replace(file, text, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "wrote %s; it holds from the next start on\n", file)
	return nil
}
