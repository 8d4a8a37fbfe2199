//go:build goexperiment.jsonv2

package definition

import (
	"bytes"
	"encoding/json/jsontext"
	"strings"
	"testing"

	"mcpen/sandbox/internal/rpc"
)

// FuzzCanonicalJSONText compares the canonical form with that of encoding/json/jsontext.
// They differ in numbers beyond a double's range, of which jsontext makes the largest
// double, and in halves of surrogate pairs, which it refuses, and in nothing else.
func FuzzCanonicalJSONText(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":{"d":[1,2,{"z":0,"y":null}],"c":"x"}}`, ` { "b" : [ 1 , 2 ] , "a" : true } `,
		`{"\ud83d\ude00":1,"\uffee":2,"é":3,"a":4,"\u0061b":5}`, `["\u0001\b\f\n\r\t\"\\\/\u007f\u2028","é\"","\\"]`,
		`[0,-0,1.0,1e3,1E-7,123456789012345,1234567890123456,-5,-0.0,0.1,1e21,true,false,null]`, `1e400`, `-1e400`, `"\ud83d"`, `{"a\udc00b":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := rpc.View(append(append([]byte(resultLine), raw...), '}')); err != nil || bytes.ContainsAny(raw, "\r\n") {
			return
		}
		got, refused := canonical(raw)
		value := jsontext.Value(bytes.Clone(raw))
		err := value.Canonicalize()
		switch {
		case refused == nil && err == nil:
			if !bytes.Equal(got, value) {
				t.Fatalf("%q:\n%q, jsontext\n%q", raw, got, value)
			}
		case refused == nil:
			if !bytes.Contains(got, []byte(`\ud`)) || !strings.Contains(err.Error(), "surrogate") {
				t.Fatalf("%q: %q, jsontext refuses it: %v", raw, got, err)
			}
		case err == nil && !strings.Contains(refused.Error(), "out of range"):
			t.Fatalf("%q: %v, jsontext %q", raw, refused, value)
		}
	})
}
