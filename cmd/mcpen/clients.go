package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/grid"
	"mcpen/cmd/mcpen/wrapping"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
)

func (a *app) clientsCommand() *cli.Command {
	return &cli.Command{
		Name: "clients", Usage: "list the servers of your clients, which are in a pen, and what changed since", ArgsUsage: "[PATH…]",
		Description: "What changed is told since the last wrap, unwrap or clients --seen. With --check the exit\ncode is 1 where a server runs outside of a pen, where anything changed, and where a file\ncannot be read: for CI, with the PATH of a repository.",
		Flags: wrapFlags(
			&cli.BoolFlag{Name: "check", Usage: "the exit code says whether all is well"},
			&cli.BoolFlag{Name: "seen", Usage: "take everything as it is now: changes are told from here on"},
		),
		Action: func(c *cli.Context) error { return a.listClients(c) },
	}
}

func (a *app) listClients(c *cli.Context) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	t, err := a.files(c, at)
	if err != nil {
		return err
	}
	known, err := clients.Remembered(at.State)
	if err != nil {
		return err
	}
	all := []wrapping.Standing{}
	for _, p := range t.Places {
		all = append(all, t.Standing(known, p))
	}
	if c.Bool("seen") {
		if err := clients.Remember(at.State, t.Places); err != nil {
			return err
		}
	}
	if t.JSON {
		if err := wrapping.WriteJSON(a.out, all); err != nil {
			return err
		}
	} else {
		a.showClients(at, all)
	}
	if !c.Bool("check") {
		return nil
	}
	return wrapping.Check(all)
}

// states are the table's words for each state.
var states = map[clients.State]string{
	clients.Open: "no pen", clients.Wrapped: "in a pen", clients.Own: "in a pen", clients.Remote: "remote", clients.Disabled: "off",
	clients.Asks: "asks", clients.Foreign: "elsewhere", clients.Odd: "odd",
}

func (a *app) showClients(at user.Dirs, all []wrapping.Standing) {
	g := grid.Grid{Rows: [][]string{{"CLIENT", "SERVER", "STATE", "COMMAND", "FILE"}}, Give: []grid.Give{{Column: 3, Least: 16}, {Column: 4, Least: 16}, {Column: 1, Least: 12}, {Column: 3, Least: 8}}, Middle: 3}
	for _, s := range all {
		for _, j := range s.Servers {
			what := strings.Join(j.Command, " ")
			if j.Why != "" && j.State != string(clients.Own) {
				what = j.Why
			}
			name := j.Server
			if j.Project != "" {
				name += " in " + at.Tilde(j.Project)
			}
			g.Rows = append(g.Rows, []string{s.Client, audit.Visible(name), states[clients.State(j.State)], audit.Visible(what), audit.Visible(at.Tilde(s.File))})
		}
	}
	if len(g.Rows) > 1 {
		g.Write(a.out, grid.Columns(a.out))
	} else {
		fmt.Fprintln(a.out, "no servers were found: no client that mcpen knows has any")
	}
	for _, s := range all {
		if s.Error != "" {
			launch.Say(a.Err, "error", audit.Visible(fmt.Sprintf("cannot read the servers of %s: %s: %s", s.Client, s.File, s.Error)))
		}
		if s.Note != "" && len(s.Servers) > 0 {
			fmt.Fprintf(a.Err, "mcpen: note: %s: %s\n", audit.Visible(s.File), audit.Visible(s.Note))
		}
		for _, d := range s.Drift {
			fmt.Fprintf(a.out, "changed: %s: %s\n", audit.Visible(at.Tilde(s.File)), audit.Visible(d))
		}
	}
}
