// Package tomlindex finds the positions of the keys and values of a TOML document, which
// the decoder does not tell. It decodes nothing.
package tomlindex

import (
	"strconv"
	"strings"
)

// MaxDepth bounds the nesting of tables, arrays and dotted keys. The decoder recurses;
// without a bound a megabyte of "[" would overflow the stack, and Go cannot recover from
// that.
const MaxDepth = 32

// Node is the position of one value of a TOML document. The tree of nodes has the shape
// of the decoded document: the decoder provides the values, the index their positions.
type Node struct {
	Key   int // offset of the key, or of the value in an array
	Val   int // offset of the value; of the header for a table that has one
	Keys  map[string]*Node
	Items []*Node
}

func (n *Node) child(key string, at int) *Node {
	if c := n.Keys[key]; c != nil {
		return c
	}
	if n.Keys == nil {
		n.Keys = make(map[string]*Node)
	}
	c := &Node{Key: at, Val: at}
	n.Keys[key] = c
	return c
}

// At returns the node of a key, or the receiver if the index has none, so that every
// mistake has a position.
func (n *Node) At(key string) *Node {
	if c := n.Keys[key]; c != nil {
		return c
	}
	return n
}

// Item returns the node of an element, or the receiver if the index has none.
func (n *Node) Item(i int) *Node {
	if i < len(n.Items) {
		return n.Items[i]
	}
	return n
}

// Index finds the positions of all keys and values. It accepts more than TOML does,
// since the decoder has the last word. If it cannot follow the text, it stops and
// returns the offset in stopped, else -1; deep reports that it stopped at MaxDepth.
func Index(src string) (root *Node, stopped int, deep bool) {
	s := &scanner{src: src}
	root = &Node{}
	if s.document(root) {
		return root, -1, false
	}
	return root, s.pos, s.deep
}

type scanner struct {
	src  string
	pos  int
	deep bool
}

func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) has(prefix string) bool { return strings.HasPrefix(s.src[s.pos:], prefix) }

// skip passes over blanks and over the characters of also: line ends, comments and
// commas.
func (s *scanner) skip(also string) {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == ' ' || c == '\t' || c == '\r':
			s.pos++
		case c == '#' && strings.Contains(also, "#"):
			s.comment()
		case c != '#' && strings.IndexByte(also, c) >= 0:
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) comment() {
	if i := strings.IndexByte(s.src[s.pos:], '\n'); i >= 0 {
		s.pos += i
	} else {
		s.pos = len(s.src)
	}
}

func (s *scanner) document(root *Node) bool {
	table := root
	for {
		s.skip("\n#")
		if s.pos == len(s.src) {
			return true
		}
		ok := false
		if s.peek() == '[' {
			table, ok = s.header(root)
		} else {
			ok = s.pair(table, 0)
		}
		if !ok {
			return false
		}
		s.skip("#")
		if s.pos < len(s.src) && s.peek() != '\n' {
			return false
		}
	}
}

func (s *scanner) header(root *Node) (*Node, bool) {
	closing := "]"
	at := s.pos
	s.pos++
	if s.peek() == '[' {
		closing = "]]"
		s.pos++
	}
	parts, ok := s.dotted()
	if !ok || !s.has(closing) {
		return nil, false
	}
	s.pos += len(closing)
	n := root
	for i, p := range parts {
		n = n.child(p.name, p.at)
		last := i == len(parts)-1
		switch {
		case last && closing == "]]":
			item := &Node{Key: at, Val: at}
			n.Items = append(n.Items, item)
			n = item
		case len(n.Items) > 0: // a table in the array's last element
			n = n.Items[len(n.Items)-1]
		}
	}
	return n, true
}

// pair reads key = value into the table.
func (s *scanner) pair(table *Node, depth int) bool {
	parts, ok := s.dotted()
	if !ok || s.peek() != '=' {
		return false
	}
	s.pos++
	s.skip("")
	for _, p := range parts {
		table = table.child(p.name, p.at)
	}
	return s.value(table, depth+1)
}

