package audit

import (
	"unicode"
	"unicode/utf8"
)

// Visible returns text from a stranger as a terminal may show it: control
// characters (terminal escapes begin with one), characters that change the
// direction of the text, that take no room, or that have no agreed meaning are
// written as \x1b, \u202e or \U000e0041, and bytes that are not UTF-8 as \xff.
// A tab stays. The result is for people; it cannot be turned back.
func Visible(text string) string {
	if plain(text) == len(text) {
		return text
	}
	return string(AppendVisible(nil, text))
}

// plain is how many bytes of text can be shown as they are, up to the first that
// has to be looked at.
func plain(text string) int {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return i
		}
	}
	return len(text)
}

// AppendVisible appends to dst what Visible returns.
func AppendVisible(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		if n := plain(text[i:]); n > 0 {
			dst = append(dst, text[i:i+n]...)
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < utf8.RuneSelf: // plain looked at the others
			dst = append(dst, '\\', 'x')
			dst = appendHex(dst, uint32(text[i]), 2)
		case shown(r):
			dst = append(dst, text[i:i+n]...)
		case r < 0x10000:
			dst = append(dst, '\\', 'u')
			dst = appendHex(dst, uint32(r), 4)
		default:
			dst = append(dst, '\\', 'U')
			dst = appendHex(dst, uint32(r), 8)
		}
		i += n
	}
	return dst
}

// shown reports whether a character beyond ASCII can be seen for what it is.
// Variation selectors are marks, and so printable, yet invisible and able to
// carry hidden text; the fillers of Hangul are letters without a shape.
func shown(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func appendHex(dst []byte, v uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

// Quote is a stranger's name within a sentence: visible, in quotes, and of a length that
// leaves room for the sentence.
func Quote(name string) string {
	const most = 120
	if len(name) > most {
		name = name[:most] + "…"
	}
	return `"` + Visible(name) + `"`
}
