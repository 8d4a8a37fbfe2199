package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mistake is one thing that is wrong in a profile, or in what it was given.
type Mistake struct {
	Pos  Pos    // zero for something that no file says, such as --set
	Key  string // "network.allow[1]"; "" for a mistake of the file as a whole
	Text string // what is wrong, lower case, without a period
	Hint string // something to paste or to do; may be empty
}

// Error is file:line:col: key: text. The hint is not part of it: whoever prints
// the mistake prints the hint apart.
func (m Mistake) Error() string {
	var b strings.Builder
	if m.Pos.File != "" {
		b.WriteString(m.Pos.String())
		b.WriteString(": ")
	}
	if m.Key != "" {
		b.WriteString(m.Key)
		b.WriteString(": ")
	}
	b.WriteString(m.Text)
	return b.String()
}

// Mistakes are all that is wrong, sorted by position. As an error it prints one
// mistake a line.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].Error()
	}
	return strings.Join(lines, "\n")
}

// maxMistakes bounds what one call reports. A file with more is not a profile.
const maxMistakes = 200

// ledger collects mistakes.
type ledger struct {
	list Mistakes
	more int
}

func (l *ledger) add(at Pos, key, hint, format string, args ...any) {
	if len(l.list) == maxMistakes {
		l.more++
		return
	}
	l.list = append(l.list, Mistake{Pos: at, Key: key, Hint: plain(hint), Text: plain(fmt.Sprintf(format, args...))})
}

// plain replaces what does not print: a mistake may hold what a loader or a
// decoder quoted from a file that a stranger wrote, and ends up on a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// guess is didYouMean while somebody will still read it: a file with thousands
// of unknown words does not get thousands of guesses.
func (l *ledger) guess(s string, candidates []string) string {
	if len(l.list) >= maxMistakes {
		return ""
	}
	return didYouMean(s, candidates)
}

// fault adds what a value's parser found wrong.
func (l *ledger) fault(at Pos, key string, err error) {
	f, ok := err.(*fault)
	if !ok {
		f = &fault{text: err.Error()}
	}
	l.add(at, key, f.hint, "%s", f.text)
}

// err is nil, or all mistakes sorted by position.
func (l *ledger) err() error {
	if len(l.list) == 0 {
		return nil
	}
	slices.SortStableFunc(l.list, func(a, b Mistake) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Col, b.Pos.Col),
		)
	})
	if l.more > 0 {
		l.list = append(l.list, Mistake{Text: fmt.Sprintf("and %d more mistakes", l.more)})
		l.more = 0
	}
	return l.list
}

// fault is what the parser of one value found wrong with it. It has no
// position: whoever called the parser knows that.
type fault struct{ text, hint string }

func (f *fault) Error() string { return f.text }

func faultf(hint, format string, args ...any) error {
	return &fault{text: fmt.Sprintf(format, args...), hint: hint}
}

// quote is %q, cut short: a mistake quotes enough to recognise a value by.
func quote(s string) string {
	const most = 80
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}

// nearest returns the candidate that a person may have meant by s, or "".
func nearest(s string, candidates []string) string {
	if len(s) > 40 {
		return ""
	}
	best, least := "", 1+len(s)/3
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), c); d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// DidYouMean is the hint for a word that is none of the candidates, or "" where
// none is near.
func DidYouMean(s string, candidates []string) string { return didYouMean(s, candidates) }

// didYouMean is the hint for a misspelt word, or "".
func didYouMean(s string, candidates []string) string {
	if c := nearest(s, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return ""
}

// distance is the Levenshtein distance of two short strings, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
