package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/wrapping"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// addToClients adds a package, where that is not done yet, and writes it into clients'
// files: in its pen, with the command behind "--" that would start it without, so that
// unwrap takes it out of the pen as well.
func (a *app) addToClients(ctx context.Context, text, name string, names, sets []string) error {
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return usage("mcpen add --client NAME --set name=value "+text, "--set needs --client: it is written into a client's file")
	}
	var places []clients.Place
	for _, n := range names {
		p, err := clients.Home(a.roots(at), n)
		if err != nil {
			return usage("mcpen add --client "+nearest(n, clients.Names())+" "+text, "%v", err)
		}
		places = append(places, p)
	}
	mcpen, err := a.self()
	if err != nil {
		return err
	}
	params, err := parameters(sets)
	if err != nil {
		return err
	}
	ref, called, _, err := a.adder().Asked(at, text, name)
	if err != nil {
		return err
	}
	lock := filepath.Join(at.Config, "profiles", called+".lock")
	if !wholefile.Exists(lock) {
		if _, err := a.adder().Add(ctx, text, name); err != nil {
			return err
		}
	}
	command, err := a.penned(at, ref, called, params, sets)
	if err != nil {
		return err
	}
	return a.writeServers(at, places, called, append([]string{mcpen}, command...))
}

// penned is the command that starts a package in its pen.
func (a *app) penned(at user.Dirs, ref pack.Ref, name string, params map[string][]string, sets []string) ([]string, error) {
	bareRef := ref
	bareRef.Version, bareRef.Tag, bareRef.Bin = "", "", ""
	runner := []string{"npx", "-y", bareRef.Name}
	if ref.Ecosystem == pack.PyPI {
		runner = []string{"uvx", bareRef.Name}
	}
	ch := server.Words{Command: runner, Params: params, Look: true}
	words := []string{"run"}
	if name != a.Name(at, ref) {
		ch.Profile = name
		words = append(words, "--profile", name)
	}
	for _, s := range sets {
		words = append(words, "--set", s)
	}
	found, err := a.Choose(at, ch)
	if err != nil {
		return nil, err
	}
	if _, err := a.ResolveAnywhere(found, at); err != nil {
		return nil, err
	}
	return append(append(words, "--"), runner...), nil
}

// writeServers writes one server into files.
func (a *app) writeServers(at user.Dirs, places []clients.Place, name string, command []string) error {
	t := &wrapping.Target{At: at, Places: places}
	for _, p := range places {
		change, err := clients.Add(p, name, command)
		if err != nil {
			t.Note(p, name, err)
			continue
		}
		fmt.Fprintf(a.out, "added %s to %s\n", audit.Visible(name), audit.Visible(at.Tilde(p.Path)))
		if running := slices.Concat(change.Open, p.Client.Running()); len(running) > 0 {
			a.Warn("%s runs: it reads its file when it starts again: %s", p.Client.Title, audit.Visible(clients.List(running)))
		}
	}
	if err := clients.Remember(at.State, places); err != nil {
		a.Warn("what is wrapped was not remembered: %v", err)
	}
	t.TellProblems(a.Err)
	return t.Err()
}
