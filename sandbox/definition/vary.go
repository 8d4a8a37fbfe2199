package definition

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// Honest servers put text into their definitions that differs between two starts: the
// folder they work in, a parameter, the date, a count of items. Such a definition
// counts as unchanged if each differing place holds a value that mcpen gave the server
// then and one that it gives now, the date then and now, or a count of items in a
// description. Everything else, a space included, is a change.

// Varying compares definitions with those seen before.
type Varying struct {
	given []policy.Given // to this run
	now   time.Time
	left  int // bytes left to compare
}

// Bounds on the bytes compared on a page, and on the ways to align two texts.
const (
	maxCompared = 4 << 20
	maxWays     = 4096
)

// NewVarying makes a Varying for one page, or one definition.
func NewVarying(given []policy.Given, now time.Time) *Varying {
	return &Varying{given: given, now: now, left: maxCompared}
}

// Like reports whether a definition equals an old one except for the parts that may
// vary. given are the values that mcpen gives the server now.
func (d Definition) Like(old Definition, given []policy.Given, now time.Time) bool {
	form, err := d.Canonical()
	v := NewVarying(given, now)
	return err == nil && (d.SHA256 == old.SHA256 || v.Same(old, form))
}

// Seen returns the definition with the time it was seen, and the given values that it
// contains.
func (d Definition) Seen(given []policy.Given, now time.Time) Definition {
	form, err := d.Canonical()
	if err != nil {
		return d
	}
	return Sighted(Key{d.Kind, d.Name}, Seen, d.SHA256, form, given, now)
}

// Sighted makes a readable definition that was seen at the given time.
func Sighted(n Key, state State, hash string, form []byte, given []policy.Given, at time.Time) Definition {
	d := newDefinition(n.Kind, n.Name, hash, form)
	d.State, d.At, d.Given = state, at.UTC().Format(time.RFC3339), held(form, given)
	return d
}

// span is a part of a text that may differ another time.
type span struct {
	to   int
	what string // only a span of the same sort can replace it
}

// Same reports whether the form equals an old definition except for the parts that may
// vary.
func (v *Varying) Same(old Definition, form []byte) bool {
	before, err := old.Canonical()
	if v.left -= len(before) + len(form); err != nil || v.left < 0 {
		return false
	}
	if old.Kind == KindIdentity {
		before, form = Without(before, "version"), Without(form, "version")
	}
	if bytes.Equal(before, form) {
		return true
	}
	a, b := spans{}, spans{}
	then, _ := time.Parse(time.RFC3339, old.At)
	x, y := differing(before, form)
	a.moments(before, x, then)
	b.moments(form, y, v.now)
	a.counts(old.Kind, before, x)
	b.counts(old.Kind, form, y)
	was := map[string][]string{}
	for line := range strings.Lines(string(old.Given)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		was[name] = append(was[name], value)
	}
	for _, g := range v.given {
		if then := was[g.Name]; then != nil && !slices.Equal(then, g.Values) {
			a.values(before, g.Name, then)
			b.values(form, g.Name, g.Values)
		}
	}
	return a.alike(before, b, form)
}

// part is a part of a text, from one byte to another.
type part struct{ from, to int }

// differing returns the parts in which two texts differ, with some words around them.
func differing(a, b []byte) (x, y part) {
	const around = 256
	head, tail := 0, 0
	for most := min(len(a), len(b)); head < most && a[head] == b[head]; {
		head++
	}
	for most := min(len(a), len(b)) - head; tail < most && a[len(a)-1-tail] == b[len(b)-1-tail]; {
		tail++
	}
	head, tail = max(0, head-around), max(0, tail-around)
	return part{head, len(a) - tail}, part{head, len(b) - tail}
}

// spans are the spans of a text, by their start.
type spans map[int][]span

func (s spans) add(from, to int, what string) {
	if new := (span{to, what}); !slices.Contains(s[from], new) {
		s[from] = append(s[from], new)
	}
}

