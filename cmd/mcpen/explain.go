package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/explain"
)

func (a *app) explainCommand(words []string) *cli.Command {
	return &cli.Command{
		Name:        "explain",
		Usage:       "say what would be enforced, and start nothing",
		ArgsUsage:   "SERVER [-- ARGS…] | -- COMMAND [ARGS…]",
		Description: "In words, or with --json the plan itself: the very data that the stages inside\nthe sandbox are told. Of a package that is not installed yet, \"absent\" names it: its own\nfiles and its program are not in the plan.",
		Flags: append(serverFlags(), &cli.BoolFlag{Name: "json", Usage: "print the plan, or the answer to --why"},
			&cli.StringFlag{Name: "why", Usage: "say of one `PATH`, HOST:PORT, tool or env:NAME whether it is allowed, by which line, and what would change it"}),
		Action: func(c *cli.Context) error {
			ch, err := choose(c, words)
			if err != nil {
				return err
			}
			ch.Look = true
			p, err := a.Prepare(c.Context, ch)
			if p.Found != "" {
				fmt.Fprintf(a.Err, "mcpen: %s\n", p.Found)
			}
			if err != nil {
				return err
			}
			defer p.Close()
			if p.Untrusted != nil {
				a.notYet(p.Untrusted)
			}
			absent := ""
			if p.Package.Name != "" && p.Tree == nil {
				absent = p.Package.String()
			}
			if c.IsSet("why") {
				return a.why(p, c.String("why"), absent, c.Bool("json"))
			}
			if c.Bool("json") {
				return explain.JSON(a.out, p.Plan, absent)
			}
			return explain.Text(a.out, p.Plan, p.Program, p.Policy.Description, absent)
		},
	}
}
