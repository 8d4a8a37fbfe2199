package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// readRule reads [tools.rule.NAME]: per-minute, concurrent, and every other key
// is part of a JSON Schema (2020-12) that the call's arguments must meet.
func readRule(v value, tool string) (ToolRule, bool) {
	r := ToolRule{Tool: tool, At: v.doc.lines.pos(v.node.key)}
	if tool == "" || len(tool) > 512 {
		v.doc.add(r.At, v.key, "", "is not the name of a tool")
		return r, false
	}
	t := v.table()
	if !t.wrote {
		return r, false
	}
	r.PerMinute = read(t, "per-minute", countFrom(1, 1e6, false)).v
	r.Concurrent = read(t, "concurrent", countFrom(1, 1e4, false)).v
	schema := make(map[string]any)
	for _, k := range t.names() {
		if slices.Contains(t.known, k) {
			continue
		}
		at := t.doc.lines.pos(t.node.at(k).key)
		if !slices.Contains(schemaWords, k) {
			t.doc.add(at, join(t.key, k), didYouMean(k, append(schemaWords, t.known...)),
				"is neither per-minute, concurrent nor a word of JSON Schema")
			continue
		}
		x, err := plainJSON(t.vals[k])
		if err != nil {
			t.doc.fault(at, join(t.key, k), err)
			continue
		}
		schema[k] = x
	}
	if len(schema) == 0 {
		return r, true
	}
	if err := checkSchema(schema); err != nil {
		t.doc.add(r.At, t.key, "", "%v", err)
		return r, false
	}
	r.Schema = schema
	return r, true
}

// schemaWords are the keywords that a rule may start with. A schema ignores a
// word that it does not know, so a misspelt one would be a rule that is not
// there.
var schemaWords = []string{
	"$defs", "$ref", "additionalProperties", "allOf", "anyOf", "const", "contains", "dependentRequired",
	"dependentSchemas", "description", "else", "enum", "if", "items", "maxProperties", "minProperties",
	"not", "oneOf", "patternProperties", "prefixItems", "properties", "propertyNames", "required", "then",
	"title", "type", "unevaluatedProperties",
}

// plainJSON is the value in the types that encoding/json gives, or an error for
// what JSON has not.
func plainJSON(v any) (any, error) {
	switch x := v.(type) {
	case string, bool:
		return x, nil
	case int64:
		return float64(x), exactly(x)
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, faultf("", "JSON has no %v", x)
		}
		return x, nil
	case []any:
		out := make([]any, len(x))
		for i := range x {
			var err error
			if out[i], err = plainJSON(x[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []map[string]any:
		out := make([]any, len(x))
		for i := range x {
			var err error
			if out[i], err = plainJSON(x[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			var err error
			if out[k], err = plainJSON(x[k]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, faultf("", "JSON has no dates")
}

func exactly(n int64) error {
	if n > 1<<53 || n < -(1<<53) {
		return faultf("", "%d is beyond the whole numbers that JSON programs agree on", n)
	}
	return nil
}

// offline keeps a schema from loading anything: by default the compiler opens
// files for "$ref".
type offline struct{}

func (offline) Load(url string) (any, error) {
	return nil, errors.New("a schema in a profile cannot refer to another document")
}

func checkSchema(schema map[string]any) error {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(offline{})
	const self = "rule:schema"
	if err := c.AddResource(self, schema); err != nil {
		return err
	}
	_, err := c.Compile(self)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.SchemaValidationError
	if errors.As(err, &invalid) {
		err = invalid.Err
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), self, "")), " ")
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return fmt.Errorf("is not a JSON Schema: %s", strings.ToValidUTF8(text, ""))
}