// values adds the places at which a text contains values given to the server.
func (s spans) values(text []byte, name string, values []string) {
	for _, v := range values {
		for _, form := range writings(v) {
			for at := 0; ; {
				i := bytes.Index(text[at:], []byte(form))
				if i < 0 || len(s) > maxWays {
					break
				}
				s.add(at+i, at+i+len(form), "given "+name)
				at += i + 1
			}
		}
	}
}

// minGiven is the length of the shortest value to search for, in bytes.
const minGiven = 2

// writings returns the forms in which canonical JSON may contain a value: the value
// itself, and the last element of a path.
func writings(value string) []string {
	if len(value) < minGiven {
		return nil
	}
	inner := func(text string) string {
		var out []byte
		for i := range len(text) {
			out = appendEscaped(out, text[i])
		}
		return string(out)
	}
	out := []string{inner(value)}
	if i := strings.LastIndexByte(value, '/'); i >= 0 && len(value)-i-1 >= minGiven {
		out = append(out, inner(value[i+1:]))
	}
	return out
}

// held lists the given values that a form contains, in the format of Definition.Given.
func held(form []byte, given []policy.Given) Text {
	var b strings.Builder
	for _, g := range given {
		for _, v := range g.Values {
			ways := writings(v)
			if strings.ContainsAny(v, "\n\r") || b.Len()+len(v) > maxGiven {
				continue
			}
			if slices.ContainsFunc(ways, func(w string) bool { return bytes.Contains(form, []byte(w)) }) {
				b.WriteString(g.Name + "=" + v + "\n")
			}
		}
	}
	return Text(strings.TrimSuffix(b.String(), "\n"))
}

// maxGiven bounds the length of Definition.Given, in bytes.
const maxGiven = 8 << 10

const (
	month   = `(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)`
	weekday = `(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)`
	clock   = `(?:[T ,]{1,2}(?:at )?\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?(?: ?[AP]M)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?)?`
)

// momentForms are the common formats of a date, with Go's layouts for them.
var momentForms = sync.OnceValue(func() []momentForm {
	form := func(day string, layouts ...string) momentForm {
		return momentForm{regexp.MustCompile(`\b(?:` + weekday + `,? )?(` + day + `)` + clock + `\b`), layouts}
	}
	return []momentForm{
		form(`\d{4}-\d\d-\d\d`, "2006-01-02"),
		form(`\d{4}/\d\d?/\d\d?`, "2006/1/2"),
		form(`\d\d?/\d\d?/\d{4}`, "1/2/2006", "2/1/2006"),
		form(`\d\d?\.\d\d?\.\d{4}`, "2.1.2006"),
		form(month+` \d\d?,? \d{4}`, "January 2, 2006", "Jan 2, 2006", "January 2 2006", "Jan 2 2006"),
		form(`\d\d? `+month+`,? \d{4}`, "2 January 2006", "2 Jan 2006", "2 January, 2006"),
		form(month+` \d{4}`, "January 2006", "Jan 2006"),
		form(`\d{4}-\d\d`, "2006-01"),
		form(`20\d\d`, "2006"),
		form(weekday, "Monday", "Mon"),
	}
})

type momentForm struct {
	re      *regexp.Regexp
	layouts []string
}

// moments adds the places at which a text contains today's date, or that of the day
// before or after: clocks run in many zones.
func (s spans) moments(form []byte, in part, now time.Time) {
	if now.IsZero() {
		return
	}
	text := form[in.from:in.to]
	for i, f := range momentForms() {
		for _, at := range f.re.FindAllSubmatchIndex(text, maxWays) {
			if f.today(string(text[at[2]:at[3]]), now) {
				s.add(in.from+at[0], in.from+at[1], "moment "+string(rune('a'+i)))
			}
		}
	}
}

// today reports whether a text is the date of now, or of the day before or after it.
func (f momentForm) today(day string, now time.Time) bool {
	for _, l := range f.layouts {
		same := day
		if t, err := time.Parse(l, day); err == nil && !t.IsZero() && t.Year() > 0 {
			same = t.Format(l) // as Go writes it: without leading zeros
		}
		for d := -1; d <= 1; d++ {
			if now.UTC().AddDate(0, 0, d).Format(l) == same {
				return true
			}
		}
	}
	return false
}

