package rpc

import (
	"slices"
	"testing"
)

// FieldsOf must find the same as Fields and Elements.
func TestFieldsOfIsFieldsAndElements(t *testing.T) {
	for _, object := range []string{
		`{}`, `{"list":[]}`, `{"list":[1]}`, `{"a":1,"list":[{"x":[1,2]},"]", [] ,null],"b":"]"}`, ` { "list" : [ 1 , "a,b" ] , "a" : [3] } `,
		`{"list":{"a":[1]},"a":2}`, `{"list":"[1,2]"}`, `{"a":[1,2,3]}`, `{"l\u0069st":[1,2],"a":4}`, `[1,2]`, `"list"`, `{"LIST":[1]}`, `{"list":[1],"A":2}`,
	} {
		if _, err := View([]byte(`{"jsonrpc":"2.0","id":1,"result":` + object + `}`)); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		known := []string{"a", "list"}
		var want, got [2][]byte
		werr := Fields([]byte(object), known, want[:])
		elements, err := FieldsOf([]byte(object), known, got[:], 100)
		if (err == nil) != (werr == nil) || err != nil && err.Error() != werr.Error() {
			t.Errorf("%s: %v, want %v", object, err, werr)
		}
		if err != nil {
			continue
		}
		for i := range known {
			if string(want[i]) != string(got[i]) {
				t.Errorf("%s: %s is %q, want %q", object, known[i], got[i], want[i])
			}
		}
		var all []string
		for raw := range Elements(want[1]) {
			all = append(all, string(raw))
		}
		var collected []string
		for _, raw := range elements {
			collected = append(collected, string(raw))
		}
		if !slices.Equal(all, collected) || (elements != nil) != IsArray(want[1]) {
			t.Errorf("%s: elements %q, want %q", object, collected, all)
		}
	}
}

// The result for other text does not matter, but the process must survive.
func TestFieldsOfTextThatIsNone(t *testing.T) {
	for _, text := range []string{``, `{`, `{"list"`, `{"list":`, `{"list":[`, `{"list":[1,2`, `{"list":[,]}`, `{"list":[1 2]}`, `{"list":[}`, `{"list":["`, `{"list":[\`} {
		var values [1][]byte
		_, _ = FieldsOf([]byte(text), []string{"list"}, values[:], 100)
	}
}

// A list of millions of empty elements must not be stored only to be refused.
func TestFieldsOfKeepsNoMoreThanItIsTold(t *testing.T) {
	var values [2][]byte
	elements, err := FieldsOf([]byte(`{"list":[1,2,3,4,5],"a":7}`), []string{"a", "list"}, values[:], 2)
	if err != nil || len(elements) != 3 || string(values[0]) != "7" || string(values[1]) != "[1,2,3,4,5]" {
		t.Errorf("%d elements, %q, %v", len(elements), values, err)
	}
}

// Names that differ in half of a surrogate pair are different names: if they counted as
// one, an approval of the first would cover the second.
func TestCutPairsDiffer(t *testing.T) {
	texts := map[string]bool{}
	for _, raw := range []string{`"a\ud83d"`, `"a\ud83e"`, `"a\udc00"`, `"a\ufffd"`, `"a"`, `"a\ude00\ud83d"`, `"a\ud83d\ude00"`} {
		text, ok := Text([]byte(raw))
		if !ok || texts[text] {
			t.Errorf("%s is %q, %v", raw, text, ok)
		}
		texts[text] = true
	}
}

// Two SDKs accept "2" for 2. A text that they do not parse as the number is a different
// id.
func TestOtherID(t *testing.T) {
	for id, want := range map[string]string{
		`2`: `"2"`, `"2"`: `2`, `0`: `"0"`, `"-7"`: `-7`, `"02"`: ``, `"-"`: ``, `"-0"`: ``, `" 2"`: ``, `"2.0"`: ``, `"1e3"`: ``, `""`: ``, `"a"`: ``, `null`: ``,
	} {
		if got := string(OtherID([]byte(id))); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}
