package rpc

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// space skips white space from i on. It refuses a CR or LF that is not at the very end
// of the line: some readers treat it as the end of the line, and the rest as a message
// of its own.
func (s *scanner) space(i int) int {
	for i < len(s.line) {
		switch s.line[i] {
		case ' ', '\t':
		case '\r', '\n':
			if len(s.line)-i > 2 || len(bytes.Trim(s.line[i:], "\r\n")) > 0 {
				s.soft(LineBreak, i)
			}
		default:
			return i
		}
		i++
	}
	return i
}

// special sets the highest bit in every byte of the word that is a quote, a backslash,
// a control character or not ASCII. It may mark bytes above the lowest such byte in
// error, but never that byte or those below it.
func special(w uint64) uint64 {
	const lo, hi = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^(lo*'"'), w^(lo*'\\')
	return ((quote-lo)&^quote | (slash-lo)&^slash | (w - lo*0x20) | w) & hi
}

// text reads the string whose quote is at i. It returns the offset after the closing
// quote, or -1, and whether the string has no escapes.
func (s *scanner) text(i int) (end int, plain bool) {
	line := s.line
	plain = true
	for i++; ; {
		for i+8 <= len(line) {
			m := special(binary.LittleEndian.Uint64(line[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(line) {
			return s.hard(Syntax, i), false
		}
		switch c := line[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			plain = false
			if i = s.escape(i); i < 0 {
				return -1, false
			}
		case c < 0x20:
			return s.hard(Syntax, i), false
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(line[i:])
			if r == utf8.RuneError && n == 1 {
				s.soft(InvalidUTF8, i)
			}
			i += n
		}
	}
}

// escape reads the escape at i, and both halves of a surrogate pair at once.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.line) {
		return s.hard(Syntax, i)
	}
	switch s.line[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		return s.hard(Syntax, i)
	}
	r, ok := hex4(s.line[i:])
	if !ok {
		return s.hard(Syntax, i)
	}
	if !utf16.IsSurrogate(r) {
		return i + 6
	}
	if low, ok := hex4(s.line[i+6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
		return i + 12
	}
	if s.naming() {
		s.soft(LoneSurrogate, i)
	}
	return i + 6
}

// naming reports whether the current string is a key, an id or a method. Readers treat
// half a surrogate pair differently, so a name with one is not the same for all of
// them. Elsewhere it is text that somebody cut, which JSON.stringify writes this way.
func (s *scanner) naming() bool {
	switch len(s.opened) {
	case 0:
		return true
	case 1:
		return s.inKey || s.member == topID || s.member == topMethod
	}
	return s.inKey
}

// hex4 reads \uXXXX at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c-'0' < 10:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads the number at i.
func (s *scanner) number(i int) int {
	start, line := i, s.line
	if line[i] == '-' {
		i++
	}
	whole := digits(line, i)
	if whole == i || line[i] == '0' && whole > i+1 {
		return s.hard(Syntax, i)
	}
	i = whole
	exponent := false
	if i < len(line) && line[i] == '.' {
		i++
		if end := digits(line, i); end > i {
			i = end
		} else {
			return s.hard(Syntax, i)
		}
	}
	if i < len(line) && line[i]|0x20 == 'e' {
		exponent = true
		i++
		if i < len(line) && (line[i] == '+' || line[i] == '-') {
			i++
		}
		if end := digits(line, i); end > i {
			i = end
		} else {
			return s.hard(Syntax, i)
		}
	}
	if exponent || i-start > 300 {
		if _, err := strconv.ParseFloat(string(line[start:i]), 64); err != nil {
			s.soft(NumberRange, start)
		}
	}
	return i
}

func digits(line []byte, i int) int {
	for i < len(line) && line[i]-'0' < 10 {
		i++
	}
	return i
}

// literal reads true, false or null at i.
func (s *scanner) literal(i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(s.line)-i >= len(word) && string(s.line[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return s.hard(Syntax, i)
}

// appendText appends the unescaped text of a string, given without its quotes. Half of
// a surrogate pair becomes three bytes that are not UTF-8 (WTF-8), so that different
// texts stay different.
func appendText(dst, raw []byte) []byte {
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i:]
		switch c := raw[1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(raw)
			if !ok {
				return append(dst, raw...)
			}
			if low, ok := hex4(raw[6:]); ok && utf16.IsSurrogate(r) {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					r, raw = pair, raw[6:]
				}
			}
			if utf16.IsSurrogate(r) {
				dst = append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			raw = raw[4:]
		default: // the quote, the backslash, the slash
			dst = append(dst, c)
		}
		raw = raw[2:]
	}
	return dst
}
