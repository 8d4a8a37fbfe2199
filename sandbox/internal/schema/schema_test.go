package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A rule on arguments that accepts a forbidden value protects nothing.
func TestValidate(t *testing.T) {
	for _, row := range []struct{ schema, value, want string }{
		{`{"properties":{"owner":{"const":"acme"}},"required":["owner"]}`, `{"owner":"acme"}`, ""},
		{`{"properties":{"owner":{"const":"acme"}},"required":["owner"]}`, `{"owner":"other"}`, "const"},
		{`{"properties":{"owner":{"const":"acme"}},"required":["owner"]}`, `{}`, "required"},
		{`{"additionalProperties":false}`, `{"x":1}`, "additional"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"n":{"type":"integer"}},"properties":{"a":{"$ref":"#/definitions/n"}}}`, `{"a":"x"}`, "type"},
		{`{"$defs":{"n":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/n"}}}`, `{"a":1}`, ""},
		{`{"const":1}`, `9007199254740993`, "too large"},
		{`{"type":"object"}`, `{`, "not JSON"},
	} {
		s, err := Compile([]byte(row.schema))
		if err != nil {
			t.Errorf("Compile(%s): %v", row.schema, err)
			continue
		}
		err = s.Validate([]byte(row.value))
		if (row.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s against %s: %v, want %q", row.value, row.schema, err, row.want)
		}
	}
}

// A server's own schema must not keep the launcher busy or make it fetch anything.
func TestCompileRefuses(t *testing.T) {
	bomb := `{"$defs":{"a0":{"type":"string"}`
	for i := 1; i <= 40; i++ {
		bomb += fmt.Sprintf(`,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i, i-1, i-1)
	}
	bomb += `},"$ref":"#/$defs/a40"}`
	for _, row := range []struct{ schema, want string }{
		{bomb, "too many"},
		{`{"$ref":"https://elsewhere.example/s.json"}`, "only a place in itself"},
		{`{"$ref":"other.json"}`, "only a place in itself"},
		{`{"$dynamicRef":"#x"}`, "not followed"},
		{`{"$ref":"#/$defs/gone"}`, "not there"},
		{`{"$ref":"#"}`, "itself"},
		{`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#"}}}}`, "itself"},
		{`{"type":7}`, ""},
		{`{"properties":{"type":{"type":"strin"}}}`, "/properties/type is no type"},
		{`{"type":["object","nul"]}`, "no type"},
		{`{"properties":{"a":{"items":{"pattern":"("}}}}`, "/properties/a/items"},
		{`{"properties":{"a":{},"b":{"anyOf":[{},{"minimum":"x"}]}}}`, "/properties/b/anyOf/1"},
		{`{"properties":{"a":7}}`, "/properties/a is no schema"},
		{`{"$REF":"#"}`, "taken for another word"},
		{`{"properties":{"a":{"allof":[{"$ref":"#/properties/a"}]}}}`, "taken for another word"},
		{`{"properties":{"default":` + bomb + `}}`, "not there"},
		{`{"properties":{"default":{"$ref":"#/properties/default"}}}`, "itself"},
		{`{"$defs":{"a b":{"$ref":"#/$defs/a%20b"}},"$ref":"#/$defs/a%20b"}`, "itself"},
		{`{"$defs":{"a":{"$id":"https://x.example/","$ref":"#"}},"$ref":"#/$defs/a"}`, "$id"},
		{`{"$schema":"http://json-schema.org/draft-04/schema#"}`, "$schema"},
		{`{"$defs":{"` + strings.Repeat("a", maxPlace) + `":{}}}`, "longer"},
		{`{"allOf":[` + strings.Repeat(`{},`, maxSchemas) + `{}]}`, "more than"},
		{strings.Repeat(`{"not":`, 200) + `{}` + strings.Repeat(`}`, 200), "nested"},
		{strings.Repeat(" ", maxSchema+1), "longer"},
	} {
		if _, err := Compile([]byte(row.schema)); err == nil || len(err.Error()) > 400 || !strings.Contains(err.Error(), row.want) {
			t.Errorf("Compile(%.60s): %v, want %q", row.schema, err, row.want)
		}
	}
}

