package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// levels are the severities of advisories, the mildest first. A malicious
// package is above all of them.
var levels = []string{"low", "moderate", "high", "critical"}

func (a *app) scanCommand() *cli.Command {
	return &cli.Command{
		Name: "scan", Usage: "hold locked packages against an OSV database, and what servers say against the guard", ArgsUsage: "[NAME…]",
		Description: "The database is a directory or zip in OSV's export format (--db), by default\nthe one kept in mcpen's state directory, or an OSV service (--api).\n\n" +
			"With --descriptions each server is started in its own sandbox, in both eras of\nthe protocol, and what it says of itself, its tools, prompts and resources is\nlooked through. " +
			"A finding of the severity \"hold\" counts as one of the level high.\nNAME may then be any profile. A server that cannot be asked makes the exit code 1\nwhere nothing else was found.\n\n" +
			"The JSON is an array of mcpen.scan/1: an advisory has package, version, id, severity\nand what follows from them; what a server says has server, kind, name, finding,\nseverity, words, path and why. SARIF is of version 2.1.0.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "db", Usage: "a `PATH` in OSV's export format"},
			&cli.StringFlag{Name: "api", Usage: "the `URL` of an OSV service"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text, json or sarif"},
			&cli.BoolFlag{Name: "json", Usage: "the same as --format json"},
			&cli.StringFlag{Name: "level", Value: "low", Usage: "the `LEVEL` from which findings count: " + strings.Join(levels, ", ") + ", malicious"},
			&cli.BoolFlag{Name: "descriptions", Usage: "start the servers, and look through what they say to models"},
			setFlag(),
		},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			level := c.String("level")
			if level != "malicious" && !slices.Contains(levels, level) {
				return usage("--level high", "%q is no level", level)
			}
			return a.scan(c, at, level)
		},
	}
}

// scan checks packages, and servers' texts on request, and writes one document.
func (a *app) scan(c *cli.Context, at user.Dirs, level string) error {
	docs := &document.Set{Format: c.String("format"), Version: release}
	if c.Bool("json") {
		if c.IsSet("format") && docs.Format != "json" {
			return usage("--json", "--json and --format %s are two formats", docs.Format)
		}
		docs.Format = "json"
	}
	if !slices.Contains([]string{"text", "json", "sarif"}, docs.Format) {
		return usage("--format json", "%q is no format", docs.Format)
	}
	params, err := parameters(c.StringSlice("set"))
	if err != nil {
		return err
	}
	if len(params) > 0 && (c.NArg() != 1 || !c.Bool("descriptions")) {
		return usage("mcpen scan --descriptions --set name=value NAME", "--set is for one server that is started")
	}
	counted, failed := 0, 0
	var bad undone
	err = a.scanPackages(c, at, level, docs, &counted, &bad)
	if err == nil && c.Bool("descriptions") {
		var held int
		held, failed, err = a.scanDescriptions(c.Context, at, c.Args().Slice(), params, level, docs)
		counted += held
	}
	if err != nil {
		return err
	}
	if err := docs.Write(a.out); err != nil {
		return err
	}
	switch {
	case counted > 0:
		return &launch.Error{Code: exitRefused, Err: fmt.Errorf("%s at or above %s", user.Count(counted, "finding"), level)}
	case failed > 0:
		return fmt.Errorf("%s could not be asked", user.Count(failed, "server"))
	case bad.count > 0:
		return fmt.Errorf("the scan is not whole: %s could not be read", user.Count(bad.count, "lock or record"))
	}
	return nil
}

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
			if counts(f, level) {
				*counted++
			}
		}
		if err := writeFindings(docs.Add("advisories/"+l.Name), docs.Format, at, l, found[i]); err != nil {
			return err
		}
	}
	return nil
}

// toldWithdrawn first names the locked versions that the registry withdrew. If it
// cannot ask the registry, the last answer counts: a scan works without a network.
func (a *app) toldWithdrawn(ctx context.Context, at user.Dirs, all []locked.Lock, text bool) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for _, l := range all {
		words := ""
		in, err := a.InstallerFor(ctx, at, l)
		if err == nil {
			_, words, err = a.Latest(ctx, in, at, l)
		}
		if s := locked.ReadStanding(at, l.File); err != nil && words == "" && s.Version == l.Lock.Version {
			words = s.Withdrawn
		}
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
		return nil, usage("mcpen scan --db PATH", "cannot read the advisories: %v", err)
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

// counts reports whether a finding is at or above a level. One whose severity
// nobody rated counts at every level but "malicious".
func counts(f advisory.Finding, level string) bool {
	if f.Malicious {
		return true
	}
	if level == "malicious" {
		return false
	}
	have := slices.Index(levels, strings.ToLower(f.Severity))
	return have < 0 || have >= slices.Index(levels, level)
}