// countPattern finds a count of items: a number before a plural, or after a word for
// it. A bound, an amount, a size or a time is not a count.
var countPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[\s("\[]|\\n)(\d{1,3}(?:,\d{3})+|\d{1,7})(?: (?:[a-z]+ )?([a-z]{3,}s)\b)`)
})

var notCounted = sync.OnceValues(func() (before, what *regexp.Regexp) {
	return regexp.MustCompile(`(?i)\b(?:at (?:most|least)|up to|max(?:imum)?|min(?:imum)?|limit(?:ed)?|than|within|first|last|next|top|every|each|per|pays?|sends?|transfers?|charges?|costs?|for|after|exactly|only|by)\W*(?:\w+\W+)?$`),
		regexp.MustCompile(`(?i)^(?:dollars|euros|pounds|cents|coins|credits|bitcoins|sats|shares|percents|times|bytes|bits|seconds|minutes|hours|days|weeks|months|years|chars|characters|tokens|lines|words|pixels|metres|meters|miles|degrees|milliseconds|decimals|digits|retries|attempts|requests|copies|always|does|this|was|has|is)$`)
})

// counts adds the places at which a description counts items.
func (s spans) counts(kind Kind, form []byte, in part) {
	text := form
	if kind != KindInstructions {
		if text = rpc.Get(form, "description"); !rpc.IsString(text) {
			return
		}
	}
	from := rpc.Offset(form, text)
	if in = (part{max(in.from, from), min(in.to, from+len(text))}); in.from >= in.to {
		return
	}
	text, from = form[in.from:in.to], in.from
	before, what := notCounted()
	for _, at := range countPattern().FindAllSubmatchIndex(text, maxWays) {
		if !before.Match(text[max(0, at[2]-40):at[2]]) && !what.Match(text[at[4]:at[5]]) {
			s.add(from+at[2], from+at[3], "count")
		}
	}
}

// alike reports whether two texts align: they are equal outside of the spans, and a
// span may align with one of the same sort. Of a parameter with many values, one text
// may list more than the other.
func (s spans) alike(a []byte, other spans, b []byte) bool {
	type pair struct{ i, j int }
	seen := map[pair]bool{}
	todo := []pair{{}}
	push := func(p pair) {
		if !seen[p] {
			seen[p] = true
			todo = append(todo, p)
		}
	}
	for steps := 0; len(todo) > 0 && len(seen) < maxWays && steps < maxCompared; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for {
			for _, x := range s[p.i] {
				for _, y := range other[p.j] {
					if x.what != y.what {
						continue
					}
					push(pair{x.to, y.to})
					for _, to := range s.more(a, x) {
						push(pair{to, y.to})
					}
					for _, to := range other.more(b, y) {
						push(pair{x.to, to})
					}
				}
			}
			if p.i == len(a) || p.j == len(b) || a[p.i] != b[p.j] {
				break
			}
			p.i, p.j, steps = p.i+1, p.j+1, steps+1
		}
		if p.i == len(a) && p.j == len(b) {
			return true
		}
	}
	return false
}

// maxBetween is the longest text between two values of a list, in bytes.
const maxBetween = 8

// more returns the possible ends of a list of values that continues after a span.
func (s spans) more(text []byte, x span) []int {
	var out []int
	for at := x.to; len(out) < 256; {
		next := -1
		for i := at; i <= min(at+maxBetween, len(text)-1) && next < 0; i++ {
			for _, y := range s[i] {
				if y.what == x.what && strings.HasPrefix(x.what, "given ") {
					next = y.to
				}
			}
			if c := text[i] | 0x20; c >= 'a' && c <= 'z' && !(c == 'n' && text[max(0, i-1)] == '\\') {
				break
			}
		}
		if next < 0 {
			return out
		}
		out = append(out, next)
		at = next
	}
	return out
}
