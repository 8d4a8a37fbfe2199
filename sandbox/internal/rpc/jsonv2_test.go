//go:build goexperiment.jsonv2

package rpc_test

import (
	"encoding/json/jsontext"
	"errors"
	"testing"
	"unicode/utf8"

	"mcpen/sandbox/internal/rpc"
)

// FuzzViewStrict compares View with the strict reader of encoding/json/v2, which itself
// refuses duplicate keys, invalid UTF-8 and lone surrogates. View allows the last in
// texts.
func FuzzViewStrict(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := rpc.View(line)
		strict := jsontext.Value(line).IsValid()
		if m.Kind == rpc.Batch {
			return
		}
		lenient := utf8.Valid(line) && jsontext.Value(line).IsValid(jsontext.AllowInvalidUTF8(true))
		if err == nil && !strict && !lenient {
			t.Fatalf("accepted, and encoding/json/v2 refuses it: %q", line)
		}
		var r *rpc.Refusal
		if errors.As(err, &r) && strict {
			switch r.Reason {
			case rpc.Syntax, rpc.Trailing, rpc.DuplicateKey, rpc.InvalidUTF8, rpc.LoneSurrogate:
				t.Fatalf("refused for %q, and encoding/json/v2 accepts it: %q", r.Reason, line)
			}
		}
	})
}
