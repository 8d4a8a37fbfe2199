package definition

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gowebpki/jcs"

	"mcpen/sandbox/internal/rpc"
)

// FuzzCanonical compares the canonical form with the library's: a hash that depends on
// the program which computed it approves nothing.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `[[],{}]`, `""`, `{"b":1,"a":{"d":[1,2,{"z":0,"y":null}],"c":"x"}}`, ` { "b" : [ 1 , 2 ] , "a" : true } `,
		`{"\ud83d\ude00":1,"\uffee":2,"é":3,"a":4,"\u0061b":5}`, `["\u0001\b\f\n\r\t\"\\\/\u007f\u2028","é\"","\\"]`,
		`[0,-0,1.0,1e3,1E-7,123456789012345,1234567890123456,-5,-0.0,0.1,1e21,true,false,null]`, `"a\\"`, `-0`, `7`,
		`{"longerthaneight":1,"longerthan":2,"longerthan\u0041":3,"longerthan\ud83d\ude00":4,"longerthan\uffee":5,"\u0000":6,"":7}`,
		`{"name":"a","n\u0061me2":{"name":"b"},"Description":1}`, `{"x":1,"nAme":1,"y":[1e3]}`, `["\ud83d","\u0061\udC00\ud83d"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := rpc.View(append(append([]byte(resultLine), raw...), '}')); err != nil || bytes.ContainsAny(raw, "\r\n") {
			return
		}
		want, err1 := jcs.Transform(raw)
		got, err2 := canonical(raw)
		if err1 != nil && bytes.Contains(got, []byte(`\ud`)) { // half of a surrogate pair, for which RFC 8785 has no form
			if again, err := checked(got); err2 != nil || err != nil || !bytes.Equal(again, got) {
				t.Fatalf("%q becomes %q (%v) the second time", got, again, err)
			}
			return
		}
		if (err1 == nil) != (err2 == nil) || err1 == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q:\n%q, %v, want\n%q, %v", raw, got, err2, want, err1)
		}
		c, known := NewCanon(), []string{"name", "description"}
		defer c.Release()
		found, wanted := make([][]byte, len(known)), make([][]byte, len(known))
		form, err := c.Form(raw, known, found)
		if refused := rpc.Fields(raw, known, wanted); refused != nil {
			if err == nil || err.Error() != refused.Error() {
				t.Fatalf("%q: %v, want %v", raw, err, refused)
			}
		} else if err == nil && !bytes.Equal(form, want) || !slices.EqualFunc(found, wanted, bytes.Equal) {
			t.Fatalf("%q:\n%q with %q, want %q", raw, form, found, wanted)
		}
		again, err := checked(got)
		if err2 == nil && (err != nil || !bytes.Equal(again, got)) {
			t.Fatalf("%q becomes %q (%v) the second time", got, again, err)
		}
	})
}

// Half of a surrogate pair is not a character. Each one, from the first to the last,
// keeps its escape; otherwise two different definitions would have the same form.
func TestHalvesOfPairsStayEscaped(t *testing.T) {
	for text, want := range map[string]string{`"\ud7ff"`: "\"\ud7ff\"", `"\ud800"`: `"\ud800"`, `"\uD83F"`: `"\ud83f"`, `"\ud840"`: `"\ud840"`, `"\udbff"`: `"\udbff"`, `"\udc00"`: `"\udc00"`, `"\udfff"`: `"\udfff"`, `"\ue000"`: "\"\ue000\"", `"\ud83d\ude00"`: "\"\U0001F600\"", `"a\ud800b"`: `"a\ud800b"`} {
		if got, err := canonical([]byte(text)); err != nil || string(got) != want {
			t.Errorf("%s: %s, want %s (%v)", text, got, want, err)
		}
	}
}

// A number that no double holds has no canonical form. If it had the form of the largest
// double, a server could change one such number into another without a new approval.
func TestNumbersBeyondDoublesHaveNoForm(t *testing.T) {
	for text, want := range map[string]string{`1.7976931348623157e308`: "1.7976931348623157e+308", `-1.7976931348623157e308`: "-1.7976931348623157e+308", `1.7976931348623159e308`: "", `1e400`: "", `-1e400`: "", `[{"a":1e400}]`: "", `5e-324`: "5e-324", `1e-400`: "0", `9007199254740993`: "9007199254740992"} {
		if got, err := canonical([]byte(text)); string(got) != want && want != "" || (err == nil) != (want != "") {
			t.Errorf("%s: %s, want %q (%v)", text, got, want, err)
		}
	}
}