// A reference to the schema itself must end.
func TestRecursion(t *testing.T) {
	s, err := Compile([]byte(`{"properties":{"next":{"$ref":"#"}},"required":["v"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate([]byte(`{"v":1,"next":{"v":1,"next":{}}}`)); err == nil {
		t.Error("the third level lacks what is required and was accepted")
	}
}

// A person needs the place; the log must not contain the value.
func TestInvalidNamesThePlace(t *testing.T) {
	s, err := Compile([]byte(`{"$defs":{"n":{"properties":{"deep":{"type":"integer"}}}},
		"properties":{"list":{"items":{"properties":{"x/y":{"enum":["a"]}}}},"other":{"$ref":"#/$defs/n"},"b":{"allOf":[{"minimum":3}]},"c":{"oneOf":[{"type":"string"},{"const":1}]},"d":{"anyOf":[{"type":"string"}]},"e":{"not":{"const":1}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`{"list":[{"x/y":"secret"}]}`: "/list/*/x~1y",
		`{"other":{"deep":"secret"}}`: "/other/deep",
		`{"b":1}`:                     "/b",
		`{"c":[]}`:                    "/c",
		`{"d":1}`:                     "/d",
		`{"e":1}`:                     "/e",
	} {
		err := s.Validate([]byte(value))
		var invalid *Invalid
		if !errors.As(err, &invalid) || invalid.Where != want || invalid.Why == "" || strings.Contains(invalid.Why, "anonymous") {
			t.Errorf("%s: %v, want it at %s", value, err, want)
		}
	}
	if err := s.Validate([]byte(`{"list":[{"x/y":"a"}],"other":{"deep":1},"b":3}`)); err != nil {
		t.Errorf("a value that meets the schema: %v", err)
	}
}

// A schema that refers to itself in two ways is checked 2^n times at depth n. Values
// that trigger this are refused, and others are checked.
func TestValidateEnds(t *testing.T) {
	s, err := Compile([]byte(`{"allOf":[{"properties":{"x":{"$ref":"#"}}},{"properties":{"x":{"$ref":"#"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	deep := func(n int) []byte { return []byte(strings.Repeat(`{"x":`, n) + `1` + strings.Repeat(`}`, n)) }
	if err := s.Validate(deep(4)); err != nil {
		t.Errorf("4 deep: %v", err)
	}
	if err := s.Validate(deep(60)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("60 deep: %v", err)
	}
	if err := s.Validate(deep(maxDepth + 2)); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("deeper than any value may be: %v", err)
	}
	once, err := Compile([]byte(`{"properties":{"x":{"$ref":"#"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := once.Validate(deep(100)); err != nil {
		t.Errorf("by one way, 100 deep: %v", err)
	}
}

// A check reads no more than its bound, whatever the schema compares with.
func TestValidateIsBounded(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("1,", 5000), ",")
	s, err := Compile([]byte(`{"items":{"enum":[` + many + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate([]byte(`[` + many + "," + many + "," + many + `]`)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("15000 values against 5000: %v", err)
	}
	if err := s.Validate([]byte(`[1,1,1]`)); err != nil {
		t.Errorf("3 values: %v", err)
	}
}

// FuzzCompile checks that a stranger's schema and value can fail no more than their own
// call.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{`{"properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"type":["integer","null"]}}}`, `true`, `[]`, `{"items":[{}],"$schema":"http://json-schema.org/draft-07/schema#"}`,
		`{"allOf":[{"not":{"enum":[1,"a",null]}}],"dependencies":{"a":["b"],"c":{}}}`, `{"patternProperties":{"^a":false},"additionalProperties":{"$ref":"#"},"unevaluatedProperties":false}`,
		`{"if":{"contains":{"const":1}},"then":{"prefixItems":[true]},"else":{"uniqueItems":true},"multipleOf":0.1}`, `{"$REF":"#"}`, `{"type":null,"required":null,"enum":null,"default":{"a":1}}`} {
		f.Add([]byte(s), []byte(`{"a":[1,1,{"c":"x"}]}`))
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		s, err := Compile(schema)
		if err != nil {
			if err.Error() == "" || strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("%q: %q", schema, err)
			}
			return
		}
		if err := s.Validate(value); err != nil && strings.ContainsAny(err.Error(), "\n") {
			t.Fatalf("%q against %q: %q", value, schema, err)
		}
	})
}
