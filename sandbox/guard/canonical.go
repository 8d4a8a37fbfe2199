package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"unicode/utf16"

	"github.com/gowebpki/jcs"

	"mcpen/sandbox/internal/rpc"
)

// canonical is the canonical form of RFC 8785 of a text of JSON that rpc.View
// accepted, which is why hardly anything is checked here. It reads and writes once,
// where the library makes a tree: the first list of a server is the longest
// thing that its client waits for.
func canonical(raw []byte) ([]byte, error) { return canonicalOf(raw, nil) }

// canonicalOf calls each, if there is one, with the members of the object that raw
// is, as they stand there. Its error is the text's.
func canonicalOf(raw []byte, each func(key, value []byte) error) ([]byte, error) {
	c := canons.Get().(*canon)
	*c = canon{raw: raw, each: each, out: make([]byte, 0, len(raw)), members: c.members[:0], scratch: c.scratch[:0]}
	c.value()
	if c.space(); c.at != len(raw) && c.err == nil {
		c.err = errors.New("it is more than one value")
	}
	out, err := c.out, c.err
	if c.raw, c.out, c.each = nil, nil, nil; cap(c.scratch) <= maxScratch && cap(c.members) <= maxScratch/64 {
		clear(c.members[:cap(c.members)]) // they hold on to the text
		canons.Put(c)
	}
	return out, err
}

var canons = sync.Pool{New: func() any { return new(canon) }}

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

type canon struct {
	raw     []byte
	at      int
	out     []byte
	members []member // of all objects that are open
	scratch []byte
	each    func(key, value []byte) error // for the outermost object; nil within others
	err     error
}

// member is one that was written.
type member struct {
	key      []byte // escapes undone
	from, to int    // in out
}

func (c *canon) space() {
	for c.at < len(c.raw) && c.raw[c.at] <= ' ' {
		c.at++
	}
}

// is skips white space and reports whether b is next, which it then skips.
func (c *canon) is(b byte) bool {
	c.space()
	if c.at < len(c.raw) && c.raw[c.at] == b {
		c.at++
		return true
	}
	return false
}

func (c *canon) value() {
	c.space()
	if c.at >= len(c.raw) {
		return
	}
	switch c.raw[c.at] {
	case '{':
		c.object()
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

func (c *canon) array() {
	c.at++
	c.out = append(c.out, '[')
	for first := true; c.at < len(c.raw) && !c.is(']'); first = false {
		if !first {
			c.is(',')
			c.out = append(c.out, ',')
		}
		c.value()
	}
	c.out = append(c.out, ']')
}

// object writes the members in the order in which they come and puts them in
// the right one afterwards.
func (c *canon) object() {
	c.at++
	c.out = append(c.out, '{')
	each := c.each
	c.each = nil
	first, sorted, start := len(c.members), true, len(c.out)
	for c.at < len(c.raw) && !c.is('}') {
		if len(c.members) > first {
			c.is(',')
			c.out = append(c.out, ',')
			c.space()
		}
		m := member{from: len(c.out), key: says(c.text())}
		if n := len(c.members); n > first && compareKeys(c.members[n-1].key, m.key) > 0 {
			sorted = false
		}
		c.members = append(c.members, m)
		this := len(c.members) - 1
		c.is(':')
		c.out = append(c.out, ':')
		c.space()
		from := c.at
		c.value()
		c.members[this].to = len(c.out)
		if each != nil && c.err == nil {
			c.err = each(m.key, c.raw[from:c.at])
		}
	}
	if !sorted {
		c.scratch = append(c.scratch[:0], c.out[start:]...)
		slices.SortFunc(c.members[first:], func(a, b member) int { return compareKeys(a.key, b.key) })
		c.out = c.out[:start]
		for _, m := range c.members[first:] {
			if len(c.out) > start {
				c.out = append(c.out, ',')
			}
			c.out = append(c.out, c.scratch[m.from-start:m.to-start]...)
		}
	}
	c.members = c.members[:first]
	c.out = append(c.out, '}')
}

// text writes a string and returns it as it stood there.
func (c *canon) text() []byte {
	raw, own := quoted(c.raw[c.at:])
	c.at += len(raw)
	if own {
		c.out = append(c.out, raw...)
		return raw
	}
	text, _ := rpc.Text(raw)
	c.out = append(c.out, '"')
	for i := range len(text) {
		c.out = appendEscaped(c.out, text[i])
	}
	c.out = append(c.out, '"')
	return raw
}

// quoted is the string that b begins with. own is true where each of its escapes
// is the one that RFC 8785 would have chosen, so that it is its own canonical form.
func quoted(b []byte) (raw []byte, own bool) {
	own = true
	quote := 0 // the next one; each byte is looked at once, however many escapes there are
	for at := 1; at < len(b); {
		if quote < at {
			n := bytes.IndexByte(b[at:], '"')
			if n < 0 {
				break
			}
			quote = at + n
		}
		escape := bytes.IndexByte(b[at:quote], '\\')
		if escape < 0 {
			return b[:quote+1], own
		}
		at += escape
		for at+1 < len(b) && b[at] == '\\' { // a run of them, such as that of a path
			own = own && shortEscape[b[at+1]]
			at += 2
		}
	}
	return b, own
}

// shortEscape are the letters of the escapes that RFC 8785 writes. Control
// characters without one of these are written by their number, which is left to
// appendEscaped.
var shortEscape = [256]bool{'"': true, '\\': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// says is what a string that text returned says.
func says(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[min(1, len(raw)):max(1, len(raw)-1)]
	}
	text, _ := rpc.Text(raw)
	return []byte(text)
}

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
func (c *canon) scalar(raw []byte) {
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

// compareKeys compares by UTF-16 code units, as RFC 8785 demands. The order of
// bytes is the same but for characters from U+E000 on.
func compareKeys(a, b []byte) int {
	high := func(c byte) bool { return c >= 0xee }
	if slices.ContainsFunc(a, high) && slices.ContainsFunc(b, high) {
		return slices.Compare(utf16.Encode([]rune(string(a))), utf16.Encode([]rune(string(b))))
	}
	return bytes.Compare(a, b)
}
