package guard

import (
	"bytes"
	"testing"

	"github.com/gowebpki/jcs"

	"mcpen/sandbox/internal/rpc"
)

// FuzzCanonical holds the canonical form against the library's, for hashes that
// depend on who computed them approve nothing.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `[[],{}]`, `""`, `{"b":1,"a":{"d":[1,2,{"z":0,"y":null}],"c":"x"}}`, ` { "b" : [ 1 , 2 ] , "a" : true } `,
		`{"\ud83d\ude00":1,"\uffee":2,"é":3,"a":4,"\u0061b":5}`, `["\u0001\b\f\n\r\t\"\\\/\u007f\u2028","é\"","\\"]`,
		`[0,-0,1.0,1e3,1E-7,123456789012345,1234567890123456,-5,-0.0,0.1,1e21,true,false,null]`, `"a\\"`, `-0`, `7`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := rpc.View(append(append([]byte(resultLine), raw...), '}')); err != nil || bytes.ContainsAny(raw, "\r\n") {
			return
		}
		want, err1 := jcs.Transform(raw)
		got, err2 := canonical(raw)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q:\n%q, %v, want\n%q, %v", raw, got, err2, want, err1)
		}
		again, err := checked(got)
		if err2 == nil && (err != nil || !bytes.Equal(again, got)) {
			t.Fatalf("%q becomes %q (%v) the second time", got, again, err)
		}
	})
}
