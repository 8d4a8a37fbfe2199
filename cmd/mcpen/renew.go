package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/review"
	"mcpen/sandbox/user"
)

// renew asks the newly locked version of a package for its definitions and shows the
// differences from the known ones. The new definitions take the place of those that
// were seen first: the update is their review. Changes of approved or rejected
// definitions wait for mcpen review. Definitions that renew cannot ask for are held
// when they first appear.
func (a *app) renew(ctx context.Context, at user.Dirs, l locked.Lock) error {
	f := catalog.PinsOf(at, strings.TrimSuffix(l.File, ".lock"))
	pins, err := f.Read()
	if err != nil || len(pins.Definitions) == 0 {
		return err // it never ran
	}
	name := l.Name
	if strings.Contains(l.File, "/") {
		name = l.File
	}
	d, err := a.interviewNamed(ctx, at, name, nil)
	if err != nil {
		a.Warn("%s cannot be asked what it says now (%v): what it says otherwise than before waits for mcpen review %s", l.Name, err, l.Name)
		return nil
	}
	changes, gone, err := d.Differs(pins, time.Now())
	if err != nil {
		return err
	}
	others := launch.Others(at.Config, at.State, f.Name)
	siblings, _ := d.Tools()
	for _, c := range changes {
		review.Show(a.out, f.Name, c, siblings, others)
	}
	for _, old := range gone {
		fmt.Fprintf(a.out, "\n%s: %s is gone\n", f.Name, review.Title(old))
	}
	if len(changes) == 0 {
		return nil
	}
	err = f.Change(func(p definition.Pins) definition.Pins {
		for _, c := range changes {
			p = p.Renew(c.New)
		}
		return p
	})
	if err == nil {
		fmt.Fprintf(a.out, "%s: %s in use from now on, but for what changes a decision of yours: mcpen review %s\n", f.Name, user.Count(len(changes), "definition"), f.Name)
	}
	a.tellRunning(at, f.Name)
	return err
}
