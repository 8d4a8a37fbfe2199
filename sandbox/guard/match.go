package guard

import (
	"strings"
	"sync"
)

// triggers maps a word to the phrases that can begin with it.
var triggers = sync.OnceValue(func() map[string][]int {
	t := map[string][]int{}
	for i, p := range phrases {
		for _, word := range strings.Fields(p.first) {
			t[word] = append(t[word], i)
		}
	}
	return t
})

// marked tries the rules that are known by a part of a word.
func marked(n folded, original string, add func(Finding)) {
	for _, m := range marks {
		if !containsAny(n.text, m.parts) || m.re.parts != nil && !containsAny(n.text, m.re.parts) {
			continue
		}
		for _, at := range m.re.get().FindAllStringIndex(n.text[:min(len(n.text), maxMarked)], 16) {
			if beside(m.and, n.text, at[0], at[1]) {
				add(Finding{Kind: m.kind, Severity: m.severity, Words: n.words(original, at[0], at[1]), Why: m.why})
				break
			}
		}
	}
}

// phrases tries the rules on a text, word by word.
func (s *scanner) phrases(n folded, original string, add func(Finding)) {
	done := make([]bool, len(phrases)) // found, or cannot be
	rules := triggers()
	tries := 0
	for i := 0; i < len(n.text); {
		end := i
		for end < len(n.text) && (n.text[end] >= 'a' && n.text[end] <= 'z' || n.text[end] == '\'' && end > i) {
			end++
		}
		if end == i {
			i++
			continue
		}
		if i == 0 || !wordByte(n.text[i-1]) {
			for _, rule := range rules[strings.TrimRight(n.text[i:end], "'")] {
				if done[rule] {
					continue
				}
				if tries++; tries > maxTries {
					add(Finding{Kind: FindEvasion, Severity: Hold, Words: n.words(original, 0, min(len(n.text), 80)), Why: "too many words of orders to look at all of them"})
					return
				}
				p := &phrases[rule]
				if p.need != nil && !containsAny(n.text, p.need) {
					done[rule] = true
					continue
				}
				if to := s.match(p, n.text, i); to > i {
					done[rule] = true
					add(Finding{Kind: p.kind, Severity: p.severity, Words: n.words(original, i, to), Why: p.why})
				}
			}
		}
		i = end
	}
}

// maxMarked bounds the text in which marks are looked for.
const maxMarked = 256 << 10

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

// match is the end of a phrase that begins at i, or -1.
func (s *scanner) match(p *phrase, text string, i int) int {
	m := p.re.get().FindStringSubmatchIndex(text[i:min(len(text), i+reach)])
	if m == nil {
		return -1
	}
	if p.tool && len(m) > 2 && m[2] >= 0 && s.ours(text[i+m[2]:i+m[3]]) || !beside(p.and, text, i, i+m[1]) {
		return -1
	}
	return i + m[1]
}

// ours reports whether a name is that of something of the server's own.
func (s *scanner) ours(name string) bool {
	ours := s.own[name] || s.raw != nil && s.speaksOf()[name]
	s.excepted = s.excepted || ours
	return ours
}

// beside reports whether all patterns match near a part of a text.
func beside(patterns []*pattern, text string, from, to int) bool {
	text = text[max(0, from-nearby):min(len(text), to+nearby)]
	for _, re := range patterns {
		if re.parts != nil && !containsAny(text, re.parts) {
			return false
		}
	}
	for _, re := range patterns {
		if !re.get().MatchString(text) {
			return false
		}
	}
	return true
}
