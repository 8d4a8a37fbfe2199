package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// scanPackages looks locked packages up. Without a database and with other work
// to do it says that it did not.
func (a *app) scanPackages(c *cli.Context, at user.Dirs, level string, docs *document.Set, counted *int, bad *undone) error {
	names := c.Args().Slice()
	if c.Bool("descriptions") {
		var err error
		if names, err = a.withLock(at, names); err != nil || len(names) == 0 && c.NArg() > 0 {
			return err
		}
		if c.String("db") == "" && c.String("api") == "" && !wholefile.Exists(locked.Advisories(at)) {
			a.Warn("no advisories were looked up: there is no database at %s", locked.Advisories(at))
			return nil
		}
	}
	all, err := a.locks(at, names, bad)
	if err != nil || len(all) == 0 {
		return err
	}
	a.toldWithdrawn(c.Context, at, all, docs.Format == "text")
	found, err := a.findings(c, at, all, bad)
	if err != nil {
		return err
	}
	for i, l := range all {
		for _, f := range found[i] {
			if f.Counts(level) {
				*counted++
			}
		}
		if err := writeFindings(docs.Add("advisories/"+l.Name), docs.Format, at, l, found[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeFindings(w io.Writer, format string, at user.Dirs, l locked.Lock, found []advisory.Finding) error {
	switch format {
	case "json":
		return advisory.WriteJSON(w, found)
	case "sarif":
		text, err := os.ReadFile(l.File)
		if err != nil {
			return err
		}
		return advisory.WriteSARIF(w, found, advisory.FileURI(l.File, at.Cwd), text, release)
	}
	return advisory.WriteText(w, found)
}

// toldWithdrawn first names the locked versions that the registry withdrew. If it
// cannot ask the registry, the last answer counts: a scan works without a network.
func (a *app) toldWithdrawn(ctx context.Context, at user.Dirs, all []locked.Lock, text bool) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for _, l := range all {
		words := a.Withdrawn(ctx, at, l)
		switch {
		case words == "":
		case text:
			a.alarm("%s: %s %s was %s", l.Name, l.Lock.Package, l.Lock.Version, words)
		default: // a document is nothing but that
			a.Warn("%s: %s %s was %s", l.Name, l.Lock.Package, l.Lock.Version, audit.Visible(words))
		}
	}
}

// findings holds locks against a database, which is read once, or asks a service.
func (a *app) findings(c *cli.Context, at user.Dirs, all []locked.Lock, bad *undone) ([][]advisory.Finding, error) {
	if api := c.String("api"); api != "" {
		var out [][]advisory.Finding
		for _, l := range all {
			found, err := advisory.Service{URL: api, Client: &http.Client{Timeout: 2 * time.Minute}}.Find(c.Context, l.Lock)
			if err != nil {
				return nil, err
			}
			out = append(out, found)
		}
		return out, nil
	}
	db := c.String("db")
	if db == "" {
		db = locked.Advisories(at)
	}
	if _, err := os.Stat(db); err != nil {
		ref, bad := all[0].Lock.Ref()
		if bad != nil {
			return nil, bad
		}
		return nil, usage("curl -fLo osv.zip "+advisory.Export(ref.Ecosystem)+" && mcpen scan --db osv.zip", "cannot read the advisories: %v", err)
	}
	var locks []pack.Lock
	for _, l := range all {
		locks = append(locks, l.Lock)
	}
	found, unread, err := advisory.Find(db, locks)
	for _, record := range unread.First {
		bad.note(a, "advisories", record)
	}
	if more := unread.Count - len(unread.First); more > 0 {
		bad.note(a, "advisories", fmt.Errorf("%s more could not be used", user.Count(more, "record")))
	}
	return found, err
}
