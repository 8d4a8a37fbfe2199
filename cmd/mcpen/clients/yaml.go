package clients

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads YAML of one document.
func parseYAML(data []byte) (*node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &node{kind: kindObject, start: -1, end: -1}, nil
	case err != nil:
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	y := yamlReader{data: data, lines: yamlLines(data)}
	if len(doc.Content) != 1 {
		return &node{kind: kindObject, start: -1, end: -1}, nil
	}
	return y.node(doc.Content[0], 0)
}

// yamlReader finds where the nodes of a file stand.
type yamlReader struct {
	data  []byte
	lines []int // where each line begins
}

// yamlLines are where lines begin, as YAML 1.1 counts them.
func yamlLines(data []byte) []int {
	lines := []int{0}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		i += size
		switch {
		case r == '\r' && i < len(data) && data[i] == '\n':
			i++
			fallthrough
		case r == '\n', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			lines = append(lines, i)
		}
	}
	return lines
}

// offset is the byte of a line and a column, which counts characters.
func (y *yamlReader) offset(line, col int) int {
	if line < 1 || line > len(y.lines) {
		return -1
	}
	i := y.lines[line-1]
	for range col - 1 {
		if i >= len(y.data) {
			return -1
		}
		_, size := utf8.DecodeRune(y.data[i:])
		i += size
	}
	return i
}

func (y *yamlReader) node(n *yaml.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	out := &node{start: y.offset(n.Line, n.Column), end: -1}
	switch {
	case n.Kind == yaml.AliasNode:
		out.fixed = "it is an alias"
	case n.Anchor != "":
		out.fixed = "it has an anchor"
	case n.Style&yaml.TaggedStyle != 0:
		out.fixed = "it has a tag"
	}
	var err error
	switch n.Kind {
	case yaml.AliasNode:
		out.text = "*" + n.Value
	case yaml.ScalarNode:
		y.scalar(n, out)
	case yaml.SequenceNode:
		out.kind, out.block = kindList, n.Style&yaml.FlowStyle == 0
		for _, c := range n.Content {
			item, err := y.node(c, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, item)
		}
		y.flowEnd(out)
	case yaml.MappingNode:
		out.kind, out.block = kindObject, n.Style&yaml.FlowStyle == 0
		err = y.mapping(n, out, depth)
	}
	return out, err
}

func (y *yamlReader) mapping(n *yaml.Node, out *node, depth int) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := y.node(n.Content[i], depth+1)
		if err != nil {
			return err
		}
		value, err := y.node(n.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		name := key.text
		if key.kind != kindText && key.kind != kindOther {
			return errors.New("a key is no text")
		}
		if name == "<<" {
			out.fixed = "it merges another one"
		}
		out.members = append(out.members, member{name, key.start, key.start, key.end, value})
	}
	return nil
}

// scalar finds the end of a scalar that stands on one line.
func (y *yamlReader) scalar(n *yaml.Node, out *node) {
	out.text = n.Value
	if n.Tag == "!!str" {
		out.kind = kindText
	}
	if out.start < 0 || out.fixed != "" {
		return
	}
	rest := y.data[out.start:]
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0 && rest[0] == '"':
		out.end = scanString(y.data, out.start)
	case n.Style&yaml.SingleQuotedStyle != 0 && rest[0] == '\'':
		out.end = out.start + singleQuoted(rest)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 && strings.HasPrefix(string(rest), n.Value):
		out.end = out.start + len(n.Value)
	}
	if out.end < 0 || bytes.ContainsAny(y.data[out.start:out.end], "\r\n") {
		out.fixed = "it is not on one line"
	}
}

// singleQuoted is the length of a single-quoted scalar.
func singleQuoted(rest []byte) int {
	for i := 1; i < len(rest); i++ {
		if rest[i] != '\'' {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '\'' {
			i++
			continue
		}
		return i + 1
	}
	return len(rest)
}

// flowEnd finds the bracket that ends a list.
func (y *yamlReader) flowEnd(n *node) {
	if n.block || n.fixed != "" || n.start < 0 || n.start >= len(y.data) || y.data[n.start] != '[' {
		return
	}
	at := n.start + 1
	for _, item := range n.items {
		if item.end < 0 {
			n.fixed = "its items are not on one line each"
			return
		}
		at = item.end
	}
	if end := skipList(y.data, at); end < len(y.data) && y.data[end] == ']' {
		n.end = end + 1
	}
}
