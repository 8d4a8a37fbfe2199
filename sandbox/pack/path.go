package pack

import (
	"unicode"
	"unicode/utf8"
)

// CheckPath refuses a relative path that does not print or is too long.
func CheckPath(rel string, limit int) error {
	if rel == "" || len(rel) > limit {
		return Refuse("cannot accept %q from the package: the path is empty or longer than %d bytes", rel, limit)
	}
	if !utf8.ValidString(rel) {
		return Refuse("cannot accept %q from the package: the name is not UTF-8", rel)
	}
	for _, r := range rel {
		if unicode.IsControl(r) || r == '\\' || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return Refuse("cannot accept %q from the package: the name has a character (%U) that no file name needs", rel, r)
		}
	}
	return nil
}
