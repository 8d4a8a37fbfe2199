package wrapping

import (
	"fmt"
	"slices"
	"strings"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/grid"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
)

// Table shows every server that was found.
func (w *Run) Table() {
	room := grid.Columns(w.Out)
	g := grid.Grid{Rows: [][]string{{"CLIENT", "SERVER", "COMMAND", "PROFILE", "CAN"}}, Give: []grid.Give{{Column: 2, Least: 20}, {Column: 4, Least: 24}, {Column: 1, Least: 12}, {Column: 3, Least: 7}, {Column: 2, Least: 8}, {Column: 4, Least: 8}}, Middle: 2}
	for _, p := range w.All {
		can := p.can
		if p.needs != "" && p.kind == byLibrary {
			can = "needs: " + p.needs
		}
		command := p.entry.Inner()
		g.Rows = append(g.Rows, []string{clientTitle(p.place), audit.Visible(entryName(w.Target.At, p.entry)), audit.Visible(strings.Join(audit.RedactArgs(command), " ")), p.label(room == 0 || room >= 120), audit.Visible(can)})
	}
	if len(g.Rows) > 1 {
		g.Write(w.Out, room)
	}
	w.said()
}

// entryName is the name of a server in a table.
func entryName(at user.Dirs, e clients.Entry) string {
	if e.Scope != "" {
		return e.Server + " in " + at.Tilde(e.Scope)
	}
	return e.Server
}

// clientTitle is the name of a client's file in a table.
func clientTitle(p clients.Place) string {
	switch {
	case p.Pack != "":
		return p.Client.Name + " (" + p.Pack + ")"
	case p.Scope == clients.Project:
		return p.Client.Name + " (project)"
	case p.Scope == clients.Machine:
		return p.Client.Name + " (machine)"
	}
	return p.Client.Name
}

// said reports the things that do not fit into a table.
func (w *Run) said() {
	var refused []string
	for _, p := range w.All {
		if err := p.place.Refused(); err != nil && !slices.Contains(refused, p.place.Path) {
			refused = append(refused, p.place.Path)
			fmt.Fprintf(w.Caller.Err, "mcpen: note: %s is left as it is: %v\n", audit.Visible(p.place.Path), err)
		}
		if p.kind != "" && len(p.notes) > 0 {
			fmt.Fprintf(w.Caller.Err, "mcpen: note: %s: %s\n", audit.Visible(p.entry.Key()), audit.Visible(strings.Join(p.notes, "; ")))
		}
		if p.hint != "" && !w.chosen(p) {
			launch.Say(w.Caller.Err, "hint", audit.Visible(p.hint))
		}
	}
	for _, p := range w.Target.Places {
		if p.Scope == clients.Project && slices.ContainsFunc(w.All, func(o Proposal) bool { return o.place.Path == p.Path && w.chosen(o) }) {
			fmt.Fprintf(w.Caller.Err, "mcpen: note: %s is everybody's who works on the project: all of them will need mcpen\n", audit.Visible(p.Path))
		}
	}
	w.Target.TellProblems(w.Caller.Err)
}
