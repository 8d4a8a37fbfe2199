package finding

import (
	"slices"
	"strings"
	"unicode"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
)

// shape reduces a name to its appearance at a glance: look-alike letters are equal,
// case and separators do not count.
func shape(name string) string {
	var b strings.Builder
	for _, r := range name {
		r = Plain(r)
		switch r {
		case '_', '-', '.', '/', ' ':
			continue
		case '0':
			r = 'o'
		case '1', 'I', '|':
			r = 'l'
		}
		if !definition.Hidden(r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.NewReplacer("rn", "m", "vv", "w").Replace(b.String())
}

// shadows reports a tool whose name equals or resembles that of another server's tool:
// a client that identifies tools by name alone may call the wrong one.
func (s *Scanner) shadows(found []Finding, name string) []Finding {
	add := func(severity Severity, other, why string) {
		found = append(found, Finding{Kind: FindName, Severity: severity, Words: name, Path: "name",
			Why: why + " " + audit.Quote(other) + " of server " + audit.Quote(s.others[other])})
	}
	if _, same := s.others[name]; same {
		add(Note, name, "the same name as")
		return found
	}
	mine := shape(name)
	if other, ok := s.shapes[mine]; ok {
		severity := Note
		if !ascii(name) || !strings.EqualFold(name, other) && letters(name) != letters(other) {
			severity = Hold
		}
		add(severity, other, "a name that looks like")
		return found
	}
	for _, shaped := range s.sorted {
		if !s.left.spend(len(shaped)) {
			return found
		}
		if len(mine) >= 8 && len(shaped) >= 8 && near(mine, shaped) {
			add(Note, s.shapes[shaped], "a name one letter from")
			return found
		}
	}
	return found
}

// mentions reports a text that mentions another server's tool. It ignores names that
// are single words, since they occur in ordinary text.
func (s *Scanner) mentions(text string, add func(Finding)) {
	if len(s.others) == 0 {
		return
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./", r)
	}) {
		word = strings.Trim(word, "-./")
		server, ok := s.others[word]
		if ok && strings.IndexFunc(word[1:], func(r rune) bool { return !unicode.IsLower(r) }) >= 0 && !s.ours(word) {
			add(Finding{Kind: FindOtherTool, Severity: Hold, Words: word, Why: "it speaks of a tool of server " + audit.Quote(server)})
			return
		}
	}
}

// letters is a name in lower case without its separators.
func letters(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", "/", "", " ", "").Replace(name))
}

// near reports whether one edit (a letter inserted, deleted or replaced, or two
// swapped) turns a into b.
func near(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	if len(x) < len(y) {
		return string(x[i:]) == string(y[i+1:])
	}
	if i == len(x) {
		return true
	}
	if string(x[i+1:]) == string(y[i+1:]) {
		return true
	}
	return i+1 < len(x) && x[i] == y[i+1] && x[i+1] == y[i] && string(x[i+2:]) == string(y[i+2:])
}

// SortedKeys returns the keys of a map in ascending order.
func SortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
