package plan

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"unicode/utf8"
)

// A server that gets a different argument or folder than outside acts differently
// there, or fails for no reason that anybody sees.
func TestBytesSurvive(t *testing.T) {
	type order struct {
		Plan    Plan
		Secrets map[string]string
	}
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, rng.IntN(12))
		for i := range b {
			b[i] = "a\xff\xe9\x80\xc3\xa9\xf4\x8f\xbf\xbc\xbd/\xef\\u"[rng.IntN(15)]
		}
		return string(b) + []string{"", "\ufffd", `\ufffd`, "\U0010ff00", "\U0010ffff", "é", "\U0010feff"}[rng.IntN(7)]
	}
	raw := 0
	for range 5000 {
		in := order{Plan{Version: Version, Name: text(), Process: Process{Path: text(), Args: []string{text(), text()}, Env: []Env{{Name: text(), Value: text()}}},
			Root: []Mount{{Kind: MountBind, Target: text(), Source: text(), Content: text()}}, Limits: []Limit{}}, map[string]string{text(): text()}}
		data, err := Encode(in)
		if err != nil || !utf8.Valid(data) {
			t.Fatalf("%q: %v", data, err)
		}
		var out order
		if err := Decode(data, &out); err != nil {
			t.Fatal(err)
		}
		in.Plan.Root[0].Kind = out.Plan.Root[0].Kind
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("%+v\nbecomes\n%+v", in, out)
		}
		if !utf8.ValidString(in.Plan.Process.Path) {
			raw++
		}
	}
	if raw < 1000 {
		t.Errorf("only %d paths were not UTF-8", raw)
	}
	// A replacement character that was written as such is ordinary text.
	if data, err := Encode([]string{"\ufffd\xff"}); err != nil || string(data) != "[\"\ufffd\U0010ffff\"]" {
		t.Errorf("%q, %v", data, err)
	}
	// Different values have different digests.
	a, b := Plan{Process: Process{Args: []string{"a\xe9"}}}, Plan{Process: Process{Args: []string{"a\xe8"}}}
	if a.Digest() == b.Digest() {
		t.Error("two plans with one digest")
	}
}

// Valid text stays ordinary JSON. Other bytes survive in pointers, maps, lists and any,
// and a nil stays nil.
func TestBytesSurviveInEveryShape(t *testing.T) {
	type inner struct{ S string }
	type shape struct {
		P, Nil  *inner
		L, None []string
		M, No   map[string]string
		A, Zero any
		N       int
		hidden  string
	}
	const raw = "a\xff"
	in := shape{P: &inner{raw}, L: []string{raw, ""}, M: map[string]string{raw: raw}, A: map[string]any{"k": []any{raw, 1.5, nil}}, N: 7, hidden: raw}
	data, err := Encode(in)
	if err != nil || !utf8.Valid(data) {
		t.Fatalf("%q, %v", data, err)
	}
	var out shape
	if err := Decode(data, &out); err != nil {
		t.Fatal(err)
	}
	in.hidden = ""
	if !reflect.DeepEqual(in, out) {
		t.Errorf("%+v becomes %+v", in, out)
	}
	for text, want := range map[string]string{"": `""`, "a": `"a"`, "\ufffd": `"` + "\ufffd" + `"`, raw: "\"a\U0010ffff\"", "\U0010ff41": "\"\U0010fff4\U0010ff8f\U0010ffbd\U0010ff81\""} {
		if data, err := Encode(text); string(data) != want || err != nil {
			t.Errorf("%q is %s, want %s (%v)", text, data, want, err)
		}
	}
	if _, err := Encode(make(chan int)); err == nil {
		t.Error("a channel is JSON")
	}
	var s string
	if err := Decode([]byte("{"), &s); err == nil {
		t.Error("half of an object is a text")
	}
	if err := Decode([]byte("7"), &s); err == nil {
		t.Error("a number is a text")
	}
}
