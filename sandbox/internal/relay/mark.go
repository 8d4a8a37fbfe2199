package relay

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"mcpen/sandbox/audit"
)

// own is what every line of mcpen's own begins with.
const own = "mcpen"

// ownWord finds it as a word, and not as a part of a path or of a longer name.
var ownWord = regexp.MustCompile(`(^|[^a-z0-9/._-])` + own + `([^a-z0-9/._-]|$)`)

// marked is a line of the server's, which Visible was applied to, as it is shown:
// one that a person could take for mcpen's own says whose it is, for a hint of
// mcpen's is there to be pasted.
func marked(kind audit.Kind, text string) string {
	if !ownWord.MatchString(skeleton(text)) && !resembles(text) {
		return text
	}
	// Blanks would move what follows to where a terminal begins its next line.
	text = strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
	if kind == audit.KindStdout {
		return "server's stdout: " + text
	}
	return "server's stderr: " + text
}

// skeleton is a text in lower case in which letters that look like one are one.
func skeleton(text string) string {
	return strings.ReplaceAll(strings.ToLower(text), "rn", "m")
}

// resembles reports whether the first word of a text has about the length of own
// and letters beyond ASCII: scripts have letters that look like those of others.
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
