package main

import (
	_ "embed"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/grammar"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/policy"
)

// The scripts ask "mcpen completion words" at each TAB. The library's own way is
// not used: it takes a magic last word, which a server's arguments may hold, and its
// script evaluates the line that is being typed.
var (
	//go:embed completion/mcpen.bash
	bashScript string
	//go:embed completion/mcpen.zsh
	zshScript string
	//go:embed completion/mcpen.fish
	fishScript string
)

func (a *app) completionCommand() *cli.Command {
	shell := func(name, script string) *cli.Command {
		return &cli.Command{Name: name, Usage: "print the script for " + name, Action: func(*cli.Context) error {
			_, err := io.WriteString(a.out, script)
			return err
		}}
	}
	return &cli.Command{
		Name: "completion", Usage: "print a script with which a shell completes commands, flags and profiles",
		Subcommands: []*cli.Command{
			shell("bash", bashScript), shell("zsh", zshScript), shell("fish", fishScript),
			{Name: "words", Hidden: true, Usage: "what may stand in the place of the last word", ArgsUsage: "-- WORD…", Action: func(c *cli.Context) error {
				names := a.names()
				for _, w := range grammar.Complete(c.App, values(names), names, c.Args().Slice()) {
					fmt.Fprintf(a.out, "%s\t%s\n", w.Text, w.Usage)
				}
				return nil
			}},
		},
	}
}

// names are the profiles that can be named, or none where nobody can tell.
func (a *app) names() []string {
	at, err := a.Dirs()
	if err != nil {
		return nil
	}
	return catalog.Names(at)
}

// values returns a function from a flag to its possible values. It returns none for a
// flag that takes any text.
func values(names []string) func(flag string) []string {
	return func(flag string) []string { return flagValues(flag, names) }
}

func flagValues(flag string, names []string) []string {
	switch flag {
	case "profile", "extends":
		return names
	case "client":
		return clients.Names()
	case "without":
		var out []string
		for _, l := range policy.DefaultLayers() {
			out = append(out, string(l))
		}
		return out
	case "format":
		return []string{"text", "json", "sarif"}
	case "level":
		return append(slices.Clone(advisory.Levels), "malicious")
	case "fail-on":
		return []string{"red", "amber"}
	case "call":
		return []string{"read-only", "all", "none"}
	}
	return nil
}