type part struct {
	name string
	at   int
}

// dotted reads a key of one or more parts and the blanks after it.
func (s *scanner) dotted() (parts []part, ok bool) {
	for {
		s.skip("")
		at := s.pos
		name, ok := s.key()
		if !ok {
			return nil, false
		}
		parts = append(parts, part{name, at})
		s.skip("")
		if s.peek() != '.' {
			return parts, true
		}
		if len(parts) == MaxDepth {
			s.deep = true
			return nil, false
		}
		s.pos++
	}
}

func (s *scanner) key() (string, bool) {
	start := s.pos
	switch s.peek() {
	case '"':
		if !s.quoted('"') {
			return "", false
		}
		return unescape(s.src[start+1 : s.pos-1]), true
	case '\'':
		if !s.quoted('\'') {
			return "", false
		}
		return s.src[start+1 : s.pos-1], true
	}
	for s.pos < len(s.src) && strings.IndexByte(" \t\r\n.=[]{},\"'#", s.src[s.pos]) < 0 {
		s.pos++
	}
	return s.src[start:s.pos], s.pos > start
}

func (s *scanner) value(n *Node, depth int) bool {
	n.Val = s.pos
	if depth > MaxDepth {
		s.deep = true
		return false
	}
	switch c := s.peek(); c {
	case '"', '\'':
		if s.has(strings.Repeat(string(c), 3)) {
			return s.long(c)
		}
		return s.quoted(c)
	case '[':
		return s.array(n, depth)
	case '{':
		return s.inline(n, depth)
	}
	start := s.pos
	for s.pos < len(s.src) && strings.IndexByte(",]}#\n", s.src[s.pos]) < 0 {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) array(n *Node, depth int) bool {
	s.pos++
	for {
		s.skip("\n#,")
		if s.pos == len(s.src) {
			return false
		}
		if s.peek() == ']' {
			s.pos++
			return true
		}
		item := &Node{Key: s.pos}
		n.Items = append(n.Items, item)
		if !s.value(item, depth+1) {
			return false
		}
	}
}

func (s *scanner) inline(n *Node, depth int) bool {
	s.pos++
	for {
		s.skip("\n#,")
		if s.pos == len(s.src) {
			return false
		}
		if s.peek() == '}' {
			s.pos++
			return true
		}
		if !s.pair(n, depth) {
			return false
		}
	}
}

// quoted passes over a one-line string.
func (s *scanner) quoted(q byte) bool {
	for s.pos++; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == q:
			s.pos++
			return true
		case c == '\n':
			return false
		case c == '\\' && q == '"':
			s.pos++
		}
	}
	s.pos = min(s.pos, len(s.src))
	return false
}

// long passes over a string in triple quotes. Up to two quotes may stand right before
// the closing three.
func (s *scanner) long(q byte) bool {
	for s.pos += 3; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == q:
			run := 1
			for run < 5 && s.pos+run < len(s.src) && s.src[s.pos+run] == q {
				run++
			}
			s.pos += run
			if run >= 3 {
				return true
			}
			s.pos--
		case c == '\\' && q == '"':
			s.pos++
		}
	}
	s.pos = min(s.pos, len(s.src))
	return false
}

// unescape decodes the escapes of a quoted key. It keeps an invalid escape, which the
// decoder has refused.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		digits := 0
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'f':
			b.WriteByte('\f')
		case 'r':
			b.WriteByte('\r')
		case 'e':
			b.WriteByte(0x1b)
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			b.WriteByte(s[i])
		}
		if end := i + 1 + digits; digits > 0 && end <= len(s) {
			r, _ := strconv.ParseUint(s[i+1:end], 16, 32)
			b.WriteRune(rune(r))
			i += digits
		}
	}
	return b.String()
}
