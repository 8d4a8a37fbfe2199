package definition

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gowebpki/jcs"

	"mcpen/sandbox/internal/rpc"
)

// canonical is the canonical form of RFC 8785 of a text of JSON that rpc.View
// accepted, which is why hardly anything is checked here. It reads and writes once,
// where the library makes a tree: the first list of a server is the longest
// thing that its client waits for.
func canonical(raw []byte) ([]byte, error) {
	c := NewCanon()
	defer c.Release()
	form, err := c.Form(raw, nil, nil)
	return bytes.Clone(form), err
}

// Canon makes canonical forms, one after the other, in memory that is used again.
type Canon struct {
	raw     []byte
	at      int
	out     []byte
	members []member // of all objects that are open
	keys    []byte   // those of members that were written with escapes
	scratch []byte
	err     error
}

// member is one that was written.
type member struct {
	start     uint64 // of its key, as startOf has it
	key, size int    // where its key stands without its quotes
	from, to  int    // in out
	escaped   bool   // the key is in keys, else in raw
}

var canons = sync.Pool{New: func() any { return new(Canon) }}

func NewCanon() *Canon { return canons.Get().(*Canon) }

// Release gives the memory back: the last form with it.
func (c *Canon) Release() {
	if c.raw = nil; cap(c.out) <= maxScratch && cap(c.scratch) <= maxScratch && cap(c.members) <= maxScratch/64 {
		canons.Put(c)
	}
}

// Form is canonical, until the next one. Where there are known members of an object
// it finds their values on the way, as rpc.Fields does; the error is that one's, or
// else the form's, and then the values are all there.
func (c *Canon) Form(raw []byte, known []string, values [][]byte) ([]byte, error) {
	*c = Canon{raw: raw, out: c.out[:0], members: c.members[:0], keys: c.keys[:0], scratch: c.scratch[:0]}
	var refused error
	var each func(key, value []byte)
	if known != nil {
		each = func(key, value []byte) {
			if refused == nil {
				refused = rpc.Field(raw, key, value, known, values)
			}
		}
	}
	c.value(each)
	if c.space(); c.at != len(raw) && c.err == nil {
		c.err = errors.New("it is more than one value")
	}
	if refused != nil {
		return nil, refused
	}
	return c.out, c.err
}

// maxScratch is the most that is kept for the next one.
const maxScratch = 256 << 10

// checked is canonical for a text that View may not accept and that may have
// line breaks in it.
func checked(text []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(text) + len(resultLine) + 1)
	b.WriteString(resultLine)
	if err := json.Compact(&b, text); err != nil {
		return nil, err
	}
	b.WriteByte('}')
	if _, err := rpc.View(b.Bytes()); err != nil {
		return nil, err
	}
	return canonical(b.Bytes()[len(resultLine) : b.Len()-1])
}

// resultLine is what makes a line of a value, with a brace behind it.
const resultLine = `{"jsonrpc":"2.0","id":0,"result":`

func (c *Canon) space() {
	for c.at < len(c.raw) && c.raw[c.at] <= ' ' {
		c.at++
	}
}

// is skips white space and reports whether b is next, which it then skips.
func (c *Canon) is(b byte) bool {
	c.space()
	if c.at < len(c.raw) && c.raw[c.at] == b {
		c.at++
		return true
	}
	return false
}

// value writes a value. each is called with the members of an object, as they
// stand in raw, but not with those of objects within it.
func (c *Canon) value(each func(key, value []byte)) {
	c.space()
	if c.at >= len(c.raw) {
		return
	}
	switch c.raw[c.at] {
	case '{':
		c.object(each)
	case '[':
		c.array()
	case '"':
		c.text()
	default:
		from := c.at
		for c.at < len(c.raw) && !endsScalar(c.raw[c.at]) {
			c.at++
		}
		c.scalar(c.raw[from:c.at])
	}
}

// endsScalar reports whether a byte stands behind a number or a literal.
func endsScalar(b byte) bool {
	return b == ',' || b == '}' || b == ']' || b == ' ' || b == '\t' || b == '\r' || b == '\n'
}

func (c *Canon) array() {
	c.at++
	c.out = append(c.out, '[')
	for first := true; c.at < len(c.raw) && !c.is(']'); first = false {
		if !first {
			c.is(',')
			c.out = append(c.out, ',')
		}
		c.value(nil)
	}
	c.out = append(c.out, ']')
}

// object writes the members in the order in which they come and puts them in
// the right one afterwards.
func (c *Canon) object(each func(key, value []byte)) {
	c.at++
	c.out = append(c.out, '{')
	first, keys, sorted, start := len(c.members), len(c.keys), true, len(c.out)
	for c.at < len(c.raw) && !c.is('}') {
		if len(c.members) > first {
			c.is(',')
			c.out = append(c.out, ',')
			c.space()
		}
		this := len(c.members)
		c.members = append(c.members, c.key())
		c.is(':')
		c.out = append(c.out, ':')
		c.space()
		from := c.at
		c.value(nil)
		c.members[this].to = len(c.out)
		sorted = sorted && (this == first || c.compare(c.members[this-1], c.members[this]) <= 0)
		if each != nil {
			each(c.says(c.members[this]), c.raw[from:c.at])
		}
	}
	if !sorted {
		c.scratch = append(c.scratch[:0], c.out[start:]...)
		slices.SortFunc(c.members[first:], c.compare)
		c.out = c.out[:start]
		for _, m := range c.members[first:] {
			if len(c.out) > start {
				c.out = append(c.out, ',')
			}
			c.out = append(c.out, c.scratch[m.from-start:m.to-start]...)
		}
	}
	c.members, c.keys = c.members[:first], c.keys[:keys]
	c.out = append(c.out, '}')
}

