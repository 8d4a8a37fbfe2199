package audit

import (
	"fmt"
	"strings"
)

// Command formats a command line that a shell parses into exactly these words. The
// words may come from a stranger: none of them can be more than a word, and no
// invisible character reaches the terminal.
func Command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes a word if necessary. POSIX.1-2017, Shell Command Language, 2.2.2:
// nothing is special between single quotes. POSIX.1-2024, 2.2.4, and bash, zsh and ksh
// before it: the escapes between dollar-single-quotes.
func shellWord(w string) string {
	plain := w != "" && !strings.ContainsFunc(w, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r))
	})
	switch {
	case plain:
		return w
	case Visible(w) == w && !strings.Contains(w, "\t"):
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, c := range []byte(w) {
		switch {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}
