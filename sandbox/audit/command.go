package audit

import "strings"

// Command is a command line that a POSIX shell reads as these words, each as it
// is. Words may be a stranger's. It returns "" where one of them has a character
// that cannot be seen, because nobody should paste that.
func Command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if Visible(w) != w || strings.Contains(w, "\t") {
			return ""
		}
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes a word where it needs it (POSIX.1-2017, Shell Command
// Language, 2.2.2: nothing is special between single quotes).
func shellWord(w string) string {
	plain := w != "" && !strings.ContainsFunc(w, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r))
	})
	if plain {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
