package finding

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"mcpen/sandbox/definition"
)

// controls reports control characters in an ASCII text.
func controls(text string, add func(Finding)) {
	for i := range len(text) {
		if r := rune(text[i]); r < 0x20 && r != '\n' && r != '\t' && r != '\r' || r == 0x7f {
			add(controlFinding(text, i))
			return
		}
	}
}

func controlFinding(text string, at int) Finding {
	return Finding{Kind: FindEscape, Severity: Hold, Words: Around(text, at), Why: "a control character, which terminals obey and people do not see"}
}

// someHidden is the number of useless hidden characters in a text up to which they
// count as the slip of an editor.
const someHidden = 8

// characters reports invisible characters and look-alikes.
func characters(text string, add func(Finding)) {
	count, first := 0, -1
	for i, r := range text {
		if r >= 0x20 && r < 0x7f || !definition.Hidden(r) || PlainHidden(text, i, r) {
			continue
		}
		if count++; first < 0 {
			first = i
		}
		if f, ok := hiddenFinding(text, i, r, count); ok {
			add(f)
			first = -1
			break
		}
	}
	if first >= 0 {
		add(Finding{Kind: FindHidden, Severity: Note, Words: Around(text, first), Why: "a character that cannot be seen"})
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if utf8.RuneCountInString(word) > 2 && Mixed(word) {
			add(Finding{Kind: FindEvasion, Severity: Hold, Words: word, Why: "letters of another script that look like Latin ones"})
			return
		}
	}
}

// hiddenFinding returns the finding for the hidden character r at i, the count-th of
// its text. ok is false if it deserves no more than a note.
func hiddenFinding(text string, i int, r rune, count int) (Finding, bool) {
	why, words := "", Around(text, i)
	switch {
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return controlFinding(text, i), true
	case r >= 0xe0000 && r <= 0xe007f:
		why, words = "tag characters, which spell text that only models see", Tags(text)
	case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		why = "characters that turn the direction of text, so that it reads differently than it is"
	case r >= 0xe0100 && r <= 0xe01ef || unicode.Is(unicode.Variation_Selector, r) && Selectors(text[i:]) > 1:
		why = "variation selectors without a use, which can carry hidden text"
	case Within(text, i, r):
		why = "a character without width in the middle of a word"
	case count > someHidden:
		why = "many characters that cannot be seen"
	default:
		return Finding{}, false
	}
	return Finding{Kind: FindHidden, Severity: Hold, Words: words, Why: why}, true
}

// Within reports whether the character at i stands between two ASCII letters.
func Within(text string, i int, r rune) bool {
	after := i + utf8.RuneLen(r)
	return i > 0 && after < len(text) && isLetter(text[i-1]) && isLetter(text[after])
}

// Selectors counts the variation selectors at the start of a text, up to two.
func Selectors(text string) int {
	n := 0
	for _, r := range text {
		if n > 1 || !unicode.Is(unicode.Variation_Selector, r) {
			break
		}
		n++
	}
	return n
}

// Tags decodes the tag characters of a text.
func Tags(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 0xe0020 && r < 0xe007f {
			b.WriteByte(byte(r - 0xe0000))
		}
	}
	return b.String()
}

// Around returns the text around an offset.
func Around(text string, at int) string {
	const wide = 24
	from, to := max(0, at-wide), min(len(text), at+wide)
	for from < at && !utf8.RuneStart(text[from]) {
		from++
	}
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to++
	}
	return text[from:to]
}

