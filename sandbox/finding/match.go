package finding

import (
	"iter"
	"strings"
	"sync"
)

// triggers maps a word to the phrases that can begin with it.
var triggers = sync.OnceValue(func() map[string][]int {
	t := map[string][]int{}
	for i, p := range phrases() {
		for word := range strings.FieldsSeq(p.first) {
			t[word] = append(t[word], i)
		}
	}
	return t
})

// look applies the rules to one text.
type look struct {
	*Scanner
	folded
	original string
	known    []known // results of patterns tried before
}

// marked tries the rules that a part of a word triggers.
func (l *look) marked(add func(Finding)) {
	text := l.folded.Text
	for _, m := range marks() {
		if !containsAny(text, m.parts) || m.re.parts != nil && !containsAny(text, m.re.parts) {
			continue
		}
		if !l.left.spend(len(text)) {
			return
		}
		for _, at := range m.re.get().FindAllStringIndex(text, 16) {
			if l.beside(m.and, at[0], at[1]) {
				add(Finding{Kind: m.kind, Severity: m.severity, Words: l.folded.words(l.original, at[0], at[1]), Why: m.why})
				break
			}
		}
	}
}

// phrases tries the phrases on a text, word by word.
func (l *look) phrases(add func(Finding)) {
	const possible, done = 1, 2 // done: found, or impossible
	all, rules := phrases(), triggers()
	state := make([]byte, len(all))
	for i, word := range beginnings(l.folded.Text) {
		for _, rule := range rules[word] {
			p := &all[rule]
			if state[rule] == 0 {
				state[rule] = possible
				if !l.possible(p) {
					state[rule] = done
				}
			}
			if state[rule] == done {
				continue
			}
			if to := l.match(p, i); to > i {
				state[rule] = done
				add(Finding{Kind: p.kind, Severity: p.severity, Words: l.folded.words(l.original, i, to), Why: p.why})
			}
			if l.left < 0 {
				return
			}
		}
	}
}

// beginnings yields the words of a folded text with their offsets.
func beginnings(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for i := 0; i < len(text); {
			end := i
			for end < len(text) && (text[end] >= 'a' && text[end] <= 'z' || text[end] == '\'' && end > i) {
				end++
			}
			if end == i {
				i++
				continue
			}
			if (i == 0 || !wordByte(text[i-1])) && !yield(i, strings.TrimRight(text[i:end], "'")) {
				return
			}
			i = end
		}
	}
}

// possible reports whether the text has everything that a phrase needs.
func (l *look) possible(p *phrase) bool {
	if p.need != nil && !containsAny(l.folded.Text, p.need) {
		return false
	}
	for _, re := range p.and {
		if !l.somewhere(re) {
			return false
		}
	}
	return true
}

// somewhere reports whether a pattern matches anywhere in the text.
func (l *look) somewhere(re *pattern) bool {
	for _, k := range l.known {
		if k.re == re {
			return k.has
		}
	}
	has := (re.parts == nil || containsAny(l.folded.Text, re.parts)) && l.finds(re)
	l.known = append(l.known, known{re, has})
	return has
}

// known is the result of a pattern in a text.
type known struct {
	re  *pattern
	has bool
}

// finds tries a pattern on the text. If the pattern's first words are known, it tries
// only at those. If the effort is used up, the answer is yes.
func (l *look) finds(re *pattern) bool {
	text := l.folded.Text
	if re.first == "" || strings.Contains(text, re.odd) {
		return !l.left.spend(len(text)) || re.get().MatchString(text)
	}
	const wide = 160
	from, first := re.begins()
	for i, word := range beginnings(text) {
		word, _, _ = strings.Cut(word, "'")
		if !first[word] {
			continue
		}
		if !l.left.spend(wide/2) || from.MatchString(text[i:min(len(text), i+wide)]) {
			return true
		}
	}
	return false
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}

func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// match returns the end of a phrase that begins at i, or -1.
func (l *look) match(p *phrase, i int) int {
	part := l.folded.Text[i:min(len(l.folded.Text), i+reach)]
	if !l.left.spend(len(part)) {
		return -1
	}
	m := p.re.get().FindStringSubmatchIndex(part)
	if m == nil {
		return -1
	}
	if p.not != nil && p.not.get().MatchString(part[:m[1]]) {
		return -1
	}
	if p.tool && len(m) > 2 && m[2] >= 0 && l.ours(part[m[2]:m[3]]) || !l.beside(p.and, i, i+m[1]) {
		return -1
	}
	return i + m[1]
}

// ours reports whether a name belongs to the server itself.
func (s *Scanner) ours(name string) bool {
	ours := s.own[name] || s.raw != nil && s.speaksOf()[name]
	s.excepted = s.excepted || ours
	return ours
}

// beside reports whether all patterns match near a part of the text.
func (l *look) beside(patterns []*pattern, from, to int) bool {
	part := l.folded.Text[max(0, from-nearby):min(len(l.folded.Text), to+nearby)]
	for _, re := range patterns {
		if re.parts != nil && !containsAny(part, re.parts) {
			return false
		}
	}
	for _, re := range patterns {
		if !l.left.spend(len(part)) || !re.get().MatchString(part) {
			return false
		}
	}
	return true
}
