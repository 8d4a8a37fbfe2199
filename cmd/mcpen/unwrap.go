package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/wrapping"
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
	wanted := func(e clients.Entry) bool { return t.Wants(e.Server) }
	var touched []clients.Place
	n := 0
	for _, p := range t.Places {
		change, err := p.Unwrap(wanted, wrapping.HiddenLiteral) // nothing is fetched before a person has said yes
		if err != nil {
			t.Note(p, "", err)
			continue
		}
		if c.Bool("dry-run") {
			fmt.Fprint(a.out, change.Diff())
		}
		for _, l := range change.Left {
			t.Note(p, l.Key(), l.Err)
		}
		if len(change.Done) == 0 {
			continue
		}
		touched, n = append(touched, p), n+len(change.Done)
		if !t.JSON && !c.Bool("dry-run") {
			fmt.Fprintf(a.out, "%s: %s\n", audit.Visible(at.Tilde(p.Path)), audit.Visible(wrapping.Keys(change.Done)))
		}
	}
	if c.Bool("dry-run") {
		if n == 0 {
			fmt.Fprintln(a.Err, nothingToChange)
		}
		t.TellProblems(a.Err)
		return t.Err()
	}
	if n == 0 {
		return a.unwrapped(t, nil)
	}
	if !c.Bool("yes") {
		agreed, err := a.agreedTo(fmt.Sprintf("take %s out of %s?", wrapping.Plural(n, "server", "servers"), wrapping.Plural1(n, "its pen", "their pens")), "mcpen unwrap --yes")
		if err != nil || !agreed {
			return err
		}
	}
	return a.unwrapped(t, a.unwrapAll(t, touched, wanted))
}

// unwrapAll writes the files.
func (a *app) unwrapAll(t *wrapping.Target, places []clients.Place, wanted func(clients.Entry) bool) []unwrapJSON {
	var out []unwrapJSON
	t.Problems = slices.DeleteFunc(t.Problems, func(p wrapping.Problem) bool { return p.Server != "" }) // they are found again
	for _, p := range places {
		change, err := clients.Apply(p, func() (clients.Change, error) { return p.Unwrap(wanted, wrapping.KeptLiteral) })
		t.TellChange(p, change, err, a.Warn)
		if err != nil {
			continue
		}
		wrapping.DropBack(change, a.Warn)
		for _, e := range change.Done {
			out = append(out, unwrapJSON{p.Client.Name, p.Path, e.Scope, e.Server, audit.RedactArgs(e.Inner())})
		}
		if !t.JSON {
			fmt.Fprintf(a.out, "unwrapped %s in %s\n", audit.Visible(wrapping.Keys(change.Done)), audit.Visible(t.At.Tilde(p.Path)))
		}
	}
	if err := clients.Remember(t.At.State, t.Places); err != nil {
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
func (a *app) unwrapped(t *wrapping.Target, done []unwrapJSON) error {
	if t.JSON {
		out := struct {
			Unwrapped []unwrapJSON       `json:"unwrapped"`
			Problems  []wrapping.Problem `json:"problems"`
		}{append([]unwrapJSON{}, done...), append([]wrapping.Problem{}, t.Problems...)}
		if err := wrapping.WriteJSON(a.out, out); err != nil {
			return err
		}
		return t.Err()
	}
	if len(done) == 0 {
		fmt.Fprintln(a.out, "nothing was changed: no server is wrapped")
	}
	t.TellProblems(a.Err)
	return t.Err()
}
