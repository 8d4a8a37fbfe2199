package server

import (
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Again returns the words of an earlier start, from its event, with the workspace and the
// parameters of that start, for commands that only look. The log does not hold the rest
// of that command line (--pass, --without, arguments).
func (c *Caller) Again(at user.Dirs, start audit.Event) Words {
	w := Words{Look: true, Params: map[string][]string{}}
	for name, values := range start.Given {
		if (policy.Given{Name: name}).Declared() {
			w.Params[name] = values
		} else if name == "workspace" && len(values) == 1 {
			w.Workspace = values[0]
		}
	}
	n, err := c.Named(at, start.Server)
	switch ref, locked := packageIn(n.Lock); {
	case filepath.IsAbs(start.Profile) && wholefile.Exists(start.Profile):
		w.Profile = start.Profile
	case err == nil && n.Profile != "":
		w.Profile = n.Profile
	case err == nil && locked:
		w.Profile = ref
	default:
		w.Command = []string{start.Subject}
	}
	if strings.HasPrefix(w.Profile, filepath.Join(at.Config, "profiles")+"/") && n.Profile != "" {
		w.Profile = n.Profile // by its name, as a person calls it
	}
	if p, err := catalog.Profile(at, w.Profile); w.Profile != "" && !isRef(w.Profile) && err == nil && p.Package() == "" && len(trust.SaidWords(p, "server.command")) == 0 {
		w.Command = []string{start.Subject}
	}
	return w
}
