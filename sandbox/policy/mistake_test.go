package policy

import (
	"errors"
	"strings"
	"testing"
)

// A person reads the mistakes from the top of the first file down, and sees for each
// the position, the text and the remedy.
func TestMistakesAreInOrder(t *testing.T) {
	var l ledger
	at := func(file string, line, col int) Pos { return Pos{File: file, Line: line, Col: col} }
	l.add(at("b", 1, 1), "k5", "", "five")
	l.add(at("a", 2, 1), "k4", "", "four")
	l.add(at("a", 1, 9), "k3", "", "three")
	l.add(at("a", 1, 2), "k2", "hint\x1b", "two \x1b[31m%s", "\u202e")
	l.add(at("a", 1, 2), "", "", "again two")
	l.add(Pos{}, "--set x", "", "one")
	want := "--set x: one\na:1:2: k2: two \ufffd[31m\ufffd\na:1:2: again two\na:1:9: k3: three\na:2:1: k4: four\nb:1:1: k5: five"
	err := l.err()
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if m := err.(Mistakes)[1]; m.Hint != "hint\ufffd" {
		t.Errorf("the hint is %q", m.Hint)
	}
	if err := (&ledger{}).err(); err != nil {
		t.Errorf("no mistakes: %v", err)
	}
	l = ledger{}
	l.fault(Pos{}, "k", errors.New("plain"))
	l.fault(Pos{}, "l", faultf("do so", "100%%"))
	if err := l.err(); err.Error() != "k: plain\nl: 100%" || err.(Mistakes)[1].Hint != "do so" {
		t.Errorf("faults: %v", err)
	}
}

// A mistake quotes enough to recognise a value by, and never half a character.
func TestQuotesAreCutBetweenCharacters(t *testing.T) {
	for s, want := range map[string]string{
		"":                                     `""`,
		"a\"\n":                                `"a\"\n"`,
		strings.Repeat("a", 80):                `"` + strings.Repeat("a", 80) + `"`,
		strings.Repeat("a", 81):                `"` + strings.Repeat("a", 80) + `"…`,
		strings.Repeat("a", 79) + "ü":          `"` + strings.Repeat("a", 79) + `"…`,
		strings.Repeat("a", 78) + "ü":          `"` + strings.Repeat("a", 78) + `ü"`,
		strings.Repeat("a", 78) + "üb":         `"` + strings.Repeat("a", 78) + `ü"…`,
		strings.Repeat("\x80", 81):             `""…`,
		strings.Repeat("a", 77) + "\U0001F600": `"` + strings.Repeat("a", 77) + `"…`,
	} {
		if got := quote(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

// A guess differs from the written word in less than a third of it.
func TestGuessesAreNear(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"ab", "abc", 1}, {"abc", "xabc", 1}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"abc", "cba", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q are %d apart, want %d", c.a, c.b, got, c.want)
		}
	}
	for _, c := range []struct {
		s     string
		words []string
		want  string
	}{
		{"abcdef", []string{"abcxyz", "abcxyf", "abcdxf"}, `did you mean "abcdxf"?`}, {"abcdef", []string{"abcxyz"}, `did you mean "abcxyz"?`}, {"abcde", []string{"abxyz"}, ""}, {"ab", []string{"ax"}, `did you mean "ax"?`}, {"ab", []string{"xy"}, ""},
		{"abc", []string{"abd", "abe"}, `did you mean "abd"?`}, {"abc", nil, ""}, {strings.Repeat("a", 40), []string{strings.Repeat("a", 41)}, `did you mean "` + strings.Repeat("a", 41) + `"?`}, {strings.Repeat("a", 41), []string{strings.Repeat("a", 41)}, ""},
	} {
		if got := DidYouMean(c.s, c.words); got != c.want {
			t.Errorf("%q of %q: %s, want %s", c.s, c.words, got, c.want)
		}
	}
	full := ledger{list: make(Mistakes, maxMistakes)}
	if got := full.guess("alow", []string{"allow"}); got != "" {
		t.Errorf("nobody reads a guess beyond the bound: %s", got)
	}
	full.list = full.list[1:]
	if got := full.guess("alow", []string{"allow"}); got == "" {
		t.Error("the last mistake that is told has no guess")
	}
}
