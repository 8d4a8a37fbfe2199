package tomlindex

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// nasty is TOML that is easy to misread. Each value "@N" lies at its own position.
//
//go:embed testdata/nasty.toml
var nasty string

func TestPositionsInNastyTOML(t *testing.T) {
	src := strings.TrimPrefix(nasty, "\uFEFF")
	root, stopped, _ := Index(src)
	if stopped >= 0 {
		t.Fatalf("stopped at %q", src[stopped:])
	}
	var vals map[string]any
	if err := toml.Unmarshal([]byte(nasty), &vals); err != nil {
		t.Fatal(err)
	}
	// Every value that starts with "@" appears in the text once: its node must point at
	// its quote.
	found := 0
	eachValue(vals, root, func(v any, n *Node) {
		s, ok := v.(string)
		if !ok {
			return
		}
		found++
		at := strings.Index(src, s[:2])
		quote := strings.TrimLeft(src[n.Val:], `"'`)
		if !strings.HasPrefix(quote, s[:2]) || at-n.Val > 3 {
			t.Errorf("%q is said to be at %.20q", s, src[n.Val:])
		}
	})
	if found != 15 {
		t.Errorf("found %d values of 15", found)
	}
}

// eachValue walks values and index together.
func eachValue(v any, n *Node, f func(any, *Node)) {
	switch x := v.(type) {
	case map[string]any:
		for k, sub := range x {
			eachValue(sub, n.At(k), f)
		}
	case []any:
		for i, sub := range x {
			eachValue(sub, n.Item(i), f)
		}
	case []map[string]any:
		for i, sub := range x {
			eachValue(sub, n.Item(i), f)
		}
	default:
		f(v, n)
	}
}

// On invalid TOML, the index stops at the offset where the TOML becomes invalid, or at
// the end.
func TestTheIndexStopsWhereTOMLDoes(t *testing.T) {
	for src, want := range map[string]int{
		"": -1, "a = 1": -1, "a = 1 # b": -1, "a = 'x' 'y'": 8, "a = 'x'": -1, "a": 1, "a =": 3, "a = 'x": 6, "a = \"x\\": 7, "a = \"x\ny\"": 6, "a = '''x": 8, "a = '''x''": 10, "a = '''x'''": -1, "a = '''x'''''": -1, "a = '''x''''''": 13,
		"a = \"\"\"x\\\"\"\"\"": -1, "a = \"\"\"x\\": 9, "a = [": 5, "a = [1": 6, "a = [1]": -1, "a = [1,,": 8, "a = {": 5, "a = {b": 6, "a = {b = 1": 10, "a = {b = 1}": -1, "[a": 2, "[a]": -1, "[[a]": 3, "[[a]]": -1, "[a] b": 4, "[]": 1, ".a = 1": 0, "a. = 1": 3, "\"a = 1": 6, "'a\n' = 1": 2,
		"a = 1\r\nb = 2": -1, "# only": -1, "a = # nothing": 4,
	} {
		if _, got, deep := Index(src); got != want || deep {
			t.Errorf("%q stops at %d (%v), want %d", src, got, deep, want)
		}
	}
	for n, want := range map[int]bool{MaxDepth: false, MaxDepth + 1: true} {
		for what, src := range map[string]string{"brackets": "a = " + strings.Repeat("[", n-1) + "1" + strings.Repeat("]", n-1), "dots": strings.TrimSuffix(strings.Repeat("a.", n), ".") + " = 1", "a header": "[" + strings.TrimSuffix(strings.Repeat("a.", n), ".") + "]"} {
			if _, _, deep := Index(src); deep != want {
				t.Errorf("%d %s are too deep: %v", n, what, deep)
			}
		}
	}
}

// The index decodes an escaped key like the decoder, so its mistakes have a position.
func TestEscapedKeysAreFound(t *testing.T) {
	for text, want := range map[string]string{
		`plain`: "plain", `a\bb`: "a\bb", `\t`: "\t", `\n`: "\n", `\f`: "\f", `\r`: "\r", `\e`: "\x1b", `\"`: `"`, `\\`: `\`, `\x41\x7a`: "Az", `\u0041b`: "Ab", `\u00fc`: "ü", `\U0001F600x`: "\U0001F600x", `x\u0041`: "xA",
		`\`: `\`, `a\`: `a\`, `\u004`: "", `\x4`: "4",
	} {
		got := unescape(text)
		if text == `\u004` {
			want = "004"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	for _, key := range []string{`"\b"`, `"\t"`, `"\n"`, `"\f"`, `"\r"`, `"a\"b"`, `"\\"`, `"\u0041"`, `"\U0001F600"`, `'a\b'`, `"a.b"`, `'"'`} {
		src := "version = 1\n" + key + " = 1\n"
		var vals map[string]any
		if err := toml.Unmarshal([]byte(src), &vals); err != nil {
			t.Fatal(err)
		}
		root, stopped, _ := Index(src)
		for k := range vals {
			if n := root.Keys[k]; stopped >= 0 || n == nil {
				t.Errorf("%s is read as %q, and found nowhere", key, k)
			} else if k != "version" && (n.Key != 12 || src[n.Val:] != "1\n") {
				t.Errorf("%s is at %d, its value at %d", key, n.Key, n.Val)
			}
		}
	}
}
