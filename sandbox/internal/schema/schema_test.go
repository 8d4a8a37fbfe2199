package schema

import (
	"fmt"
	"strings"
	"testing"
)

// A rule on arguments that accepts what it should refuse is no rule.
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

// A server's own schema must not keep the launcher busy or make it look
// elsewhere.
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
		{`{"properties":{"type":{"type":"strin"}}}`, "no type"},
		{`{"pattern":"("}`, ""},
		{strings.Repeat(`{"not":`, 200) + `{}` + strings.Repeat(`}`, 200), "nested"},
		{strings.Repeat(" ", maxSchema+1), "longer"},
	} {
		if _, err := Compile([]byte(row.schema)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("Compile(%.60s): %v, want %q", row.schema, err, row.want)
		}
	}
}

// A reference that leads back to itself must end.
func TestRecursion(t *testing.T) {
	s, err := Compile([]byte(`{"properties":{"next":{"$ref":"#"}},"required":["v"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate([]byte(`{"v":1,"next":{"v":1,"next":{}}}`)); err == nil {
		t.Error("the third level lacks what is required and was accepted")
	}
}
