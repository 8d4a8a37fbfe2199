package audit

import (
	"unicode"
	"unicode/utf8"
)

// Visible returns a stranger's text in a form that is safe to print on a terminal.
// Control characters (terminal escapes begin with one), characters that change the
// text's direction, that have no width, or that have no agreed meaning become \x1b,
// \u202e or \U000e0041; bytes that are not UTF-8 become \xff. Tabs stay. The result is
// for people; it cannot be converted back.
func Visible(text string) string {
	if plain(text) == len(text) {
		return text
	}
	return string(appendVisible(nil, text))
}

// plain is the number of leading bytes of text that can be printed unchanged without a
// closer look.
func plain(text string) int {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return i
		}
	}
	return len(text)
}

// appendVisible appends the result of Visible to dst.
func appendVisible(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		if n := plain(text[i:]); n > 0 {
			dst = append(dst, text[i:i+n]...)
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < utf8.RuneSelf: // plain has passed the others
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

// shown reports whether a character beyond ASCII has a visible, distinct shape.
// Variation selectors are marks, and so printable, but they are invisible and can carry
// hidden text; the Hangul fillers are letters without a shape.
func shown(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func appendHex(dst []byte, v uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

// Quote formats a stranger's name for a sentence: visible, in quotes, and short enough
// to leave room for the sentence.
func Quote(name string) string {
	const most = 120
	if len(name) > most {
		name = name[:most] + "…"
	}
	return `"` + Visible(name) + `"`
}
