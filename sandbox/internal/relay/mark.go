package relay

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"mcpen/sandbox/audit"
)

// own is the beginning of every line by mcpen.
const own = "mcpen"

// ownWord matches it as a word, and not as part of a path or of a longer name.
var ownWord = regexp.MustCompile(`(^|[^a-z0-9/._-])` + own + `([^a-z0-9/._-]|$)`)

// marked returns a server's line, after Visible, for display. If a person could mistake
// it for a line by mcpen, it is marked as the server's: people paste mcpen's hints.
func marked(kind audit.Kind, text string) string {
	if !ownWord.MatchString(skeleton(text)) && !resembles(text) {
		return text
	}
	// Blanks could move the rest to the start of the terminal's next line.
	text = strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
	if kind == audit.KindStdout {
		return "server's stdout: " + text
	}
	return "server's stderr: " + text
}

// skeleton is a text in lower case, with letters that look like a single one replaced
// by it.
func skeleton(text string) string {
	return strings.ReplaceAll(strings.ToLower(text), "rn", "m")
}

// resembles reports whether the first word of a text has about the length of own and
// contains non-ASCII letters: letters of different scripts look alike.
func resembles(text string) bool {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return r < utf8.RuneSelf && !unicode.IsLetter(r) })
	n, foreign := 0, false
	for _, r := range text {
		if r < utf8.RuneSelf && !unicode.IsLetter(r) || unicode.IsSpace(r) {
			break
		}
		foreign = foreign || r >= utf8.RuneSelf
		if !unicode.IsMark(r) {
			n++
		}
	}
	return foreign && n >= len(own)-1 && n <= len(own)+1
}
