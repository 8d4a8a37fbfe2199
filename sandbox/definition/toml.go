package definition

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MarshalTOML writes the text as a basic string of TOML. A text of several lines stays
// on several lines, so that a change of one line is a change of one line in a diff.
// Characters that a reader cannot see (controls, and characters that change the
// direction of text, have no width or carry tags) are written as escapes.
func (t Text) MarshalTOML() ([]byte, error) {
	lines := false
	for i := range t {
		lines = lines || t[i] == '\n'
	}
	out := []byte{'"'}
	if lines {
		out = []byte("\"\"\"\n")
	}
	for _, r := range string(t) {
		switch {
		case r == '\n':
			out = append(out, '\n')
		case r == '"' || r == '\\':
			if r == '"' && lines && len(out) > 0 && out[len(out)-1] != '"' {
				out = append(out, '"') // one quote alone needs no escape here
				continue
			}
			out = append(out, '\\', byte(r))
		case r == '\t':
			out = append(out, `\t`...)
		case Hidden(r) && r <= 0xffff:
			out = fmt.Appendf(out, `\u%04X`, r)
		case Hidden(r):
			out = fmt.Appendf(out, `\U%08X`, r)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	if !lines {
		return append(out, '"'), nil
	}
	if out[len(out)-1] == '"' && out[len(out)-2] != '\\' {
		out = append(out[:len(out)-1], '\\', '"') // so that it does not merge with the closing quotes
	}
	return append(out, `"""`...), nil
}

// Hidden reports whether a reader cannot see a character, or cannot see its effect:
// controls except for tab and newline, and every character that Unicode classifies as a
// format character, a tag, a variation selector, ignorable, or a line separator.
func Hidden(r rune) bool {
	switch {
	case r < 0x20:
		return r != '\n' && r != '\t'
	case r < 0x7f:
		return false
	case r < 0xa0, r == 0x00ad, r == 0x2028, r == 0x2029:
		return true
	case r < 0x300:
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
