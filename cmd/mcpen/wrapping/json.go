package wrapping

import (
	"encoding/json"
	"os"
	"slices"

	"mcpen/sandbox/audit"
)

// wrapJSON is wrap's output for a program.
type wrapJSON struct {
	Client  string   `json:"client"`
	File    string   `json:"file"`
	Scope   string   `json:"scope"`
	Project string   `json:"project,omitempty"` // of Claude Code's local servers
	Server  string   `json:"server"`
	State   string   `json:"state"`
	Why     string   `json:"why,omitempty"`
	Command []string `json:"command,omitempty"`
	Options []string `json:"options,omitempty"` // of a wrapped server
	Propose string   `json:"propose,omitempty"`
	Profile string   `json:"profile,omitempty"`
	Can     string   `json:"can,omitempty"`
	Words   []string `json:"words,omitempty"`
	Needs   string   `json:"needs,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Wrapped bool     `json:"wrapped"` // by this run
}

// JSON prints each server, its proposal, and whether this run carried it out.
func (w *Run) JSON() error {
	out := struct {
		Servers  []wrapJSON `json:"servers"`
		Problems []Problem  `json:"problems"`
	}{[]wrapJSON{}, []Problem{}}
	for _, p := range w.All {
		e := p.entry
		j := wrapJSON{Client: p.place.Client.Name, File: p.place.Path, Scope: string(p.place.Scope), Project: e.Scope, Server: e.Server,
			State: string(e.State), Why: e.Why, Command: audit.RedactArgs(e.Inner()), Options: e.Options(), Propose: p.kind, Profile: p.profile, Words: p.words, Needs: p.needs, Notes: p.notes}
		if p.kind != "" {
			j.Can = p.can
		}
		j.Wrapped = !p.inside && slices.ContainsFunc(w.done, func(o Proposal) bool { return o.place.Path == p.place.Path && o.entry.Key() == e.Key() })
		out.Servers = append(out.Servers, j)
	}
	out.Problems = append(out.Problems, w.Target.Problems...)
	if err := WriteJSON(w.Out, out); err != nil {
		return err
	}
	return w.Target.Err()
}

// WriteJSON prints a value as it is, without the escapes of HTML.
func WriteJSON(f *os.File, v any) error {
	enc := json.NewEncoder(f)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
