package finding

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateRows = flag.Bool("update-rows", false, "find a sentence for each row that has none, and write testdata/rows.txt anew")

// row is one rule, from any table.
type row struct {
	kind     Kind
	severity Severity
	why      string
	re       *pattern
	more     []*pattern
	first    string
	matches  func(text string) bool
}

func (r row) same(o row) bool { return r.kind == o.kind && r.severity == o.severity && r.why == o.why }

func (r row) String() string {
	return fmt.Sprintf("%s %d %s (%.60s)", r.kind, r.severity, r.why, r.re.text)
}

// rows are the rules of all tables.
func rows() []row {
	var out []row
	for _, p := range phrases() {
		out = append(out, row{p.kind, p.severity, p.why, p.re, p.and, p.first, func(text string) bool {
			l := look{Scanner: &Scanner{left: allow(len(text))}, folded: Fold(text)}
			firsts := strings.Fields(p.first)
			if !l.possible(&p) {
				return false
			}
			for i, word := range beginnings(l.folded.Text) {
				word, _, _ = strings.Cut(word, "'")
				whole := func(w string) bool { w, _, _ = strings.Cut(w, "'"); return w == word }
				if slices.ContainsFunc(firsts, whole) && l.match(&p, i) > i {
					return true
				}
			}
			return false
		}})
	}
	for _, m := range marks() {
		out = append(out, row{m.kind, m.severity, m.why, m.re, m.and, "", func(text string) bool {
			folded := Fold(text).Text
			return containsAny(folded, m.parts) && m.re.get().MatchString(folded) && !slices.ContainsFunc(m.and, func(p *pattern) bool { return !p.get().MatchString(folded) })
		}})
	}
	for _, m := range markups {
		out = append(out, row{FindMarkup, Hold, m.why, m.re, nil, "", func(text string) bool { return m.re.get().MatchString(text) }})
	}
	return out
}

// A rule that finds nothing protects nobody. Each rule has a sentence that it finds and
// no other rule of its kind does, so that no row gets lost unnoticed.
func TestEveryRowFindsItsSentence(t *testing.T) {
	const file = "testdata/rows.txt"
	text, err := os.ReadFile(file)
	if err != nil && !*updateRows {
		t.Fatal(err)
	}
	all := rows()
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if *updateRows {
		lines = sentences(t, all, lines)
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(lines) < 75 {
		t.Errorf("only %d sentences", len(lines))
	}
	told := make([]bool, len(all))
	for n, line := range lines {
		kind, severity, why, sentence, err := parseRow(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n+1, err)
		}
		if !slices.ContainsFunc(ScanText(sentence), func(f Finding) bool { return f.Kind == kind && f.Severity == severity && f.Why == why }) {
			t.Errorf("%s:%d: nothing finds %q: %s, %s; found %+v", file, n+1, sentence, kind, why, ScanText(sentence))
		}
		for i, r := range all {
			told[i] = told[i] || r.kind == kind && r.severity == severity && r.why == why && r.matches(sentence)
		}
	}
	for i, r := range all {
		if !told[i] {
			t.Errorf("no sentence for %v: add one to %s, or run this test with -update-rows", r, file)
		}
	}
}

func parseRow(line string) (kind Kind, severity Severity, why, sentence string, err error) {
	f := strings.SplitN(line, "\t", 4)
	if len(f) != 4 {
		return "", 0, "", "", fmt.Errorf("%q is no row", line)
	}
	n, err := strconv.Atoi(f[1])
	if err != nil {
		return "", 0, "", "", err
	}
	sentence, err = strconv.Unquote(f[3])
	return Kind(f[0]), Severity(n), f[2], sentence, err
}

// sentences keeps the valid sentences, and finds one for each row without.
func sentences(t *testing.T, all []row, have []string) (out []string) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, r := range all {
		only := func(text string) bool {
			if !r.matches(text) || slices.ContainsFunc(all, func(o row) bool { return o.re != r.re && o.same(r) && o.matches(text) }) {
				return false
			}
			return slices.ContainsFunc(ScanText(text), func(f Finding) bool { return f.Kind == r.kind && f.Severity == r.severity && f.Why == r.why })
		}
		found := ""
		for _, line := range have {
			if kind, severity, why, sentence, err := parseRow(line); err == nil && (row{kind: kind, severity: severity, why: why}).same(r) && only(sentence) {
				found = sentence
			}
		}
		for n := 0; found == "" && n < 20000; n++ {
			if s := r.sentence(random); only(s) {
				found = s
			}
		}
		if found == "" {
			t.Errorf("no sentence was found for %v", r)
			continue
		}
		out = append(out, fmt.Sprintf("%s\t%d\t%s\t%q", r.kind, r.severity, r.why, found))
	}
	return out
}

// sentence is a text that the row's patterns might match.
func (r row) sentence(random *rand.Rand) string {
	var b strings.Builder
	words := strings.Fields(r.first)
	for i, p := range append([]*pattern{r.re}, r.more...) {
		tree, err := syntax.Parse(p.text, syntax.Perl)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			b.WriteByte(' ')
		} else if strings.HasPrefix(p.text, `\S+`) && len(words) > 0 {
			b.WriteString(words[random.IntN(len(words))])
			b.WriteString(strings.TrimPrefix(plainly(tree.Simplify(), random), "it"))
			continue
		}
		b.WriteString(plainly(tree.Simplify(), random))
	}
	return b.String()
}

// plainly is the output of write with a word in the place of \S+.
func plainly(re *syntax.Regexp, random *rand.Rand) string {
	var b strings.Builder
	put(&b, re, random)
	return b.String()
}

func put(b *strings.Builder, re *syntax.Regexp, random *rand.Rand) {
	switch re.Op {
	case syntax.OpPlus, syntax.OpStar:
		if c := re.Sub[0]; c.Op == syntax.OpCharClass && len(c.Rune) > 4 {
			b.WriteString("it")
			return
		}
		put(b, re.Sub[0], random)
	case syntax.OpQuest:
		if random.IntN(2) == 0 {
			put(b, re.Sub[0], random)
		}
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			put(b, sub, random)
		}
	case syntax.OpAlternate:
		put(b, re.Sub[random.IntN(len(re.Sub))], random)
	default:
		write(b, re, random)
	}
}
