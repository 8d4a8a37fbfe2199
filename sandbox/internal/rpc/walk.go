package rpc

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
	"unicode/utf8"
)

// The functions in this file walk over parts of a line that View accepted. For other
// bytes their result is arbitrary, but they do not panic.

// Members yields the unescaped keys and the raw values of an object, in order. For any
// other value it yields nothing. A key without escapes is a slice of the object.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return members(object, func(_ []byte, at int) int { return skip(object, at) })
}

// members is Members with a function that returns the end of each value, given its key
// and its start.
func members(object []byte, endOf func(key []byte, at int) int) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := opening(object, '{')
		for i > 0 && i < len(object) && object[i] == '"' {
			end := skip(object, i)
			key := object[i+1 : max(i+1, end-1)]
			if bytes.IndexByte(key, '\\') >= 0 {
				key = appendText(nil, key)
			}
			i = blank(object, end)
			if i >= len(object) || object[i] != ':' {
				return
			}
			i = blank(object, i+1)
			end = endOf(key, i)
			if end <= i || !yield(key, object[i:end]) {
				return
			}
			i = next(object, end)
		}
	}
}

// Elements yields the raw values of an array, in order. For any other value it yields
// nothing.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		i := opening(array, '[')
		for i > 0 && i < len(array) && array[i] != ']' {
			end := skip(array, i)
			if end <= i || !yield(array[i:end]) {
				return
			}
			i = next(array, end)
		}
	}
}

// Get returns the raw value of a key of an object, or nil.
func Get(object []byte, key string) []byte {
	for k, v := range Members(object) {
		if string(k) == key {
			return v
		}
	}
	return nil
}

// Fields stores the raw values of an object's known keys in values. It refuses an
// object with a key that some readers take for a known one. A value stays nil if its
// key is absent; a value that is not an object has no keys. len(values) must be
// len(known), and no known key may look like another. The error is a *Refusal with an
// offset into the object.
func Fields(object []byte, known []string, values [][]byte) error {
	clear(values)
	for k, v := range Members(object) {
		if err := Field(object, k, v, known, values); err != nil {
			return err
		}
	}
	return nil
}

// FieldsOf is Fields for an object with a long list: the last of the known keys. It
// collects the list's elements on the way, at most one more than most, since a line has
// room for millions. elements is nil if the value is not an array.
func FieldsOf(object []byte, known []string, values [][]byte, most int) (elements [][]byte, err error) {
	clear(values)
	list := known[len(known)-1]
	for k, v := range members(object, func(key []byte, at int) (end int) {
		if string(key) == list && at < len(object) && object[at] == '[' {
			elements, end = elementsAt(object, at, most)
			return end
		}
		return skip(object, at)
	}) {
		if err := Field(object, k, v, known, values); err != nil {
			return nil, err
		}
	}
	return elements, nil
}

// elementsAt returns the elements of the array at i, up to one more than most, and the
// offset after the array.
func elementsAt(raw []byte, i, most int) (elements [][]byte, end int) {
	elements = [][]byte{}
	for i = blank(raw, i+1); i < len(raw) && raw[i] != ']'; {
		end := skip(raw, i)
		if end <= i {
			return elements, len(raw)
		}
		if len(elements) <= most {
			elements = append(elements, raw[i:end])
		}
		if i = blank(raw, end); i < len(raw) && raw[i] == ',' {
			i = blank(raw, i+1)
		}
	}
	return elements, min(i+1, len(raw))
}

// Field is Fields for one member, for a caller that walks the object itself.
func Field(object, key, value []byte, known []string, values [][]byte) error {
	if bytes.IndexByte(key, 0) >= 0 {
		return &Refusal{NULKey, Offset(object, value)}
	}
	for i, name := range known {
		if string(key) == name {
			values[i] = value
			return nil
		}
	}
	for _, name := range known {
		if looksLike(key, name) {
			return &Refusal{LookAlikeKey, Offset(object, value)}
		}
	}
	return nil
}

// looksLike reports whether a key differs from name but equals it under Unicode case
// folding.
func looksLike(key []byte, name string) bool {
	// Every fold of an ASCII letter is at most three bytes long (K, U+212A).
	if len(key) < len(name) || len(key) > 3*len(name) || string(key) == name {
		return false
	}
	return bytes.EqualFold(key, []byte(name))
}

