package policy

// Match reports whether a pattern matches a whole name: "*" matches any run of
// characters, "?" one. Its time is at most proportional to the product of the lengths.
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

// Hides reports whether the filter hides a name, and by which line. deny is the
// matching pattern of the deny list; if it is "", at is the line of the allow list.
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
