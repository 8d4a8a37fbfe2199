package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/draft"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/server"
	"mcpen/sandbox/wholefile"
)

func (a *app) removeCommand() *cli.Command {
	return &cli.Command{
		Name: "remove", Usage: "remove the lock of a package; a profile that you changed stays", ArgsUsage: "NAME…",
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			if c.NArg() == 0 {
				return usage("mcpen profile list", "no package named")
			}
			files, err := a.LockFiles(at, c.Args().Slice())
			if err != nil {
				return err
			}
			for _, file := range files {
				if !wholefile.Exists(file) {
					return usage("mcpen outdated", "there is no lock %s", file)
				}
			}
			for _, file := range files {
				l, unread := locked.Read(file) // one that does not read is removed all the same
				if err := os.Remove(file); err != nil {
					return fmt.Errorf("cannot remove the lock: %w", err)
				}
				os.Remove(locked.StandingFile(at, file)) // it says nothing without its lock
				fmt.Fprintln(a.out, "removed", file)
				if unread == nil {
					if err := a.removeAdded(locked.Lock{Name: locked.NameOf(file), File: file, Lock: l}); err != nil {
						return err
					}
				}
				if err := catalog.PinsOf(at, strings.TrimSuffix(file, ".lock")).Forget(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// removeAdded removes the profile beside a lock if it is as add wrote it.
func (a *app) removeAdded(l locked.Lock) error {
	file := strings.TrimSuffix(l.File, ".lock") + ".toml"
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	has, err := draft.Package(text)
	ref, bad := pack.ParseRef(l.Lock.Package)
	if err != nil || bad != nil {
		return nil
	}
	ships, _ := profiles.For(server.Bare(ref))
	if !bytes.Equal(text, draft.Extending(l.Name, ships)) && (!server.SamePackage(has, ref) || !bytes.Equal(text, draft.Starting(l.Name, has))) {
		return nil
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("cannot remove the profile: %w", err)
	}
	fmt.Fprintln(a.out, "removed", file)
	return nil
}
