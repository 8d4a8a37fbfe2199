package guard

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Hidden characters at the edges of a text are as hidden as those in its middle.
func TestHiddenAtEveryPlace(t *testing.T) {
	for r, name := range map[string]string{"\u202e": "[U+202E]", "\x1b": "[U+001B]", "\u200b": "[U+200B]", "\U000e0041": "[U+E0041]", "\u2066": "[U+2066]", "\x00": "[U+0000]", "\x7f": "[U+007F]", "\u009b": "[U+009B]"} {
		for _, c := range []struct{ text, shown, stripped string }{
			{r + "abc", name + "abc", "abc"}, {"abc" + r, "abc" + name, "abc"}, {"a" + r + "bc", "a" + name + "bc", "abc"}, {r, name, ""},
			{r + r + "é" + r, name + name + "é" + name, "é"}, {"日" + r, "日" + name, "日"},
		} {
			if r == "\x1b" || r == "\u009b" {
				c.stripped = strings.ReplaceAll(c.stripped, "abc", "") // the next characters may belong to the sequence: TestEscapeSequencesEnd
				if strings.HasSuffix(c.text, r) && c.text != r {
					c.stripped = ""
				}
			}
			if got, changed := showHidden(c.text, false); got != c.shown || !changed {
				t.Errorf("%q is shown as %q (%v), want %q", c.text, got, changed, c.shown)
			}
			if got, changed := showHidden(c.text, true); !changed || c.stripped != "" && r != "\x1b" && r != "\u009b" && got != c.stripped {
				t.Errorf("%q is stripped to %q (%v), want %q", c.text, got, changed, c.stripped)
			}
		}
	}
	for _, text := range []string{"", "abc", "日本", "a\tb\nc\r\n", "naïve"} {
		if got, changed := showHidden(text, true); got != text || changed {
			t.Errorf("%q becomes %q (%v)", text, got, changed)
		}
	}
}

// Escape sequences end where a terminal ends them: a byte more is a word of the
// text that is lost, a byte less is one that comes from nowhere.
func TestEscapeSequencesEnd(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "a": 0, "\x1b": 1, "\x1b[": 2, "\x1b[m": 3, "\x1b[mX": 3, "\x1b[31mX": 5, "\x1b[31": 4, "\x1b[?25hX": 6, "\x1b[1;2HX": 6, "\x1b[\x7f": 2, "\x1b[@X": 3, "\x1b[~X": 3, "\x1b[ qX": 4,
		"\u009b": 2, "\u009bm": 3, "\u009b31mX": 5, "\x1bcX": 2, "\x1b(BX": 3, "\x1b(": 2, "\x1b# 8X": 4, "\x1b0X": 2, "\x1b~X": 2, "\x1b\x7fX": 1, "\x1b\x1fX": 1,
		"\x1b]0;t\aX": 6, "\x1b]0;t\x1b\\X": 7, "\x1b]0;tX": 2, "\x1bPq\x1b\\X": 5, "\x1b^q\aX": 4, "\x1b_q\aX": 4, "\x1bXq\aX": 4, "\x1b]\aX": 3, "\x1b]q\x1b": 2,
	} {
		if got := escapeSequence(text); got != want {
			t.Errorf("%q: %d bytes, want %d", text, got, want)
		}
	}
	// A string without an end does not take the rest of the text with it.
	long := "\x1b]" + strings.Repeat("a", 5000) + "\a"
	if got := escapeSequence(long); got != 2 {
		t.Errorf("a string of 5000 bytes: %d", got)
	}
	if got := escapeSequence("\x1b]" + strings.Repeat("a", 4000) + "\a"); got != 4003 {
		t.Errorf("a string of 4000 bytes: %d", got)
	}
	for text, want := range map[string]string{"a\x1b[31mred\x1b[0m!": "ared!", "\x1b]0;title\arest": "rest", "x\x1b": "x", "\x1b[31m": ""} {
		if got, _ := showHidden(text, true); got != want {
			t.Errorf("%q is stripped to %q, want %q", text, got, want)
		}
	}
}

