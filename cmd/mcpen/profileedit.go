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

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

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
