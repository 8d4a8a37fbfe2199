package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/grid"
	"mcpen/cmd/mcpen/wrapping"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
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

// standingJSON is one file of a client.
type standingJSON struct {
	Client  string       `json:"client"`
	File    string       `json:"file"`
	Scope   string       `json:"scope"`
	Servers []serverJSON `json:"servers"`
	Drift   []string     `json:"drift"`
	Note    string       `json:"note,omitempty"`  // why nothing is written to it
	Error   string       `json:"error,omitempty"` // why it cannot be read
}

type serverJSON struct {
	Server  string   `json:"server"`
	Project string   `json:"project,omitempty"`
	State   string   `json:"state"`
	Why     string   `json:"why,omitempty"`
	Command []string `json:"command,omitempty"`
	Options []string `json:"options,omitempty"` // of a wrapped server
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
	all := []standingJSON{}
	for _, p := range t.Places {
		all = append(all, standing1(t, known, p))
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
	return checked(all)
}

// standing1 is how it stands with one file.
func standing1(t *wrapping.Target, known map[string]clients.Seen, p clients.Place) standingJSON {
	s := standingJSON{Client: p.Client.Name, File: p.Path, Scope: string(p.Scope), Servers: []serverJSON{}, Drift: []string{}}
	if err := p.Refused(); err != nil {
		s.Note = err.Error()
	}
	entries, err := p.Servers()
	if err != nil {
		s.Error = err.Error()
		return s
	}
	for _, e := range entries {
		if !t.Wants(e.Server) {
			continue
		}
		j := serverJSON{Server: e.Server, Project: e.Scope, State: string(e.State), Why: e.Why, Command: audit.RedactArgs(e.Inner()), Options: e.Options()}
		if start := e.Starter(); filepath.IsAbs(start) && !wholefile.Exists(start) {
			j.Why = start + " is not there: the server does not start"
			s.Drift = append(s.Drift, e.Key()+": "+j.Why)
		}
		s.Servers = append(s.Servers, j)
	}
	if was, ok := known[p.Path]; ok {
		s.Drift = append(s.Drift, was.Drift(clients.Look(entries))...)
	}
	return s
}

// states are the table's words for each state.
var states = map[clients.State]string{
	clients.Open: "no pen", clients.Wrapped: "in a pen", clients.Own: "in a pen", clients.Remote: "remote", clients.Disabled: "off",
	clients.Asks: "asks", clients.Foreign: "elsewhere", clients.Odd: "odd",
}

func (a *app) showClients(at user.Dirs, all []standingJSON) {
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

// checked is an error where a server is outside of a pen, or something changed.
func checked(all []standingJSON) error {
	open, drift, broken := 0, 0, 0
	for _, s := range all {
		drift += len(s.Drift)
		if s.Error != "" {
			broken++
		}
		for _, j := range s.Servers {
			if st := clients.State(j.State); st == clients.Open || st == clients.Asks {
				open++
			}
		}
	}
	if open+drift+broken == 0 {
		return nil
	}
	return &launch.Error{Code: 1, Err: fmt.Errorf("%s outside of a pen, %s, %s unreadable", wrapping.Plural(open, "server is", "servers are"), wrapping.Plural(drift, "thing changed", "things changed"), wrapping.Plural(broken, "file is", "files are")),
		Hint: "mcpen wrap, or mcpen clients --seen once you have looked"}
}