// Markup that a viewer does not render, and tokens that frame chats.
var (
	comment    = re(`(?s)<!--(.*?)(?:-->|$)`)
	orders     = re(`(?i)\b(system|instructions?|ignore|override|bypass|always|never|must|do not|don't|secret|priority|security|admin|read|send|execute|call|directive)\b`)
	harmless   = re(`^\s*(?:toc|(?:prettier|eslint|markdownlint)-[a-z-]+)[A-Z0-9a-z/, -]{0,40}$`)
	orderTag   = re(`(?i)</?\s*(important|system|instructions?|sys|secret|hidden|critical|priority|admin|assistant|developer|directive|override|urgent|mandatory|prompt|rules?|policy|system[-_ ](prompt|instructions?|message|note|reminder|override))(\s[^<>]{0,80})?>`)
	chatToken  = re(`(?i)<\|[a-z_ ]{2,24}\|>|\[/?INST\]|<</?SYS>>|<(start|end)_of_turn>|</?s>\s*\[|\[/?(system|assistant)\]|(?:^|\n)#{2,4} ?(system|instruction|assistant)s?\s*:`)
	bracketTag = re(`\[/?(?:[A-Z]+[ _-])?(?:(?:PRIORITY|SYSTEM|ADMIN|SECURITY|HIDDEN|SECRET|ROOT|URGENT|MANDATORY|DEVELOPER)[ _-](?:INSTRUCTIONS?|OVERRIDE|BYPASS|DIRECTIVE|PROMPT|MESSAGE|MODE|COMMAND|NOTE|NOTICE)|SYSTEM|OVERRIDE|JAILBREAK|BYPASS|INSTRUCTIONS?)\]`)
	shout      = re(`(?:^|[^A-Za-z])(?:(?:SYSTEM|ADMIN|DEVELOPER|ROOT|SECURITY|PRIORITY|HIDDEN|OPERATOR)[ _-](?:OVERRIDE|DIRECTIVE|INSTRUCTIONS?|PROMPT|MESSAGE|COMMAND|BYPASS)|SYSTEM ?(?:\([^)]{0,60}\))?:|ASSISTANT ?:)`)
	styledAway = re(`(?i)style\s*=\s*["'][^"']*(display\s*:\s*none|font-size\s*:\s*0|visibility\s*:\s*hidden|opacity\s*:\s*0|color\s*:\s*(white|#fff))`)
	hiddenTag  = re(`(?i)<[a-z]+(?:\s[^<>]{0,80})?\shidden(?:\s[^<>]{0,80})?/?>|<[a-z]+\s[^<>]{0,80}aria-hidden`)
	remoteImg  = re(`!\[[^\]]*\]\(https?://[^)]*(\{|\$|=\s*<|\?[a-z]+=\)?)`)
)

func (s *Scanner) markup(text string, add func(Finding)) {
	if strings.Contains(text, "<!--") && s.left.spend(2*len(text)) {
		for _, m := range comment.get().FindAllStringSubmatch(text, 8) {
			switch {
			case harmless.get().MatchString(m[1]):
			case orders.get().MatchString(m[1]):
				add(Finding{Kind: FindMarkup, Severity: Hold, Words: m[0], Why: "orders in a comment, which viewers do not show"})
			default:
				add(Finding{Kind: FindMarkup, Severity: Note, Words: m[0], Why: "a comment, which viewers do not show"})
			}
		}
	}
	lower := "" // of an ASCII text with brackets; the case of other text does not fold this way
	if ascii(text) && containsAny(text, []string{"<", "[", "##", "="}) {
		lower = strings.ToLower(text)
	}
	for _, c := range markups {
		if !containsAny(text, c.in) || lower != "" && (c.lower != nil && !containsAny(lower, c.lower) || c.opens != nil && !opens(lower, c.opens)) {
			continue
		}
		if !s.left.spend(len(text)) {
			return
		}
		if w := c.re.get().FindString(text); w != "" {
			add(Finding{Kind: FindMarkup, Severity: Hold, Words: w, Why: c.why})
		}
	}
}

// opens reports whether a tag begins with one of the words.
func opens(lower string, words []string) bool {
	for {
		_, after, ok := strings.Cut(lower, "<")
		if !ok {
			return false
		}
		name := strings.TrimLeft(strings.TrimPrefix(after, "/"), "\t\n\f\r ")
		for _, w := range words {
			if strings.HasPrefix(name, w) {
				return true
			}
		}
		lower = after
	}
}

