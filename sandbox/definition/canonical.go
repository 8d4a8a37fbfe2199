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

// canonical returns the canonical form (RFC 8785) of JSON text that rpc.View accepted,
// and so checks hardly anything. It reads and writes the text once, where a library
// would build a tree: a server's first list is the longest message that its client
// waits for.
//
// jsontext.Value.Canonicalize (encoding/json/jsontext) has the same form for every text
// but two kinds, and takes three times as long. It writes a number beyond a double's
// range as the largest double, so that 1e400 and 1e500 have one hash; canonical refuses
// such a number. And it refuses half of a surrogate pair, which servers send in
// descriptions that they cut; canonical keeps its escape. Each of the two has a form of
// its own then, and a change from one to another is seen.
func canonical(raw []byte) ([]byte, error) {
	c := NewCanon()
	defer c.Release()
	form, err := c.Form(raw, nil, nil)
	return bytes.Clone(form), err
}

// Canon computes canonical forms, one after another, and reuses its memory.
type Canon struct {
	raw     []byte
	at      int
	out     []byte
	members []member // of all open objects
	keys    []byte   // the unescaped keys of members whose keys have escapes
	scratch []byte
	err     error
}

// member is one written member of an object.
type member struct {
	start     uint64 // of its key; see startOf
	key, size int    // the position and length of its key without quotes
	from, to  int    // in out
	escaped   bool   // the key is in keys, else in raw
}

// canons is the pool of NewCanon.
var canons = sync.Pool{New: func() any { return new(Canon) }}

// NewCanon returns a Canon from a pool. Release gives it back.
func NewCanon() *Canon { return canons.Get().(*Canon) }

// Release returns the memory to the pool and invalidates the last form.
func (c *Canon) Release() {
	if c.raw = nil; cap(c.out) <= maxScratch && cap(c.scratch) <= maxScratch && cap(c.members) <= maxScratch/64 {
		canons.Put(c)
	}
}

// Form computes the canonical form; it is valid until the next call. If known names
// members of an object, Form also finds their values, as rpc.Fields does. The error is
// either rpc.Fields's, or the form's; in the latter case all values are set.
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

// maxScratch is the most memory, in bytes, that a buffer keeps for reuse.
const maxScratch = 256 << 10

// checked is canonical for text that View may refuse, and that may contain line breaks.
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

// resultLine, followed by a value and a closing brace, is a line that View accepts.
const resultLine = `{"jsonrpc":"2.0","id":0,"result":`

func (c *Canon) space() {
	for c.at < len(c.raw) && c.raw[c.at] <= ' ' {
		c.at++
	}
}

// is skips white space and reports whether b comes next; if so, it skips b too.
func (c *Canon) is(b byte) bool {
	c.space()
	if c.at < len(c.raw) && c.raw[c.at] == b {
		c.at++
		return true
	}
	return false
}

// value writes a value. It calls each with every member of an object, as it stands in
// raw, but not with members of nested objects.
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

// endsScalar reports whether a byte can follow a number or a literal.
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

// object writes the members in the order of the text and sorts them afterwards.
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

// key writes the key of a member and returns the member.
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

// from is the buffer that holds the key of a member.
func (c *Canon) from(m member) []byte {
	if m.escaped {
		return c.keys
	}
	return c.raw
}

// text writes a string and returns it as it stands in the text; plain reports that it
// has no escapes.
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
		// Half of a surrogate pair has no canonical form: it keeps its escape.
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
// prescribes, so that the string is its own canonical form. Control characters without
// a short escape are left to appendEscaped, which writes their number.
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

// compare orders members by their keys. Most keys differ in the first bytes.
func (c *Canon) compare(a, b member) int {
	if a.start != b.start {
		return cmp.Compare(a.start, b.start)
	}
	return compareKeys(c.says(a), c.says(b))
}

// startOf packs the first eight bytes of a key, which is the first size bytes of text,
// into a number. Of two keys with different numbers, the one with the lower number
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

// rank is the position of a UTF-8 byte in the order of UTF-16. That is the order of
// bytes with one exception: a character outside of the BMP is a surrogate pair in
// UTF-16 and begins with 0xf0 or more in UTF-8. It comes before U+E000 to U+FFFF, which
// begin with 0xee or 0xef.
func rank(b byte) byte {
	switch {
	case b >= 0xf0:
		return b - 2
	case b >= 0xee:
		return b + 16
	}
	return b
}
