package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// writeProfile shows the lines that change, asks the person, and writes the file. It
// refuses where the file changed meanwhile.
func (a *app) writeProfile(file string, old, text []byte, c *cli.Context) error {
	fmt.Fprintln(a.out, file)
	for _, line := range policy.Changed(old, text) {
		fmt.Fprintln(a.out, audit.Visible(line))
	}
	if !c.Bool("yes") {
		if !a.Terminal(a.in) {
			again := []string{"mcpen", c.Command.Name, "--yes"}
			for _, f := range c.Command.Flags {
				name := f.Names()[0]
				if _, word := f.(*cli.StringFlag); word && c.String(name) != "" {
					again = append(again, "--"+name, c.String(name))
				}
				if name != "yes" && c.Bool(name) {
					again = append(again, "--"+name)
				}
			}
			return usage(audit.Command(append(again, c.Args().Slice()...)...), "nothing was changed: there is nobody to ask")
		}
		if !a.yes("write it?") {
			return &launch.Error{Code: 1, Err: errors.New("nothing was changed")}
		}
	}
	now, err := wholefile.Read(file, policy.MaxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && string(now) != string(old) || err != nil && len(old) > 0 && wholefile.Exists(file) {
		return usage(audit.Command(append([]string{"mcpen", c.Command.Name}, c.Args().Slice()...)...), "nothing was changed: %s was written meanwhile", file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write %q: %w", file, err)
	}
	if err := wholefile.Replace(file, text, 0o644); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "written; it holds from the next start on")
	return nil
}