// A character without width in the middle of a word, and not at an end of it.
func TestWithinIsBetweenLetters(t *testing.T) {
	const z = "\u200b"
	for text, want := range map[string]bool{"a" + z + "b": true, "A" + z + "Z": true, z + "b": false, "a" + z: false, z: false, " " + z + "b": false, "a" + z + " ": false, "1" + z + "b": false, "é" + z + "b": false} {
		i := strings.Index(text, z)
		r, _ := utf8.DecodeRuneInString(z)
		if got := finding.Within(text, i, r); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, want := range map[string]int{"": 0, "a": 0, "\ufe0f": 1, "\ufe0fa": 1, "\ufe0f\ufe0f": 2, "\ufe0f\ufe0f\ufe0f": 2} {
		if got := finding.Selectors(text); got != want {
			t.Errorf("%q begins with %d selectors, want %d", text, got, want)
		}
	}
	if got := finding.Tags("a\U000e0020\U000e0041\U000e007e\U000e007f\U000e0001"); got != " A~" {
		t.Errorf("tags spell %q", got)
	}
	if got := finding.Around(strings.Repeat("é", 40), 41); !utf8.ValidString(got) || len(got) < 44 || len(got) > 52 {
		t.Errorf("around is %q", got)
	}
}

// Characters with an honest use stay, and only there.
func TestHonestHiddenCharacters(t *testing.T) {
	for text, want := range map[string]bool{
		"\r": true, "a\u00adb": true, "\u00adb": false, "a\u00ad": false, "1\u00adb": false, "a\u00ad1": false, "\ufeffa": true, "a\ufeff": false,
		"👩\u200d💻": true, "👩\u200d": false, "\u200d💻": false, "a\u200db": false, "ن\u200d": true, "\u200dن": true,
		"ن\u200cن": true, "ن\u200c": false, "\u200cن": false, "a\u200cb": false,
		"❤\ufe0f": true, "#\ufe0f": true, "*\ufe0f": true, "0\ufe0f": true, "9\ufe0f": true, "/\ufe0f": false, ":\ufe0f": false, "a\ufe0f": false, "\ufe0f": false, "❤\ufe0e": true, "a\ufe0e": false,
		"א\u200f": true, "\u200fא": true, "a\u200f": false, "\u200ea": false, "ن\u061c": true, "a\u061c": false, "\u200b": false, "\u202e": false,
		"©\ufe0f": true, "®\ufe0f": true, "‼\ufe0f": true, "⁉\ufe0f": true, "〰\ufe0f": true, "〽\ufe0f": true, "\U0001f000\ufe0f": true, "\u218f\ufe0f": false,
	} {
		at := strings.IndexFunc(text, func(r rune) bool { return definition.Hidden(r) && r != '\ufe0f' && r != '\ufe0e' })
		if at < 0 {
			at = max(strings.Index(text, "\ufe0f"), strings.Index(text, "\ufe0e"))
		}
		if at < 0 {
			at = strings.Index(text, "\r")
		}
		r, _ := utf8.DecodeRuneInString(text[at:])
		if got := finding.PlainHidden(text, at, r); got != want {
			t.Errorf("%+q: honest %v, want %v", text, got, want)
		}
	}
}

// Every look-alike is read as the letter that it looks like: one that is missing
// is a word that no rule finds.
func TestEveryLookAlike(t *testing.T) {
	pairs := "аa вb сc ԁd еe һh іi јj кk ӏl мm оo рp ԛq гr ѕs тt ѵv ԝw хx уy АA ВB СC ЕE ԌG НH ІI ЈJ КK МM ОO РP ЅS ТT ѴV ԜW ХX УY З3 б6 " +
		"αa εe ιi κk νv οo ρp τt υu χx γy ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX օo ոn սu հh ցg ıi ɑa ɡg ɩi ʟL ᴏo ᴜu ᴠv ᴡw ᴢz ſs ƚl ℓl ℎh ℯe ℊg ℴo KK ÅA ⅰi ⅼl ⅽc ⅾd ⅿm " +
		"！! ～~ ＡA 𝐀A 𝐙Z 𝐚a 𝐳z 𝚣z 𝟎0 𝟗9 𝟘0 𝟿9 ⒶA ⓏZ ⓐa ⓩz 🄰A 🅉Z"
	n := 0
	for pair := range strings.FieldsSeq(pairs) {
		from, size := utf8.DecodeRuneInString(pair)
		want, _ := utf8.DecodeRuneInString(pair[size:])
		if got := finding.Plain(from); got != want {
			t.Errorf("%c (%U) is read as %c, want %c", from, from, got, want)
		}
		n++
	}
	if rest := len(finding.LookAlikes()); rest > n {
		t.Errorf("%d of %d look-alikes are known here", n, rest)
	}
	for _, r := range []rune{'ä', '日', '\uff00', '\uff5f', 0x1d3ff, 0x1d6a4, 0x1d7cd, 0x1d800, '\u24b5', '\u24ea', 0x1f12f, 0x1f14a, 'a', 0x7f} {
		if got := finding.Plain(r); got != r {
			t.Errorf("%U is read as %c", r, got)
		}
	}
	for word, want := range map[string]bool{"ignоre": true, "ignore": false, "игнор": false, "Ωm": false, "аb": true, "bа": true, "": false, "オk": false, "նa": false, "օa": true} {
		if got := finding.Mixed(word); got != want {
			t.Errorf("%q mixes scripts: %v, want %v", word, got, want)
		}
	}
}

// If a member looks like one that clients read, some of them would read it and the
// guard would not assess it.
func TestLookAlikesOfEveryMember(t *testing.T) {
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for kind, name := range map[definition.Kind]string{definition.KindTool: "name", definition.KindPrompt: "name", definition.KindResource: "uri"} {
		members := append([]string{"description", "title", "inputSchema", "outputSchema", "annotations", "_meta", "arguments", "icons"}, name)
		if name != "name" {
			members = append(members, "name")
		}
		for _, member := range members {
			for _, alike := range []string{strings.ToUpper(member), strings.ToUpper(member[:1]) + member[1:], member + "\u200b", strings.Replace(member, "a", "а", 1), strings.Replace(member, "i", "I", 1)} {
				if alike == member {
					continue
				}
				j := g.newAssessor(kind, nil)
				var e entry
				j.definition([]byte(fmt.Sprintf(`{%q:"x",%q:"y"}`, name, alike)), &e)
				j.release()
				if e.broken == "" && !lookAlikeIsAnothers(alike, member) {
					t.Errorf("%s: %q passes beside %q", kind, alike, name)
				}
			}
		}
		j := g.newAssessor(kind, nil)
		var e entry
		j.definition([]byte(fmt.Sprintf(`{%q:"x","description":"y","other":1}`, name)), &e)
		j.release()
		if e.broken != "" {
			t.Errorf("%s: %s", kind, e.broken)
		}
	}
}

// lookAlikeIsAnothers: only the case of ASCII letters is folded by the decoders
// that clients use.
func lookAlikeIsAnothers(alike, member string) bool { return !strings.EqualFold(alike, member) }

// A request that is refused after its rule counted it gives the place back: with
// none left the client could not call the tool again in this run.
func TestRefusedRequestsFreeTheirPlace(t *testing.T) {
	g, err := New(Config{Tools: plan.Tools{Tools: policy.Tools{Pins: policy.PinOff, Rules: []policy.ToolRule{{Tool: "*", Concurrent: 2}}}}})
	if err != nil {
		t.Fatal(err)
	}
	call := func(id int) bool {
		return g.Client([]byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a"}}`, id))).Forward != nil
	}
	if !call(1) {
		t.Fatal("the first call is refused")
	}
	for range 5 {
		if call(1) {
			t.Fatal("an id is in use twice")
		}
	}
	if !call(2) {
		t.Error("the second call of two is refused: the refused ones hold its place")
	}
	if call(3) {
		t.Error("three calls are under way, of two")
	}
	g.Server([]byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`))
	if !call(3) {
		t.Error("an answered call holds its place")
	}
}
