package guard

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mcpen/sandbox/audit"
)

// Bounds of a schema that a server sent, and of what is checked against it.
const (
	maxSchema    = 512 << 10 // bytes
	maxArguments = 1 << 20   // bytes
	maxCost      = 2000      // subschemas that one value may have to meet, counted through references
)

// schema is a compiled JSON Schema, or why there is none. One that a server sent
// is compiled when it is needed.
type schema struct {
	raw      []byte // not compiled yet
	compiled *jsonschema.Schema
	err      error
}

// nowhere loads nothing: a schema says all there is to say.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, errors.New("a schema must not refer to another document")
}

// compile makes a schema, of 2020-12 where it does not say otherwise. It reads
// no file and no network, and refuses a schema that could keep a check busy for
// long.
func compile(document any) *schema {
	const url = "mcpen:///schema.json"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{})
	if err := c.AddResource(url, document); err != nil {
		return &schema{err: err}
	}
	s, err := c.Compile(url)
	if err != nil {
		return &schema{err: err}
	}
	costs := map[*jsonschema.Schema]int{}
	if cost(s, costs) > maxCost {
		return &schema{err: errors.New("it combines too many schemas")}
	}
	return &schema{compiled: s}
}

// ready compiles what was not compiled yet.
func (s *schema) ready() *schema {
	if s.raw != nil {
		*s = *compileText(s.raw)
	}
	return s
}

// compileText compiles a schema that a server sent.
func compileText(raw []byte) *schema {
	if len(raw) > maxSchema {
		return &schema{err: fmt.Errorf("it is longer than %d bytes", maxSchema)}
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return &schema{err: err}
	}
	return compile(document)
}

// cost is the number of schemas that one value must be checked against,
// references followed. A reference to a schema that is being counted is counted
// once: checking it against the same value again is an error of the library's.
func cost(s *jsonschema.Schema, costs map[*jsonschema.Schema]int) int {
	if s == nil {
		return 0
	}
	if n, ok := costs[s]; ok {
		return n
	}
	costs[s] = 1
	n := 1
	add := func(subs ...*jsonschema.Schema) {
		for _, sub := range subs {
			n = min(n+cost(sub, costs), maxCost+1)
		}
	}
	add(s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else)
	if s.DynamicRef != nil {
		add(s.DynamicRef.Ref)
	}
	add(s.AllOf...)
	add(s.AnyOf...)
	add(s.OneOf...)
	for _, sub := range s.DependentSchemas {
		add(sub)
	}
	costs[s] = n
	for _, sub := range children(s) { // for other values: counted for themselves
		n = max(n, cost(sub, costs))
	}
	costs[s] = min(n, maxCost+1)
	return costs[s]
}

// children are the schemas for the parts of a value.
func children(s *jsonschema.Schema) []*jsonschema.Schema {
	subs := []*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Items2020, s.Contains, s.UnevaluatedItems, s.ContentSchema}
	for _, sub := range s.Properties {
		subs = append(subs, sub)
	}
	for _, sub := range s.PatternProperties {
		subs = append(subs, sub)
	}
	subs = append(subs, s.PrefixItems...)
	for _, any := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch v := any.(type) {
		case *jsonschema.Schema:
			subs = append(subs, v)
		case []*jsonschema.Schema:
			subs = append(subs, v...)
		}
	}
	return subs
}

// check reports what is wrong with arguments, in one line that may quote them,
// and where; why is "" where nothing is.
func (s *schema) check(arguments []byte) (why, where string) {
	if len(arguments) > maxArguments {
		return fmt.Sprintf("they are longer than %d bytes", maxArguments), ""
	}
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = []byte("{}")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(arguments))
	if err != nil {
		return "they are not JSON", ""
	}
	var invalid *jsonschema.ValidationError
	switch err := s.compiled.Validate(value); {
	case err == nil:
		return "", ""
	case errors.As(err, &invalid):
		for len(invalid.Causes) > 0 {
			invalid = invalid.Causes[0]
		}
		text := invalid.Error()
		if i := strings.LastIndex(text, "- at "); i >= 0 {
			text = text[i+2:]
		}
		return oneLine(text), oneLine("/" + strings.Join(invalid.InstanceLocation, "/"))
	default:
		return "they cannot be checked", ""
	}
}

// oneLine is a text that may come from a stranger, short and without controls.
func oneLine(text string) string {
	const most = 300
	if len(text) > most {
		text = text[:most] + "…"
	}
	return audit.Visible(strings.ReplaceAll(text, "\n", " "))
}
