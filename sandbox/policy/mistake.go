package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mistake is one error in a profile, or in its parameters and options.
type Mistake struct {
	Pos  Pos    // zero for something outside of any file, such as --set
	Key  string // "network.allow[1]"; "" for a mistake of the file as a whole
	Text string // the error, lower case, without a period
	Hint string // something to paste or to do; may be empty
}

// Error is file:line:col: key: text, without the hint. The caller prints the hint on
// its own.
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

// Mistakes are all mistakes found, sorted by position. Error prints one a line.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].Error()
	}
	return strings.Join(lines, "\n")
}

// maxMistakes bounds the mistakes that one call reports. A file with more is not a
// profile.
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

// plain replaces unprintable characters. A mistake may quote a stranger's file, by way
// of a loader or a decoder, and ends up on a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// guess is didYouMean up to the bound on mistakes. A file with thousands of unknown
// words does not get thousands of guesses.
func (l *ledger) guess(s string, candidates []string) string {
	if len(l.list) >= maxMistakes {
		return ""
	}
	return didYouMean(s, candidates)
}

// fault adds the error of a value's parser.
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

// fault is the error of one value's parser. It has no position; the caller adds it.
type fault struct{ text, hint string }

func (f *fault) Error() string { return f.text }

func faultf(hint, format string, args ...any) error {
	return &fault{text: fmt.Sprintf(format, args...), hint: hint}
}

// quote is %q of a shortened string: enough to recognise a value by.
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

// nearest returns the candidate that a person may have meant by s; "" if none is near.
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

// DidYouMean is the hint for a word that is none of the candidates; "" if none is near.
func DidYouMean(s string, candidates []string) string { return didYouMean(s, candidates) }

// didYouMean is the hint for a misspelt word; "" if no candidate is near.
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
