package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/audit"
)

func (a *app) unwrapCommand() *cli.Command {
	return &cli.Command{
		Name: "unwrap", Usage: "give the servers of your clients the commands back that they had", ArgsUsage: "[PATH…]",
		Description: "What stands behind -- becomes the command again, and the file has the bytes that it had\nbefore wrap, secrets that went into the keyring included. Locks and profiles stay.",
		Flags:       changeFlags(),
		Action:      func(c *cli.Context) error { return a.unwrap(c) },
	}
}

func (a *app) unwrap(c *cli.Context) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	t, err := a.files(c, at)
	if err != nil {
		return err
	}
	wanted := func(e clients.Entry) bool { return t.wants(e.Server) }
	var touched []clients.Place
	n := 0
	for _, p := range t.places {
		change, err := p.Unwrap(wanted, hiddenLiteral) // nothing is fetched before a person has said yes
		if err != nil {
			t.note(p, "", err)
			continue
		}
		if c.Bool("dry-run") {
			fmt.Fprint(a.out, change.Diff())
		}
		for _, l := range change.Left {
			t.note(p, l.Key(), l.Err)
		}
		if len(change.Done) == 0 {
			continue
		}
		touched, n = append(touched, p), n+len(change.Done)
		if !t.json && !c.Bool("dry-run") {
			fmt.Fprintf(a.out, "%s: %s\n", audit.Visible(tilde(at, p.Path)), audit.Visible(keys(change.Done)))
		}
	}
	if c.Bool("dry-run") {
		a.tellProblems(t)
		return t.err()
	}
	if n == 0 {
		return a.unwrapped(t, nil)
	}
	if !c.Bool("yes") {
		agreed, err := a.agreedTo(fmt.Sprintf("take %s out of %s?", plural(n, "server", "servers"), plural1(n, "its pen", "their pens")), "mcpen unwrap --yes")
		if err != nil || !agreed {
			return err
		}
	}
	return a.unwrapped(t, a.unwrapAll(t, touched, wanted))
}

// unwrapAll writes the files.
func (a *app) unwrapAll(t *target, places []clients.Place, wanted func(clients.Entry) bool) []unwrapJSON {
	var out []unwrapJSON
	t.problems = slices.DeleteFunc(t.problems, func(p problem) bool { return p.Server != "" }) // they are found again
	for _, p := range places {
		change, err := clients.Apply(p, func() (clients.Change, error) { return p.Unwrap(wanted, keptLiteral) })
		a.tellChange(t, p, change, err)
		if err != nil {
			continue
		}
		a.dropBack(change)
		for _, e := range change.Done {
			out = append(out, unwrapJSON{p.Client.Name, p.Path, e.Scope, e.Server, audit.RedactArgs(e.Inner())})
		}
		if !t.json {
			fmt.Fprintf(a.out, "unwrapped %s in %s\n", audit.Visible(keys(change.Done)), audit.Visible(tilde(t.at, p.Path)))
		}
	}
	if err := remember(t.at, t.places); err != nil {
		a.Warn("what is wrapped was not remembered: %v", err)
	}
	return out
}

type unwrapJSON struct {
	Client  string   `json:"client"`
	File    string   `json:"file"`
	Project string   `json:"project,omitempty"`
	Server  string   `json:"server"`
	Command []string `json:"command"`
}

// unwrapped is the end of unwrap.
func (a *app) unwrapped(t *target, done []unwrapJSON) error {
	if t.json {
		out := struct {
			Unwrapped []unwrapJSON `json:"unwrapped"`
			Problems  []problem    `json:"problems"`
		}{append([]unwrapJSON{}, done...), append([]problem{}, t.problems...)}
		if err := writeJSON(a.out, out); err != nil {
			return err
		}
		return t.err()
	}
	if len(done) == 0 {
		fmt.Fprintln(a.out, "nothing was changed: no server is wrapped")
	}
	a.tellProblems(t)
	return t.err()
}
