package guard

import (
	"mcpen/sandbox/policy"
)

// match reports whether a pattern matches a whole name: "*" any run of
// characters, "?" one. It takes time in the product of the lengths at most.
func match(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	i, j, star, from := 0, 0, -1, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// refusal is why a filter or a rule does not let something pass.
type refusal struct {
	rule string // file:line:col
	hint string // the line of a profile that would allow it
}

// filtered reports whether a filter hides a name.
func filtered(f policy.Filter, section, name string) (refusal, bool) {
	for _, g := range f.Deny {
		if match(g.Pattern, name) {
			return refusal{g.At.String(), "[" + section + "] without " + quote(g.Pattern) + " in deny"}, true
		}
	}
	if f.Nothing != (policy.Pos{}) {
		return refusal{f.Nothing.String(), "[" + section + "] with " + quote(name) + " in allow"}, true
	}
	if len(f.Allow) == 0 {
		return refusal{}, false
	}
	for _, g := range f.Allow {
		if match(g.Pattern, name) {
			return refusal{}, false
		}
	}
	return refusal{f.Allow[0].At.String(), "[" + section + "] with " + quote(name) + " in allow"}, true
}

// filterOf is the filter over the names of a kind, and its section in a profile.
func (g *Guard) filterOf(k Kind) (policy.Filter, string) {
	switch k {
	case KindTool:
		return g.cfg.Tools.Filter, "tools"
	case KindPrompt:
		return g.cfg.Tools.Prompts, "prompts"
	default:
		return g.cfg.Tools.Resources, "resources"
	}
}