// IsString reports whether a raw value is a string.
func IsString(raw []byte) bool { return len(raw) > 1 && raw[0] == '"' }

// IsObject reports whether a raw value is an object.
func IsObject(raw []byte) bool { return len(raw) > 1 && raw[0] == '{' }

// IsArray reports whether a raw value is an array.
func IsArray(raw []byte) bool { return len(raw) > 1 && raw[0] == '[' }

// Text returns the unescaped text of a raw string value; ok is false for any other
// value.
func Text(raw []byte) (text string, ok bool) {
	if !IsString(raw) {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	return string(appendText(make([]byte, 0, len(raw)), raw)), true
}

// AppendString appends a text as a JSON string. It escapes the characters that JSON
// demands and those that a terminal or a line reader could interpret. Bytes that are
// not UTF-8 become U+FFFD.
func AppendString(dst []byte, text string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029:
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// IDKey returns a key for an id. Two ids have the same key if they are the same number
// or the same text, however it is escaped; a number and a text never do.
func IDKey(id []byte) string {
	if IsString(id) && bytes.IndexByte(id, '\\') >= 0 {
		return string(appendText([]byte{'"'}, id[1:len(id)-1])) + `"`
	}
	return string(id)
}

// OtherID returns the same id in the other type, "2" for 2 and 2 for "2", or nil if
// there is none. Some servers answer with it, and the TypeScript and the Python SDK
// accept it.
func OtherID(id []byte) []byte {
	if IsString(id) {
		if id = id[1 : len(id)-1]; whole(id) {
			return id
		}
		return nil
	}
	if !whole(id) {
		return nil
	}
	return append(append([]byte{'"'}, id...), '"')
}

// whole reports whether a text is a whole number in its usual form.
func whole(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || digits[0] == '0' && len(text) > 1 {
		return false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

// opening is the offset after the opening bracket and blanks, or -1.
func opening(raw []byte, bracket byte) int {
	i := blank(raw, 0)
	if i >= len(raw) || raw[i] != bracket {
		return -1
	}
	return blank(raw, i+1)
}

// next is the offset after a comma at or after i and the blanks around it, or -1.
func next(raw []byte, i int) int {
	if i = blank(raw, i); i >= len(raw) || raw[i] != ',' {
		return -1
	}
	return blank(raw, i+1)
}

func blank(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\r' || raw[i] == '\n') {
		i++
	}
	return i
}

// skip is the offset after the value at i of a valid text.
func skip(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch classes[raw[i]] {
		case quote:
			i, _ = String(raw, i)
		case opens:
			depth++
			i++
			continue
		case closes:
			depth--
			i++
		case between:
			if depth <= 0 {
				return i
			}
			i++
			continue
		default:
			for i++; i < len(raw) && (classes[raw[i]] == scalar || classes[raw[i]] == opens || classes[raw[i]] == quote); i++ {
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}

// The classes of bytes outside of strings, for skip. The zero value is a part of a
// number or a literal.
const (
	scalar byte = iota
	quote
	opens
	closes
	between
)

var classes = [256]byte{'"': quote, '{': opens, '[': opens, '}': closes, ']': closes,
	' ': between, '\t': between, '\r': between, '\n': between, ',': between, ':': between}

// String reads the string whose quote is at i: end is the offset after it, and plain
// reports that it has no escapes. It reads each byte once.
func String(raw []byte, i int) (end int, plain bool) {
	plain = true
	for i++; i < len(raw); {
		if i+8 <= len(raw) {
			m := quoteOrSlash(binary.LittleEndian.Uint64(raw[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		}
		switch raw[i] {
		case '"':
			return i + 1, plain
		case '\\':
			plain = false
			i += 2
		default:
			i++
		}
	}
	return len(raw), plain
}

// quoteOrSlash is special for a quote and a backslash only.
func quoteOrSlash(w uint64) uint64 {
	const lo, hi = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^(lo*'"'), w^(lo*'\\')
	return ((quote-lo)&^quote | (slash-lo)&^slash) & hi
}
