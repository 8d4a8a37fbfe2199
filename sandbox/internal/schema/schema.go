// Package schema checks values against JSON Schemas from a profile or a server. It
// loads nothing: a schema must be complete. It refuses schemas that could keep a check
// busy for long, and numbers that it cannot compare exactly.
//
// Schemas are of draft 2020-12, or of draft-07 if $schema says so.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Bounds on a schema and on the values checked against it.
const (
	maxSchema  = 512 << 10 // bytes
	maxValue   = 1 << 20   // bytes
	maxSchemas = 10_000    // in one schema
	maxPlace   = 2 << 10   // bytes of a JSON Pointer to one of them: each keeps its own
	maxCost    = 2000      // schemas that one value may have to meet, references followed
	maxWork    = 64 << 20  // bytes that one check may read, each as often as a schema asks for it
	maxDepth   = 128       // of schemas in a schema, and of a value
)

// Schema is a compiled schema. Any goroutine may call its methods.
type Schema struct {
	resolved *jsonschema.Resolved
	root     *node
	total    int
}

// Compile compiles a schema. The error is one line that names the fault and its place.
func Compile(text []byte) (*Schema, error) {
	if len(text) > maxSchema {
		return nil, fmt.Errorf("it is longer than %d bytes", maxSchema)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("it is not JSON: %v", err)
	}
	r := reader{root: tree, nodes: map[string]*node{}, raw: map[string]any{}}
	root, err := r.read(tree, "", 0)
	if err != nil {
		return nil, oneLine(err)
	}
	for _, at := range slices.Sorted(maps.Keys(r.nodes)) {
		if err := r.nodes[at].countCost(); err != nil {
			return nil, oneLine(err)
		}
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		at, cause := r.narrow(err)
		return nil, oneLine(fmt.Errorf("%s cannot be read: %v", place(at), cause))
	}
	s.ID = "" // only references within the document are followed, so it names nothing
	s.Schema, _ = draft(s.Schema)
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{Loader: nil})
	if err != nil {
		return nil, oneLine(err)
	}
	return &Schema{resolved, root, root.countTotal(map[*node]bool{})}, nil
}

// narrow finds an innermost schema that is invalid: the library does not report the
// place.
func (r *reader) narrow(err error) (string, error) {
	best := ""
	for at, m := range r.raw {
		if len(at) <= len(best) {
			continue
		}
		text, _ := json.Marshal(m) // it came from JSON
		if cause := json.Unmarshal(text, new(jsonschema.Schema)); cause != nil {
			best, err = at, cause
		}
	}
	return best, err
}

// Invalid is Validate's error for a value that violates the schema.
type Invalid struct {
	Where string // a JSON Pointer into the value, with * for the index of an element; its text comes from the schema, never from the value
	Why   string // one line; it may quote the value
}

// Error is the place and the reason.
func (e *Invalid) Error() string { return "at " + e.Where + ": " + e.Why }

// Validate checks a value in JSON. The error is one line; it is an *Invalid if the
// value violates the schema.
func (s *Schema) Validate(text []byte) error {
	if len(text) > maxValue {
		return fmt.Errorf("it is longer than %d bytes", maxValue)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return errors.New("it is not JSON")
	}
	value, err := exact(value, 0)
	if err != nil {
		return err
	}
	if s.total*(len(text)+8) > maxWork && work(map[*node]int{s.root: 1}, value) > maxWork {
		return errors.New("it is too large to be checked against this schema")
	}
	if err := s.resolved.Validate(value); err != nil {
		return invalid(err)
	}
	return nil
}

// invalid splits an error of the library: "validating root: validating /properties/a:
// type: …" names the schemas on the way.
func invalid(err error) *Invalid {
	text, at, where := err.Error(), "", ""
	for {
		rest, ok := strings.CutPrefix(text, "validating ")
		if !ok {
			break
		}
		next, why, ok := strings.Cut(rest, ": ")
		if !ok {
			break
		}
		if next == "root" {
			next = ""
		}
		if step, below := strings.CutPrefix(next, at+"/"); below {
			where += into(step)
		}
		at, text = next, why
	}
	if where == "" {
		where = "/"
	}
	return &Invalid{Where: oneLine(errors.New(where)).Error(), Why: oneLine(errors.New(nameless(text))).Error()}
}

// nameless removes the names that the library gives to schemas without one.
func nameless(text string) string {
	const none = "<anonymous schema>"
	for {
		i := strings.Index(text, "["+none)
		if i < 0 {
			return strings.ReplaceAll(text, none, "it")
		}
		end := strings.IndexByte(text[i:], ']')
		if end < 0 {
			return text
		}
		text = text[:i] + "them" + text[i+end+1:]
	}
}

// into is the part of a value to which a step from one schema to another leads.
func into(step string) string {
	word, key, _ := strings.Cut(step, "/")
	switch word {
	case "properties":
		return "/" + key
	case "patternProperties", "additionalProperties", "unevaluatedProperties", "items", "prefixItems", "additionalItems", "contains", "unevaluatedItems":
		return "/*"
	}
	return ""
}

// exact converts numbers to the type that the library compares, and refuses those that
// the conversion would change: otherwise a rule about 9007199254740993 would accept
// 9007199254740992.
func exact(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil || math.Abs(f) >= 1<<53 {
			return nil, fmt.Errorf("the number %.40s is too large to be compared exactly", v.String())
		}
		return f, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = exact(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			var err error
			if v[k], err = exact(v[k], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// oneLine shortens an error to one line.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return errors.New(text)
}
