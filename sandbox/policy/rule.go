package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"mcpen/sandbox/internal/schema"
)

// maxRules bounds the rules of one file: each one needs a schema compiler of its own.
const maxRules = 256

// readRule reads [tools.rule.NAME]: per-minute and concurrent. Every other key is part
// of a JSON Schema (2020-12) that the call's arguments must meet.
func readRule(v value, tool string) (ToolRule, bool) {
	r := ToolRule{Tool: tool, At: v.doc.lines.pos(v.node.Key)}
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
	found := len(v.doc.list)
	schema := readSchema(t, t.known)
	if len(v.doc.list) > found || len(schema) == 0 {
		return r, len(v.doc.list) == found
	}
	if err := checkSchema(schema); err != nil {
		t.doc.add(r.At, t.key, "", "%v", err)
		return r, false
	}
	r.Schema = schema
	return r, true
}

// The kinds of values of JSON Schema's keywords.
const (
	oneSchema  = "schema"
	schemaList = "schemas"
	schemaMap  = "named schemas"
	anyValue   = "value"
)

// schemaWords are the JSON Schema keywords that a rule may use. A validator ignores an
// unknown keyword, so a misspelt one would silently check nothing.
var schemaWords = map[string]string{
	"$comment": anyValue, "$defs": schemaMap, "$ref": anyValue, "additionalProperties": oneSchema,
	"allOf": schemaList, "anyOf": schemaList, "const": anyValue, "contains": oneSchema,
	"dependentRequired": anyValue, "dependentSchemas": schemaMap, "description": anyValue, "else": oneSchema,
	"enum": anyValue, "exclusiveMaximum": anyValue, "exclusiveMinimum": anyValue, "if": oneSchema,
	"items": oneSchema, "maxContains": anyValue, "maxItems": anyValue, "maxLength": anyValue,
	"maxProperties": anyValue, "maximum": anyValue, "minContains": anyValue, "minItems": anyValue,
	"minLength": anyValue, "minProperties": anyValue, "minimum": anyValue, "multipleOf": anyValue,
	"not": oneSchema, "oneOf": schemaList, "pattern": anyValue, "patternProperties": schemaMap,
	"prefixItems": schemaList, "properties": schemaMap, "propertyNames": oneSchema, "required": anyValue,
	"then": oneSchema, "title": anyValue, "type": anyValue, "unevaluatedItems": oneSchema,
	"unevaluatedProperties": oneSchema, "uniqueItems": anyValue,
}

// readSchema reads one schema, including every nested one. own are the keys that belong
// to the rule and not to the schema.
func readSchema(t *table, own []string) map[string]any {
	schema := make(map[string]any)
	for _, k := range t.names() {
		if slices.Contains(own, k) {
			continue
		}
		v, _ := t.get(k)
		kind, ok := schemaWords[k]
		if !ok {
			t.doc.add(t.doc.lines.pos(v.node.Key), v.key, t.doc.guess(k, append(slices.Sorted(maps.Keys(schemaWords)), own...)),
				"is no word of JSON Schema that a rule knows")
			continue
		}
		schema[k] = readSchemaValue(v, kind)
	}
	return schema
}

// readSchemaValue reads a keyword's value. It passes a value of the wrong shape on to
// checkSchema, which reports it.
func readSchemaValue(v value, kind string) any {
	switch x := v.v.(type) {
	case map[string]any:
		switch kind {
		case oneSchema:
			return readSchema(v.table(), nil)
		case schemaMap:
			t, out := v.table(), make(map[string]any, len(x))
			for _, name := range t.names() {
				sub, _ := t.get(name)
				out[name] = readSchemaValue(sub, oneSchema)
			}
			return out
		}
	case []any:
		if kind == schemaList {
			return readSchemas(v, x)
		}
	case []map[string]any:
		if kind == schemaList {
			return readSchemas(v, x)
		}
	}
	out, err := plainJSON(v.v)
	if err != nil {
		v.bad(err)
	}
	return out
}

func readSchemas[T any](v value, items []T) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = readSchemaValue(value{v.doc, item, fmt.Sprintf("%s[%d]", v.key, i), v.node.Item(i)}, oneSchema)
	}
	return out
}

// plainJSON converts the value to the types of encoding/json. It returns an error for a
// value that JSON cannot express.
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

// checkSchema compiles a schema and returns its error.
func checkSchema(document map[string]any) error {
	text, err := json.Marshal(document)
	if err == nil {
		_, err = schema.Compile(text)
	}
	if err != nil {
		return fmt.Errorf("is not a JSON Schema: %w", err)
	}
	return nil
}
