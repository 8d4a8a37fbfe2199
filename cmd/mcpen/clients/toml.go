package clients

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/BurntSushi/toml"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseTOML reads TOML. One parser says whether the file is good, duplicate keys and
// all, and another one where its values stand.
func parseTOML(data []byte) (*node, error) {
	var anything map[string]any
	if _, err := toml.Decode(string(data), &anything); err != nil {
		return nil, errors.New(err.Error())
	}
	root := &node{kind: kindObject, start: -1, end: -1, block: true}
	t := tomlReader{data: data, table: root}
	t.p.Reset(data)
	for t.p.NextExpression() {
		if err := t.expression(root, t.p.Expression()); err != nil {
			return nil, err
		}
	}
	if err := t.p.Error(); err != nil {
		return nil, errors.New(err.Error())
	}
	return root, nil
}

// tomlReader goes through a file with its parser.
type tomlReader struct {
	p     unstable.Parser
	data  []byte
	table *node // that a header opened last
}

func (t *tomlReader) expression(root *node, e *unstable.Node) error {
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable:
		keys := t.keys(e.Key())
		last := len(keys) - 1
		at, err := descend(root, keys[:last])
		if err != nil {
			return err
		}
		if t.table, err = open(at, keys[last], e.Kind == unstable.ArrayTable); err != nil {
			return err
		}
	case unstable.KeyValue:
		return t.keyValue(t.table, e)
	}
	return nil
}

// keys are the parts of a dotted key and where each stands.
func (t *tomlReader) keys(it unstable.Iterator) []member {
	var out []member
	for it.Next() {
		k := it.Node()
		start := int(k.Raw.Offset)
		out = append(out, member{key: string(k.Data), lead: start, start: start, end: start + int(k.Raw.Length)})
	}
	return out
}

func (t *tomlReader) keyValue(table *node, e *unstable.Node) error {
	keys := t.keys(e.Key())
	last := keys[len(keys)-1]
	at, err := descend(table, keys[:len(keys)-1])
	if err != nil {
		return err
	}
	start := skipTOML(t.data, last.end)
	if start == len(t.data) || t.data[start] != '=' {
		return fmt.Errorf("cannot tell where the value of %q begins", last.key)
	}
	value, err := t.value(e.Value(), skipTOML(t.data, start+1))
	if err != nil {
		return err
	}
	at.members = append(at.members, member{last.key, keys[0].start, last.start, last.end, value})
	return nil
}

// value reads a value that begins at start.
func (t *tomlReader) value(e *unstable.Node, start int) (*node, error) {
	n := &node{start: start, end: scanTOML(t.data, start), text: string(e.Data)}
	switch e.Kind {
	case unstable.String:
		n.kind = kindText
	case unstable.Array:
		n.kind, n.text = kindList, ""
		at := start + 1
		for it := e.Children(); it.Next(); {
			at = skipList(t.data, at)
			item, err := t.value(it.Node(), at)
			if err != nil {
				return nil, err
			}
			n.items, at = append(n.items, item), item.end
		}
	case unstable.InlineTable:
		n.kind, n.text = kindObject, ""
		for it := e.Children(); it.Next(); {
			if err := t.keyValue(n, it.Node()); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// descend follows keys from a table, and makes the missing tables.
func descend(at *node, keys []member) (*node, error) {
	for _, k := range keys {
		next := at.get(k.key)
		if next == nil {
			next = &node{kind: kindObject, start: -1, end: -1, block: true}
			at.members = append(at.members, member{k.key, k.lead, k.start, k.end, next})
		}
		if next.kind == kindList && len(next.items) > 0 {
			next = next.items[len(next.items)-1]
		}
		if next.kind != kindObject {
			return nil, fmt.Errorf("%q is no table", k.key)
		}
		at = next
	}
	return at, nil
}

// open returns the table of a header.
func open(at *node, k member, list bool) (*node, error) {
	if !list {
		return descend(at, []member{k})
	}
	tables := at.get(k.key)
	if tables == nil {
		tables = &node{kind: kindList, start: -1, end: -1, block: true}
		at.members = append(at.members, member{k.key, k.lead, k.start, k.end, tables})
	}
	if tables.kind != kindList {
		return nil, fmt.Errorf("%q is no list of tables", k.key)
	}
	table := &node{kind: kindObject, start: -1, end: -1, block: true}
	tables.items = append(tables.items, table)
	return table, nil
}

// skipTOML is the first byte at or behind i that is no blank.
func skipTOML(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t') {
		i++
	}
	return i
}

// skipList is the first byte at or behind i in a list that begins a value or ends it.
func skipList(data []byte, i int) int {
	for i < len(data) {
		switch data[i] {
		case ' ', '\t', '\r', '\n', ',':
			i++
		case '#':
			i = lineEnd(data, i)
		default:
			return i
		}
	}
	return i
}

// lineEnd is where the line of i ends.
func lineEnd(data []byte, i int) int {
	if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(data)
}

// scanTOML is the end of the value at i of a good file.
func scanTOML(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch c := data[i]; c {
		case '"', '\'':
			i = scanString(data, i)
			if depth == 0 {
				return i
			}
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case '#':
			if depth == 0 {
				return i
			}
			i = lineEnd(data, i)
			continue
		case ' ', '\t', '\r', '\n', ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// scanString is the end of the string of TOML at i.
func scanString(data []byte, i int) int {
	quote := data[i : i+1]
	literal := quote[0] == '\''
	if long := bytes.Repeat(quote, 3); bytes.HasPrefix(data[i:], long) {
		for i += 3; i < len(data); i++ {
			switch {
			case data[i] == '\\' && !literal:
				i++
			case bytes.HasPrefix(data[i:], long):
				for i += 3; i < len(data) && data[i] == quote[0]; i++ { // up to two quotes end the text itself
				}
				return i
			}
		}
		return len(data)
	}
	for i++; i < len(data); i++ {
		switch {
		case data[i] == '\\' && !literal:
			i++
		case data[i] == quote[0]:
			return i + 1
		}
	}
	return len(data)
}
