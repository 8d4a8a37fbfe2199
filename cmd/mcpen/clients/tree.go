package clients

import (
	"errors"
	"fmt"
	"slices"
)

// kind is the type of a value in a file.
type kind int

const (
	kindOther  kind = iota // a number, a truth value, a date, nothing
	kindText               // a string
	kindList               // items
	kindObject             // members
)

// node is a value of a client's file and its position. All three formats give the same
// tree, so the code that reads servers and the code that splices know no format.
type node struct {
	kind       kind
	start, end int      // its bytes; -1 if they are not in one piece, such as a table of TOML
	text       string   // the string's value, or another scalar as written
	members    []member // in the order of the file
	items      []*node
	block      bool   // a list or an object of YAML without brackets
	fixed      string // why its bytes cannot be spliced; "" if they can
}

// member is a key of an object and its value.
type member struct {
	key        string
	lead       int // where the whole key begins: of TOML's dotted ones, the first part
	start, end int // the key's own bytes
	value      *node
}

// get is the value of a key, or nil.
func (n *node) get(key string) *node {
	if m := n.member(key); m != nil {
		return m.value
	}
	return nil
}

func (n *node) member(key string) *member {
	if n == nil || n.kind != kindObject {
		return nil
	}
	if i := slices.IndexFunc(n.members, func(m member) bool { return m.key == key }); i >= 0 {
		return &n.members[i]
	}
	return nil
}

// texts are the strings of a list, and whether it holds nothing else.
func (n *node) texts() ([]string, bool) {
	if n == nil || n.kind != kindList {
		return nil, false
	}
	out := make([]string, len(n.items))
	for i, item := range n.items {
		if item.kind != kindText {
			return nil, false
		}
		out[i] = item.text
	}
	return out, true
}

// same reports whether two trees say the same, wherever they stand.
func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) || len(a.members) != len(b.members) {
		return false
	}
	for i := range a.items {
		if !same(a.items[i], b.items[i]) {
			return false
		}
	}
	for i := range a.members {
		if a.members[i].key != b.members[i].key || !same(a.members[i].value, b.members[i].value) {
			return false
		}
	}
	return true
}

// unique is an error where a tree has an object with one key twice: parsers do not
// agree on which of the two counts.
func unique(n *node) error {
	seen := make(map[string]bool, len(n.members))
	for _, m := range n.members {
		if seen[m.key] {
			return fmt.Errorf("it has the key %q twice, and programs differ in which one they take", m.key)
		}
		seen[m.key] = true
		if err := unique(m.value); err != nil {
			return err
		}
	}
	for _, item := range n.items {
		if err := unique(item); err != nil {
			return err
		}
	}
	return nil
}

// maxDepth is how deep a file may nest: parsers recurse.
const maxDepth = 1000

var errDeep = errors.New("it nests too deep")

// shallow is an error if brackets nest deeper than in any client's file. Those in
// strings and comments count, too.
func shallow(data []byte) error {
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			if depth++; depth > maxDepth {
				return errDeep
			}
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return nil
}
