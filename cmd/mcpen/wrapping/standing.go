package wrapping

import (
	"fmt"
	"path/filepath"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/wholefile"
)

// Standing is one file of a client.
type Standing struct {
	Client  string   `json:"client"`
	File    string   `json:"file"`
	Scope   string   `json:"scope"`
	Servers []Server `json:"servers"`
	Drift   []string `json:"drift"`
	Note    string   `json:"note,omitempty"`  // why nothing is written to it
	Error   string   `json:"error,omitempty"` // why it cannot be read
}

type Server struct {
	Server  string   `json:"server"`
	Project string   `json:"project,omitempty"`
	State   string   `json:"state"`
	Why     string   `json:"why,omitempty"`
	Command []string `json:"command,omitempty"`
	Options []string `json:"options,omitempty"` // of a wrapped server
}

// Standing is how it stands with one file.
func (t *Target) Standing(known map[string]clients.Seen, p clients.Place) Standing {
	s := Standing{Client: p.Client.Name, File: p.Path, Scope: string(p.Scope), Servers: []Server{}, Drift: []string{}}
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
		j := Server{Server: e.Server, Project: e.Scope, State: string(e.State), Why: e.Why, Command: audit.RedactArgs(e.Inner()), Options: e.Options()}
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

// Check is an error where a server is outside of a pen, or something changed.
func Check(all []Standing) error {
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
	return &launch.Error{Code: 1, Err: fmt.Errorf("%s outside of a pen, %s, %s unreadable", Plural(open, "server is", "servers are"), Plural(drift, "thing changed", "things changed"), Plural(broken, "file is", "files are")),
		Hint: "mcpen wrap, or mcpen clients --seen once you have looked"}
}
