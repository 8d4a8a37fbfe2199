package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
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
	known, err := remembered(at)
	if err != nil {
		return err
	}
	all := []standingJSON{}
	for _, p := range t.places {
		all = append(all, standing1(t, known, p))
	}
	if c.Bool("seen") {
		if err := remember(at, t.places); err != nil {
			return err
		}
	}
	if t.json {
		if err := writeJSON(a.out, all); err != nil {
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
func standing1(t *target, known map[string]clients.Seen, p clients.Place) standingJSON {
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
		if !t.wants(e.Server) {
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
	g := grid{rows: [][]string{{"CLIENT", "SERVER", "STATE", "COMMAND", "FILE"}}, give: []give{{3, 16}, {4, 16}, {1, 12}, {3, 8}}, middle: 3}
	for _, s := range all {
		for _, j := range s.Servers {
			what := strings.Join(j.Command, " ")
			if j.Why != "" && j.State != string(clients.Own) {
				what = j.Why
			}
			name := j.Server
			if j.Project != "" {
				name += " in " + tilde(at, j.Project)
			}
			g.rows = append(g.rows, []string{s.Client, audit.Visible(name), states[clients.State(j.State)], audit.Visible(what), audit.Visible(tilde(at, s.File))})
		}
	}
	if len(g.rows) > 1 {
		g.write(a.out, columns(a.out))
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
			fmt.Fprintf(a.out, "changed: %s: %s\n", audit.Visible(tilde(at, s.File)), audit.Visible(d))
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
	return &launch.Error{Code: 1, Err: fmt.Errorf("%s outside of a pen, %s, %s unreadable", plural(open, "server is", "servers are"), plural(drift, "thing changed", "things changed"), plural(broken, "file is", "files are")),
		Hint: "mcpen wrap, or mcpen clients --seen once you have looked"}
}

// rememberedFile keeps the former content of clients' files.
func rememberedFile(at user.Dirs) string { return filepath.Join(at.State, "clients.json") }

// remembered is the content of each file at wrap's or unwrap's last visit.
func remembered(at user.Dirs) (map[string]clients.Seen, error) {
	known := map[string]clients.Seen{}
	if at.State == "" {
		return known, nil
	}
	data, err := wholefile.Read(rememberedFile(at), clients.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what clients' files held: %w", err)
	}
	return known, nil
}

// remember keeps the present content of these files.
func remember(at user.Dirs, places []clients.Place) error {
	if at.State == "" {
		return errors.New("there is no HOME and no XDG_STATE_HOME")
	}
	known, err := remembered(at)
	if err != nil {
		return err
	}
	for _, p := range places {
		if entries, err := p.Servers(); err == nil {
			known[p.Path] = clients.Look(entries)
		}
	}
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return fmt.Errorf("internal error: cannot encode what clients' files hold: %w", err)
	}
	if err := os.MkdirAll(at.State, 0o700); err != nil {
		return err
	}
	return wholefile.Replace(rememberedFile(at), append(data, '\n'), 0o600)
}
