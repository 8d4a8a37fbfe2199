package finding

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

// A pattern compiles at the first text that needs it; an invalid one would end the
// process there.
func TestEveryPatternCompiles(t *testing.T) {
	all := []*pattern{comment, orders, harmless, hexRun, orderTag, chatToken, bracketTag, shout, styledAway, remoteImg}
	for _, p := range phrases() {
		all = append(append(all, p.re), p.and...)
		if p.not != nil {
			all = append(all, p.not)
		}
		if !p.re.start {
			t.Errorf("%s: is not anchored", p.re.text)
		}
	}
	for _, m := range marks() {
		all = append(append(all, m.re), m.and...)
	}
	for _, p := range all {
		if _, err := regexp.Compile(p.whole()); err != nil {
			t.Error(err)
		}
	}
	if len(all) < 60 {
		t.Errorf("%d patterns: some are not looked at", len(all))
	}
}

// A pattern is tried only on texts that contain its parts. A match without them would
// be a lost finding.
func TestPartsAreInEveryMatch(t *testing.T) {
	type gate struct {
		re   *pattern
		open func(text string) bool
	}
	gates := []gate{
		{hexRun, func(text string) bool {
			_, long := base64Runs(text)
			return long || strings.Contains(text, `\x`) || strings.Count(text, "%") >= 8
		}},
	}
	for _, p := range []*pattern{awayPattern, credentialPattern, pathsPattern} {
		gates = append(gates, gate{p, func(text string) bool { return containsAny(text, p.parts) }})
	}
	for _, p := range []*pattern{awayPattern, talkPattern, credentialPattern, toldPattern} {
		gates = append(gates, gate{p, func(text string) bool {
			l := look{Scanner: &Scanner{left: allow(len(text))}, folded: Fold(text)}
			return l.finds(p)
		}})
	}
	for _, m := range marks() {
		gates = append(gates, gate{m.re, func(text string) bool { return containsAny(text, m.parts) }})
	}
	for _, m := range markups {
		gates = append(gates, gate{m.re, func(text string) bool {
			lower := strings.ToLower(text)
			return containsAny(text, m.in) && (!ascii(text) || (m.lower == nil || containsAny(lower, m.lower)) && (m.opens == nil || opens(lower, m.opens)))
		}})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, g := range gates {
		tree, err := syntax.Parse(g.re.text, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		tree = tree.Simplify()
		matched := 0
		for range 9000 {
			var b strings.Builder
			write(&b, tree, random)
			match := g.re.get().FindString(b.String())
			if match == "" {
				continue
			}
			if matched++; !g.open(match) {
				t.Errorf("%.60s matches %q, which lacks the parts", g.re.text, match)
				break
			}
		}
		if matched < 100 {
			t.Errorf("%.60s: only %d of the texts made for it match it", g.re.text, matched)
		}
	}
}

// write writes a text that a pattern matches, except for its assertions.
func write(b *strings.Builder, re *syntax.Regexp, random *rand.Rand) {
	some := func(least, most int) {
		for range least + random.IntN(most-least+1) {
			write(b, re.Sub[0], random)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		text := string(re.Rune)
		if re.Flags&syntax.FoldCase != 0 && random.IntN(2) == 0 {
			text = strings.ToUpper(text)
		}
		b.WriteString(text)
	case syntax.OpCharClass:
		i := 2 * random.IntN(len(re.Rune)/2)
		b.WriteRune(re.Rune[i] + rune(random.IntN(min(int(re.Rune[i+1]-re.Rune[i])+1, 64))))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune(' ' + rune(random.IntN(90)))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			write(b, sub, random)
		}
	case syntax.OpAlternate:
		write(b, re.Sub[random.IntN(len(re.Sub))], random)
	case syntax.OpStar:
		some(0, 3)
	case syntax.OpPlus:
		some(1, 3)
	case syntax.OpQuest:
		some(0, 1)
	}
}

// The hand-written readers must find the same as the pattern and the general method.
func TestReadByHand(t *testing.T) {
	run := regexp.MustCompile(`[A-Za-z0-9+/_-]{32,}={0,2}`)
	random := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		b := make([]byte, random.IntN(200))
		for i := range b {
			b[i] = "aZ09+/_-=== \n"[min(random.IntN(13+40*random.IntN(2)), 12)%(1+random.IntN(13))]
		}
		if random.IntN(2) == 0 {
			b = append(append(b, strings.Repeat("Q", 25+random.IntN(30))...), strings.Repeat("=", random.IntN(4))...)
		}
		got, _ := base64Runs(string(b))
		if want := run.FindAllString(string(b), 16); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("%q: %q, want %q", b, got, want)
		}
		for i := range b {
			b[i] = byte(random.IntN(0x80))
		}
		if want := foldRunes(string(b), nil); foldASCII(string(b)) != want {
			t.Fatalf("%q: %q, want %q", b, foldASCII(string(b)), want)
		}
	}
	if runs, _ := base64Runs(strings.Repeat(strings.Repeat("Q", 40)+" ", 20)); len(runs) != 16 {
		t.Errorf("%d runs of 20, want the first 16", len(runs))
	}
}
