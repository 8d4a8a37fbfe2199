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
	changes, gone, err := d.differs(pins, time.Now())
	if err != nil {
		return err
	}
	r := reviewer{app: a}
	others := launch.Others(at.Config, at.State, f.Name)
	siblings, _ := d.tools()
	for _, c := range changes {
		r.show(f.Name, c, siblings, others)
	}
	for _, old := range gone {
		fmt.Fprintf(a.out, "\n%s: %s is gone\n", f.Name, title(old))
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

// differs lists a server's new or changed definitions, and those that are gone.
func (d described) differs(pins definition.Pins, now time.Time) (changes []definition.Change, gone []definition.Definition, err error) {
	known := map[string][]definition.Definition{}
	key := func(d definition.Definition) string { return string(d.Kind) + "\x00" + d.Name }
	for _, p := range pins.Definitions {
		if p.State == definition.Approved || p.State == definition.Seen {
			known[key(p)] = append(known[key(p)], p)
		}
	}
	said := map[string]bool{}
	for _, def := range d.definitions {
		n, err := definition.Define(def.kind, def.raw)
		if err != nil {
			return nil, nil, err
		}
		n = n.Seen(d.given, now)
		said[key(n)] = true
		n.State = definition.Waiting // until the update is over
		c := definition.Change{New: n}
		same := false
		for _, old := range known[key(n)] {
			same = same || n.Like(old, d.given, now)
			c.Old = old
		}
		if !same {
			changes = append(changes, c)
		}
	}
	for _, p := range pins.Definitions {
		if (p.State == definition.Approved || p.State == definition.Seen) && !said[key(p)] {
			gone = append(gone, p)
		}
	}
	return changes, gone, nil
}
