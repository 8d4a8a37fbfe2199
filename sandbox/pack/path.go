package pack

import (
	"unicode"
	"unicode/utf8"
)

// checkPath holds a relative path to what prints and fits.
func checkPath(rel string, limit int) error {
	if rel == "" || len(rel) > limit {
		return badTree(rel, "the path is empty or longer than %d bytes", limit)
	}
	if !utf8.ValidString(rel) {
		return badTree(rel, "the name is not UTF-8")
	}
	for _, r := range rel {
		if unicode.IsControl(r) || r == '\\' || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return badTree(rel, "the name has a character (%U) that no file name needs", r)
		}
	}
	return nil
}
