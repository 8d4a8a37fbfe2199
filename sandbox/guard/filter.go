package guard

import (
	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/policy"
)

// refusal is why a filter or a rule does not let something pass.
type refusal struct {
	rule string // file:line:col
	hint string // the line of a profile that would allow it
}

// filtered reports whether a filter hides a name.
func filtered(f policy.Filter, section, name string) (refusal, bool) {
	at, deny, hidden := f.Hides(name)
	switch {
	case !hidden:
		return refusal{}, false
	case deny != "":
		return refusal{at.String(), "[" + section + "] without " + audit.Quote(deny) + " in deny"}, true
	}
	return refusal{at.String(), "[" + section + "] with " + audit.Quote(name) + " in allow"}, true
}

// filterOf is the filter over the names of a kind, and its section in a profile.
func (g *Guard) filterOf(k definition.Kind) (policy.Filter, string) {
	switch k {
	case definition.KindTool:
		return g.cfg.Tools.Filter, "tools"
	case definition.KindPrompt:
		return g.cfg.Tools.Prompts, "prompts"
	default:
		return g.cfg.Tools.Resources, "resources"
	}
}
