package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/pack"
)

// levels are the severities of advisories, the mildest first. A malicious
// package is above all of them.
var levels = []string{"low", "moderate", "high", "critical"}

func (a *app) scanCommand() *cli.Command {
	return &cli.Command{
		Name: "scan", Usage: "hold locked packages against an OSV database", ArgsUsage: "[NAME…]",
		Description: "The database is a directory or zip in OSV's export format (--db), by default\nthe one kept in mcpen's state directory, or an OSV service (--api)." + exitStatus,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "db", Usage: "a `PATH` in OSV's export format"},
			&cli.StringFlag{Name: "api", Usage: "the `URL` of an OSV service"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text, json or sarif"},
			&cli.StringFlag{Name: "level", Value: "low", Usage: "the `LEVEL` from which findings count: " + strings.Join(levels, ", ") + ", malicious"},
		},
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			level := c.String("level")
			if level != "malicious" && !slices.Contains(levels, level) {
				return usage("--level high", "%q is no level", level)
			}
			all, err := a.locks(at, c.Args().Slice())
			if err != nil {
				return err
			}
			counted := 0
			for _, l := range all {
				found, err := a.findings(c, at, l.lock)
				if err != nil {
					return err
				}
				for _, f := range found {
					if counts(f, level) {
						counted++
					}
				}
				if err := a.writeFindings(c.String("format"), l, found); err != nil {
					return err
				}
			}
			if counted > 0 {
				return &codeError{code: exitRefused, err: fmt.Errorf("%s at or above %s", count(counted, "finding"), level)}
			}
			return nil
		},
	}
}

func (a *app) findings(c *cli.Context, at place, l pack.Lock) ([]pack.Finding, error) {
	if api := c.String("api"); api != "" {
		return pack.OSV{URL: api, Client: http.DefaultClient}.Find(c.Context, l)
	}
	db := c.String("db")
	if db == "" {
		db = advisories(at)
	}
	if _, err := os.Stat(db); err != nil {
		return nil, usage("mcpen scan --db PATH", "cannot read the advisories: %v", err)
	}
	return pack.FindAdvisories(db, l)
}

func (a *app) writeFindings(format string, l locked, found []pack.Finding) error {
	switch format {
	case "text":
		return pack.WriteText(a.out, found)
	case "json":
		return pack.WriteJSON(a.out, found)
	case "sarif":
		text, err := os.ReadFile(l.file)
		if err != nil {
			return err
		}
		return pack.WriteSARIF(a.out, found, l.file, text, release)
	}
	return usage("--format json", "%q is no format", format)
}

// counts reports whether a finding is at or above a level. One whose severity
// nobody rated counts at every level but "malicious".
func counts(f pack.Finding, level string) bool {
	if f.Malicious {
		return true
	}
	if level == "malicious" {
		return false
	}
	have := slices.Index(levels, strings.ToLower(f.Severity))
	return have < 0 || have >= slices.Index(levels, level)
}
