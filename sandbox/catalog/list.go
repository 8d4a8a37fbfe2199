package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// Listed is a profile in a list.
type Listed struct {
	Name        string        `json:"name"`
	Package     string        `json:"package,omitempty"` // "" for a command, or for a profile made to be extended
	Description string        `json:"description,omitempty"`
	File        string        `json:"file"`
	Ships       bool          `json:"ships"`
	Starts      bool          `json:"starts"` // whether it can be run
	Params      []ListedParam `json:"params"`
	Mistakes    []string      `json:"mistakes,omitempty"`
}

// ListedParam is a profile's parameter.
type ListedParam struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Description string   `json:"description,omitempty"`
	Required    bool     `json:"required"`
	Many        bool     `json:"many,omitempty"`
	Default     []string `json:"default,omitempty"`
	Choices     []string `json:"choices,omitempty"`
	Env         string   `json:"env,omitempty"`
}

// List returns the profiles that have each of the words.
func List(at user.Dirs, words []string) ([]Listed, error) {
	out := []Listed{}
	for _, name := range Names(at) {
		file, data, err := Loader(at)(name, "")
		if err != nil {
			return nil, fmt.Errorf("cannot read the profile %q: %w", name, err)
		}
		l := Listed{Name: name, File: file, Ships: profiles.Ships(file), Params: []ListedParam{}}
		p, err := policy.Parse(file, data, Loader(at))
		if mistakes := (policy.Mistakes)(nil); errors.As(err, &mistakes) {
			for _, m := range mistakes {
				l.Mistakes = append(l.Mistakes, m.Error())
			}
		} else {
			l.take(p)
		}
		if l.has(words) {
			out = append(out, l)
		}
	}
	return out, nil
}

// take takes over a profile's description of itself.
func (l *Listed) take(p *policy.Profile) {
	l.Package, l.Description = p.Package(), p.Description
	l.Starts = l.Package != "" || slices.ContainsFunc(p.Said(), func(s policy.Said) bool { return s.Key == "server.command" })
	for _, q := range p.Params {
		l.Params = append(l.Params, ListedParam{Name: q.Name, Type: string(q.Type), Description: q.Description, Required: !q.Optional,
			Many: q.Many, Default: q.Default, Choices: q.Choices, Env: q.Env})
	}
}

func (l Listed) has(words []string) bool {
	text := strings.ToLower(l.Name + "\n" + l.Package + "\n" + l.Description)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) })
}

// Program names the program that a profile starts.
func (l Listed) Program() string {
	switch {
	case l.Package != "":
		return l.Package
	case l.Starts:
		return "a command"
	case len(l.Mistakes) > 0:
		return "?"
	}
	return "to extend"
}
