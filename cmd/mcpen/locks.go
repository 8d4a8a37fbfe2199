package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/user"
)

// undone counts the locks that failed. The command continues after each.
type undone struct {
	count int
	first error
}

// note tells of one of them.
func (u *undone) note(a *app, name string, err error) {
	a.Warn("%s: %s", name, audit.Visible(err.Error()))
	var coded *launch.Error
	if errors.As(err, &coded) && coded.Hint != "" {
		fmt.Fprintf(a.Err, "mcpen: hint: %s\n", coded.Hint)
	}
	if u.count++; u.first == nil {
		u.first = err
	}
}

// err is the error of the whole command, with the code of the first; nil where
// everything was done.
func (u *undone) err(what string) error {
	if u.first == nil {
		return nil
	}
	code := 1
	var coded *launch.Error
	if errors.As(u.first, &coded) {
		code = coded.Code
	}
	return &launch.Error{Code: code, Err: fmt.Errorf("%s %s", user.Count(u.count, "lock"), what)}
}

// locks reads the locks that were named, or all. One that does not read is noted,
// and the others are looked at; a name that has none is a mistake.
func (a *app) locks(at user.Dirs, names []string, bad *undone) ([]locked.Lock, error) {
	var out []locked.Lock
	files, err := a.LockFiles(at, names)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		l, err := locked.Read(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("mcpen outdated", "there is no lock %s", file)
		}
		if err != nil {
			bad.note(a, locked.NameOf(file), err)
			continue
		}
		out = append(out, locked.Lock{Name: locked.NameOf(file), File: file, Lock: locked.ReadStanding(at, file).Complete(l)})
	}
	if len(files) == 0 {
		fmt.Fprintln(a.Err, "mcpen: note: no package is locked: mcpen add npm:NAME locks one")
	}
	return out, nil
}

// eachLock calls f for every named lock, with an installer for it. It continues after a
// failure.
func (a *app) eachLock(ctx context.Context, names []string, f func(*install.Installer, user.Dirs, locked.Lock) error) error {
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	var bad undone
	all, err := a.locks(at, names, &bad)
	if err != nil {
		return err
	}
	for _, l := range all {
		in, err := a.InstallerFor(ctx, at, l)
		if err == nil {
			err = f(in, at, l)
		}
		if ctx.Err() != nil {
			return locked.Explained(ctx, err)
		}
		if err != nil {
			bad.note(a, l.Name, locked.Explained(ctx, err))
		}
	}
	return bad.err("could not be looked at")
}

// alarm prints a line that comes before all others, in red at a terminal.
func (a *app) alarm(format string, args ...any) {
	a.line("! " + fmt.Sprintf(format, args...))
}

// line prints a line for a person; one that begins with a mark is red.
func (a *app) line(text string) {
	text = audit.Visible(text)
	if strings.HasPrefix(text, "! ") && a.Terminal(a.out) {
		text = "\x1b[1;31m" + text + "\x1b[0m"
	}
	fmt.Fprintln(a.out, text)
}