// key writes the key of a member that begins with it.
func (c *Canon) key() member {
	m := member{from: len(c.out)}
	switch raw, plain := c.text(); {
	case !plain:
		text, _ := rpc.Text(raw)
		m.escaped, m.key, m.size = true, len(c.keys), len(text)
		c.keys = append(c.keys, text...)
	case len(raw) > 1:
		m.key, m.size = c.at-len(raw)+1, len(raw)-2
	}
	m.start = startOf(c.from(m)[m.key:], m.size)
	return m
}

// says is the key of a member.
func (c *Canon) says(m member) []byte { return c.from(m)[m.key : m.key+m.size] }

// from is what the key of a member stands in.
func (c *Canon) from(m member) []byte {
	if m.escaped {
		return c.keys
	}
	return c.raw
}

// text writes a string and returns it as it stood there, and whether it is free of
// escapes.
func (c *Canon) text() (raw []byte, plain bool) {
	end, plain := rpc.String(c.raw, c.at)
	raw = c.raw[c.at:end]
	c.at = end
	if plain || shortlyEscaped(raw) {
		c.out = append(c.out, raw...)
		return raw, plain
	}
	text, _ := rpc.Text(raw)
	c.out = append(c.out, '"')
	for i := 0; i < len(text); i++ {
		// Half of a surrogate pair has no canonical form: it stays as it was escaped.
		if i+2 < len(text) && text[i] == 0xed && text[i+1] >= 0xa0 {
			c.out = fmt.Appendf(c.out, "\\u%04x", 0xd000|rune(text[i+1]&0x3f)<<6|rune(text[i+2]&0x3f))
			i += 2
			continue
		}
		c.out = appendEscaped(c.out, text[i])
	}
	c.out = append(c.out, '"')
	return raw, plain
}

// shortlyEscaped reports whether each escape of a string is the one that RFC 8785
// would have chosen, so that it is its own canonical form. Control characters
// without one of these are written by their number, which is left to appendEscaped.
func shortlyEscaped(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return true
		}
		if !shortEscape[raw[i+1]] {
			return false
		}
		raw = raw[i+2:]
	}
}

var shortEscape = [256]bool{'"': true, '\\': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

func appendEscaped(dst []byte, b byte) []byte {
	const hexDigits = "0123456789abcdef"
	if i := bytes.IndexByte([]byte("\"\\\b\f\n\r\t"), b); i >= 0 {
		return append(dst, '\\', `"\bfnrt`[i])
	}
	if b < 0x20 {
		return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
	}
	return append(dst, b)
}

// scalar writes a number or a literal.
func (c *Canon) scalar(raw []byte) {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	plain := len(digits) > 0 && len(digits) <= 15 && (digits[0] != '0' || len(raw) == 1)
	for _, d := range digits {
		plain = plain && d >= '0' && d <= '9'
	}
	if plain || len(raw) > 0 && raw[0] >= 'a' {
		c.out = append(c.out, raw...)
		return
	}
	number, err := jcs.Transform(raw)
	if err != nil && c.err == nil {
		c.err = err
	}
	c.out = append(c.out, number...)
}

// compare orders members by their keys. Most differ at the start.
func (c *Canon) compare(a, b member) int {
	if a.start != b.start {
		return cmp.Compare(a.start, b.start)
	}
	return compareKeys(c.says(a), c.says(b))
}

// startOf is a number for the first eight bytes of a key that is the first size
// bytes of text: of two keys with different ones, the one with the lower number
// comes first.
func startOf(text []byte, size int) (n uint64) {
	if len(text) >= 8 {
		const ascii = 0x8080808080808080
		n = binary.BigEndian.Uint64(text) &^ (^uint64(0) >> (8 * min(size, 8)))
		if n&ascii == 0 {
			return n
		}
	}
	n = 0
	for i, b := range text[:min(size, 8)] {
		n |= uint64(rank(b)) << (56 - 8*i)
	}
	return n
}

// compareKeys compares by UTF-16 code units, as RFC 8785 demands.
func compareKeys(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return cmp.Compare(rank(a[i]), rank(b[i]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// rank is where a byte of UTF-8 stands in the order of UTF-16. That is the order of
// bytes but for this: what is a pair of surrogates there, and begins with 0xf0 or
// more here, comes before U+E000 to U+FFFF, which begin with 0xee or 0xef.
func rank(b byte) byte {
	switch {
	case b >= 0xf0:
		return b - 2
	case b >= 0xee:
		return b + 16
	}
	return b
}
