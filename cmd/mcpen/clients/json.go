package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// parseJSON reads JSON with the comments and trailing commas that clients allow.
func parseJSON(data []byte) (*node, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return &node{kind: kindObject, start: -1, end: -1}, nil
	}
	v, err := hujson.Parse(data)
	if err != nil {
		// A comment may end a file without a line end, which the parser does not take.
		if again, err := hujson.Parse(append(bytes.Clone(data), '\n')); err == nil {
			return fromJSON(&again), nil
		}
		return nil, errors.New(strings.TrimPrefix(err.Error(), "hujson: "))
	}
	return fromJSON(&v), nil
}

func fromJSON(v *hujson.Value) *node {
	n := &node{start: v.StartOffset, end: v.EndOffset}
	switch x := v.Value.(type) {
	case *hujson.Object:
		n.kind = kindObject
		for i := range x.Members {
			m := &x.Members[i]
			name, _ := m.Name.Value.(hujson.Literal) // a name is always one
			n.members = append(n.members, member{name.String(), m.Name.StartOffset, m.Name.StartOffset, m.Name.EndOffset, fromJSON(&m.Value)})
		}
	case *hujson.Array:
		n.kind = kindList
		for i := range x.Elements {
			n.items = append(n.items, fromJSON(&x.Elements[i]))
		}
	case hujson.Literal:
		n.text = string(x)
		if x.Kind() == '"' {
			n.kind, n.text = kindText, x.String()
		}
	}
	return n
}

// quoteJSON is a string of JSON. It is one of TOML and of YAML as well.
func quoteJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("internal error: a string is no JSON: " + err.Error())
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
