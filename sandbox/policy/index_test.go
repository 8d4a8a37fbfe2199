package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// nasty is TOML that is easy to misread. Each value "@N" lies at the position in the
// table below.
const nasty = "\uFEFF# [not.a.table]\r\n" +
	"a = '@1' # ] } \"\r\n" +
	"\"q.\\u0075 k\" = \"@2 \\\" # [x]\"\r\n" +
	"'lit.key' . b = '@3'\r\n" +
	"list = [ # comment ]\r\n" +
	"\t'@4', [ '@5',\r\n" +
	" { x = '@6', y.z = [ '@7' ] } ] ,\r\n" +
	"]\r\n" +
	"long = \"\"\"@8\r\n[fake]\r\nx = \"1\"\"\r\n\"\"\"\"\"\r\n" +
	"raw = '''@9\r\n[[fake]]\r\n'' ''''\r\n" +
	"[ t . 'u' ]\r\n" +
	"when = 1979-05-27 07:32:00Z # x\r\n" +
	"v = '@A'\r\n" +
	"[[arr]]\r\n" +
	"v = '@B'\r\n" +
	"[arr.sub]\r\n" +
	"v = '@C'\r\n" +
	"[[arr]]\r\n" +
	"v = '@D'\r\n" +
	"[[arr.sub]]\r\n" +
	"v = '@E'\r\n" +
	"[[arr.sub]]\r\n" +
	"v = [{v='@F'},]"

func TestPositionsInNastyTOML(t *testing.T) {
	src := strings.TrimPrefix(nasty, "\uFEFF")
	root, stopped, _ := index(src)
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
	eachValue(vals, root, func(v any, n *node) {
		s, ok := v.(string)
		if !ok {
			return
		}
		found++
		at := strings.Index(src, s[:2])
		quote := strings.TrimLeft(src[n.val:], `"'`)
		if !strings.HasPrefix(quote, s[:2]) || at-n.val > 3 {
			t.Errorf("%q is said to be at %.20q", s, src[n.val:])
		}
	})
	if found != 15 {
		t.Errorf("found %d values of 15", found)
	}
	l := newLines("f", src)
	for marker, want := range map[string]string{"'@1'": "f:2:5", "'@4'": "f:6:2", "'@6'": "f:7:8", "'@A'": "f:18:5", "'@F'": "f:28:9"} {
		if got := l.pos(strings.Index(src, marker)).String(); got != want {
			t.Errorf("%s is at %s, want %s", marker, got, want)
		}
	}
}

// eachValue walks values and index together.
func eachValue(v any, n *node, f func(any, *node)) {
	switch x := v.(type) {
	case map[string]any:
		for k, sub := range x {
			eachValue(sub, n.at(k), f)
		}
	case []any:
		for i, sub := range x {
			eachValue(sub, n.item(i), f)
		}
	case []map[string]any:
		for i, sub := range x {
			eachValue(sub, n.item(i), f)
		}
	default:
		f(v, n)
	}
}

func TestMistakesPointAtWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"version = 1\n[network]\nallow = [\n  \"a.example:443\",\n  \"x:99999\",\n]\n": `base.toml:5:3: network.allow[1]: "x:99999" is not a port (want 1-65535)`,
		"version = 1\r\n\r\nx = 1\r\n":                                    `base.toml:3:1: x: unknown key`,
		"\uFEFFversion = 1\nx.y = 1":                                      `base.toml:2:1: x: unknown key`,
		"version = 1\n[[tools.rule.t]]\n":                                 `base.toml:2:14: tools.rule.t: a list is not a table`,
		"version = 1\n[limits]\n\"open-files\" = 'x'":                     `base.toml:3:16: limits.open-files: "x" is not a number from 16 to 1048576, or "unlimited"`,
		"version = 1\nnetwork.allow = [{ host = 'a.example:443', x = 1}]": `base.toml:2:44: network.allow[0].x: unknown key`,
		"version = 1\nserver = 3":                                         `base.toml:2:10: server: 3 is not a table`,
		"version = 1\nversion = 1\n":                                      `base.toml:2:1: the key 'version' is there twice`,
		"version = 1\n\"\\u001b[31m\" = 1":                                `base.toml:2:1: "\x1b[31m": unknown key`,
		"version = 1\n[filesystem]\nread = [\"/a\\u0000b\"]":              `base.toml:3:9: filesystem.read[0]: has a NUL in it`,
		"version = 1\n[filesystem]\nread = [\"/a\\nb\"]":                  `base.toml:3:9: filesystem.read[0]: "/a\nb" has a control character in it`,
		"":                `base.toml:1:1: version: is missing`,
		"version = \"1\"": `base.toml:1:11: version: "1" is not a version that this program knows (want 1)`,
		"version = 1 [":   `base.toml:1:12: expected`,
	} {
		_, err := Parse("base.toml", []byte(text), nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

// A profile may come from a stranger. None may make the reader slow, deep or large.
func TestHostileProfilesEnd(t *testing.T) {
	n := MaxFile
	for name, text := range map[string]string{
		"brackets":       "a = " + strings.Repeat("[", n-4),
		"braces":         "a = " + strings.Repeat("{a=", n/3-4),
		"closed":         "a = " + strings.Repeat("[", 100) + strings.Repeat("]", 100),
		"dots":           "a" + strings.Repeat(".a", n/2-10) + " = 1",
		"header dots":    "[a" + strings.Repeat(".a", n/2-10) + "]",
		"hidden":         "a = \"\n" + strings.Repeat("[", n-10),
		"unknown keys":   numbered("k%d = 1\n", n/12),
		"params":         numbered("[params.p%d]\n", n/16),
		"rules":          numbered("[tools.rule.t%d]\ntype=\"object\"\n", n/40),
		"hosts":          "version = 1\n[network]\nallow = [" + numbered("\"h%d.example:443\",", n/26) + "]",
		"references":     "version = 1\n[server]\nargs = [\"" + strings.Repeat("${a}", n/4-20) + "\"]",
		"growth":         growth(),
		"tables":         numbered("[t%d.a.b.c.d.e]\n", n/24),
		"array tables":   strings.Repeat("[[a.b]]\n", n/9),
		"nested arrays":  strings.Repeat("[[a]]\n[[a.b]]\n", n/16),
		"inline tables":  "a = [" + strings.Repeat("{b.c.d={}},", n/12) + "]",
		"lists":          "version = 1\n[filesystem]\nread = [" + strings.Repeat("'/x',", n/6) + "]",
		"schemas":        numbered("[tools.rule.t%d]\nproperties.a.pattern=\"(a{1,99}){1,9}\"\n", 250),
		"one long key":   strings.Repeat("k", n-10) + " = 1",
		"one long value": "version = 1\nname = \"" + strings.Repeat("v", n-40) + "\"",
		"too large":      strings.Repeat("\n", n+1),
		"quotes":         "a = " + strings.Repeat("\"", n-4),
		"backslashes":    "a = \"" + strings.Repeat("\\", n-5),
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			_, err := Parse("h.toml", []byte(text), nil)
			var m Mistakes
			if !errors.As(err, &m) || len(m) > maxMistakes+1 {
				t.Errorf("%d mistakes", len(m))
			}
			if len(err.Error()) > 1<<20 {
				t.Errorf("the mistakes are %d bytes", len(err.Error()))
			}
			t.Logf("took %v", time.Since(started).Round(time.Millisecond))
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// growth is a profile whose parameters would expand to terabytes.
func growth() string {
	return "version = 1\n[params.a]\ntype = \"string\"\ndefault = \"" + strings.Repeat("x", 60000) + "\"\n" +
		"[params.m]\ntype = \"string\"\nmany = true\ndefault = [" + strings.Repeat("\"x\",", 4000) + "]\n" +
		"[server]\nargs = [\"" + strings.Repeat("${a}", 10000) + "\"," + strings.Repeat("\"${m}\",", 4000) + "]\n"
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
		root, stopped, _ := index(src)
		for k := range vals {
			if n := root.keys[k]; stopped >= 0 || n == nil {
				t.Errorf("%s is read as %q, and found nowhere", key, k)
			} else if k != "version" && (n.key != 12 || src[n.val:] != "1\n") {
				t.Errorf("%s is at %d, its value at %d", key, n.key, n.val)
			}
		}
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
		if _, got, deep := index(src); got != want || deep {
			t.Errorf("%q stops at %d (%v), want %d", src, got, deep, want)
		}
	}
	for n, want := range map[int]bool{maxDepth: false, maxDepth + 1: true} {
		for what, src := range map[string]string{"brackets": "a = " + strings.Repeat("[", n-1) + "1" + strings.Repeat("]", n-1), "dots": strings.TrimSuffix(strings.Repeat("a.", n), ".") + " = 1", "a header": "[" + strings.TrimSuffix(strings.Repeat("a.", n), ".") + "]"} {
			if _, _, deep := index(src); deep != want {
				t.Errorf("%d %s are too deep: %v", n, what, deep)
			}
			if _, err := Parse("p.toml", []byte("version = 1\n"+src+"\n"), nil); strings.Contains(err.Error(), "nests deeper") != want {
				t.Errorf("%d %s: %v", n, what, err)
			}
		}
	}
}

// Parse refuses a text that the index cannot follow and that may nest too deep for the
// decoder. For a small text it reports the decoder's own message.
func TestWhatStopsTheIndexIsNotDecoded(t *testing.T) {
	for n, want := range map[int]string{1000: "expected", 1001: "this is not TOML"} {
		_, err := Parse("p.toml", []byte("a = \"\n"+strings.Repeat("[", n)), nil)
		if err == nil || (err.(Mistakes)[0].Text == "this is not TOML") != (want == "this is not TOML") {
			t.Errorf("%d brackets: %v, want %s", n, err, want)
		}
	}
	if _, err := Parse("p.toml", []byte(strings.Repeat("\n", MaxFile)), nil); err == nil || !strings.Contains(err.Error(), "version: is missing") {
		t.Errorf("as large as may be: %v", err)
	}
	if _, err := Parse("p.toml", []byte(strings.Repeat("\n", MaxFile+1)), nil); err == nil || !strings.Contains(err.Error(), "is larger than 1048576 bytes") {
		t.Errorf("larger: %v", err)
	}
}
