package policy

import "strings"

// What may stand before the suffix of a wildcard, in labels and in characters. Whatever stands there
// reaches the owner of the suffix's name servers, so it is kept short.
const (
	WildcardLabels = 4
	WildcardExtra  = 100
)

// Names reports whether the rule names a name, which is lower case, without a
// trailing dot. long says that it would, were the name not too long for a wildcard.
func (h Host) Names(name string) (ok, long bool) {
	switch h.Kind {
	case HostName:
		return name != "" && h.Name == name, false
	case HostWildcard:
		if h.Name == "" {
			return false, false
		}
		extra, found := strings.CutSuffix(name, "."+h.Name)
		if !found || extra == "" {
			return false, false
		}
		fits := len(extra) <= WildcardExtra && strings.Count(extra, ".") < WildcardLabels
		return fits, !fits
	}
	return false, false
}

// Match reports whether a pattern matches a whole name: "*" any run of
// characters, "?" one. It takes time in the product of the lengths at most.
func Match(pattern, name string) bool {
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

// Hides reports whether the filter hides a name, and which line does: that of the
// pattern of deny, or of the list of what is allowed, where deny is "".
func (f Filter) Hides(name string) (at Pos, deny string, hidden bool) {
	for _, g := range f.Deny {
		if Match(g.Pattern, name) {
			return g.At, g.Pattern, true
		}
	}
	if f.Nothing != (Pos{}) {
		return f.Nothing, "", true
	}
	for _, g := range f.Allow {
		if Match(g.Pattern, name) {
			return Pos{}, "", false
		}
	}
	if len(f.Allow) == 0 {
		return Pos{}, "", false
	}
	return f.Allow[0].At, "", true
}
