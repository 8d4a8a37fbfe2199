package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/grammar"
)

// helpCommand is "mcpen help log" for "mcpen log --help".
func (a *app) helpCommand() *cli.Command {
	return &cli.Command{Name: "help", Aliases: []string{"h"}, Usage: "show the commands, or what one of them does", ArgsUsage: "[COMMAND…]", Action: func(c *cli.Context) error {
		words := c.Args().Slice()
		if parent, n := grammar.Command(c.App.Commands, words); n < len(words) {
			commands := c.App.Commands
			if parent != nil {
				commands = parent.Subcommands
			}
			return grammar.NoCommand(strings.Join(append([]string{"mcpen"}, words[:n]...), " "), words[n], commands)
		}
		args := slices.Concat([]string{"mcpen"}, words, []string{"--help"})
		return a.cli([]string{"mcpen", "help"}).RunContext(c.Context, args)
	}}
}