// markups are the rules about single pieces of markup. Every match contains one string
// of in, contains one of lower in lower case, and has a tag that begins with one of
// opens.
var markups = []struct {
	in    []string
	lower []string
	opens []string
	re    *pattern
	why   string
}{
	{[]string{"<"}, nil, []string{"important", "system", "instruction", "sys", "secret", "hidden", "critical", "priority", "admin", "assistant", "developer", "directive", "override", "urgent", "mandatory", "prompt", "rule", "policy"}, orderTag, "a tag that sets words apart as orders to the model"},
	{[]string{"<", "[", "##"}, []string{"<|", "inst]", "<<", "_of_turn>", "<s>", "</s>", "system]", "assistant]",
		"##system", "## system", "##instruction", "## instruction", "##assistant", "## assistant"}, nil, chatToken, "a token that frames the turns of a chat"},
	{[]string{"INSTRUCTION", "OVERRIDE]", "BYPASS]", "DIRECTIVE]", "PROMPT]", "MESSAGE]", "MODE]", "COMMAND]", "NOTE]", "NOTICE]", "SYSTEM]", "JAILBREAK]"}, nil, nil, bracketTag, "a tag that sets words apart as orders to the model"},
	{[]string{"SYSTEM", "ADMIN", "DEVELOPER", "ROOT", "SECURITY", "PRIORITY", "HIDDEN", "OPERATOR", "ASSISTANT"}, nil, nil, shout, "words that pretend to come from the system"},
	{[]string{"="}, []string{"style"}, nil, styledAway, "text that is styled not to be seen"},
	{[]string{"<"}, []string{"hidden"}, nil, hiddenTag, "text that is marked not to be shown"},
	{[]string{"!["}, nil, nil, remoteImg, "an image whose address carries data away"},
}

// hexRun is an encoding that no person reads. The minimum lengths, here and in
// base64Runs, exclude hashes and identifiers.
var hexRun = re(`(?:\\x[0-9a-fA-F]{2}){8,}|(?:%[0-9a-fA-F]{2}){8,}|[0-9a-fA-F]{48,}`)

// base64Runs returns up to 16 runs of [A-Za-z0-9+/_-]{32,}={0,2}, and whether one is
// long enough for the third form of hexRun.
func base64Runs(text string) (runs []string, long bool) {
	const shortest, longest, most = 32, 48, 16
	for i := 0; i < len(text); {
		start := i
		for i < len(text) && (isLetter(text[i]) || text[i] >= '0' && text[i] <= '9' || text[i] == '+' || text[i] == '/' || text[i] == '_' || text[i] == '-') {
			i++
		}
		if i-start < shortest {
			i++
			continue
		}
		long = long || i-start >= longest
		for range 2 {
			if i < len(text) && text[i] == '=' {
				i++
			}
		}
		if len(runs) < most {
			runs = append(runs, text[start:i])
		}
	}
	return runs, long
}

func encoded(text string, add func(Finding)) {
	if longestRun(text) < 24 {
		return
	}
	runs, long := base64Runs(text)
	for _, run := range runs {
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			if b, err := enc.DecodeString(run); err == nil && readable(b) {
				add(Finding{Kind: FindEncoded, Severity: Hold, Words: run, Why: "text in base64: " + string(b[:min(len(b), 80)])})
				break
			}
		}
	}
	if !long && !strings.Contains(text, `\x`) && strings.Count(text, "%") < 8 {
		return
	}
	for _, run := range hexRun.get().FindAllString(text, 16) {
		plain := strings.NewReplacer(`\x`, "", "%", "").Replace(run)
		if b, err := hex.DecodeString(plain[:len(plain)&^1]); err == nil && readable(b) {
			add(Finding{Kind: FindEncoded, Severity: Hold, Words: run, Why: "text in hexadecimal: " + string(b[:min(len(b), 80)])})
		}
	}
}

// longestRun is the length of the longest run without a space.
func longestRun(text string) int {
	longest, start := 0, 0
	for i := range len(text) {
		if text[i] <= ' ' {
			longest = max(longest, i-start)
			start = i + 1
		}
	}
	return max(longest, len(text)-start)
}

// readable reports whether bytes are words with spaces between them.
func readable(b []byte) bool {
	letters, spaces := 0, 0
	for _, c := range b {
		switch {
		case isLetter(c):
			letters++
		case c == ' ':
			spaces++
		case c < 0x20 && c != '\n' && c != '\t' || c >= 0x7f:
			return false
		}
	}
	return spaces >= 2 && letters*10 >= len(b)*6
}
