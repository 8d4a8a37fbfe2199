package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/user"
)

func (a *app) scanCommand() *cli.Command {
	return &cli.Command{
		Name: "scan", Usage: "hold locked packages against an OSV database, and what servers say against the guard", ArgsUsage: "[NAME…]",
		Description: "The database is a directory or zip in OSV's export format (--db), by default\nthe one kept in mcpen's state directory, or an OSV service (--api). mcpen\nfetches none by itself. OSV publishes one a registry, such as\n" + advisory.Export(pack.NPM) + ".\n\n" +
			"With --descriptions each server is started in its own sandbox, in both eras of\nthe protocol, and what it says of itself, its tools, prompts and resources is\nlooked through. " +
			"A finding of the severity \"hold\" counts as one of the level high.\nNAME may then be any profile. A server that cannot be asked makes the exit code 1\nwhere nothing else was found.\n\n" +
			"The JSON is an array of mcpen.scan/1: an advisory has package, version, id, severity\nand what follows from them; what a server says has server, kind, name, finding,\nseverity, words, path and why. SARIF is of version 2.1.0.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "db", Usage: "a `PATH` in OSV's export format"},
			&cli.StringFlag{Name: "api", Usage: "the `URL` of an OSV service"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "text, json or sarif"},
			&cli.BoolFlag{Name: "json", Usage: "the same as --format json"},
			&cli.StringFlag{Name: "level", Value: "low", Usage: "the `LEVEL` from which findings count: " + strings.Join(advisory.Levels, ", ") + ", malicious"},
			&cli.BoolFlag{Name: "descriptions", Usage: "start the servers, and look through what they say to models"},
			setFlag(),
		},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			level := c.String("level")
			if level != "malicious" && !slices.Contains(advisory.Levels, level) {
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
	case docs.Format == "text" && docs.Len() > 0:
		fmt.Fprintf(a.Err, "mcpen: note: nothing at or above %s was found\n", level)
	}
	return nil
}
