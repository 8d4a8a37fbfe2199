package policy

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/internal/tomlindex"
)

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

// A line ends at a newline, and columns count bytes.
func TestPositionsCountLinesAndBytes(t *testing.T) {
	data, err := os.ReadFile("../internal/tomlindex/testdata/nasty.toml")
	if err != nil {
		t.Fatal(err)
	}
	src := strings.TrimPrefix(string(data), "\uFEFF")
	l := newLines("f", src)
	for marker, want := range map[string]string{"'@1'": "f:2:5", "'@4'": "f:6:2", "'@6'": "f:7:8", "'@A'": "f:18:5", "'@F'": "f:28:9"} {
		if got := l.pos(strings.Index(src, marker)).String(); got != want {
			t.Errorf("%s is at %s, want %s", marker, got, want)
		}
	}
}

// The greatest depth is read, and one level more is a mistake.
func TestDepthOfProfiles(t *testing.T) {
	for n, want := range map[int]bool{tomlindex.MaxDepth: false, tomlindex.MaxDepth + 1: true} {
		for what, src := range map[string]string{"brackets": "a = " + strings.Repeat("[", n-1) + "1" + strings.Repeat("]", n-1), "dots": strings.TrimSuffix(strings.Repeat("a.", n), ".") + " = 1", "a header": "[" + strings.TrimSuffix(strings.Repeat("a.", n), ".") + "]"} {
			if _, err := Parse("p.toml", []byte("version = 1\n"+src+"\n"), nil); strings.Contains(err.Error(), "nests deeper") != want {
				t.Errorf("%d %s: %v", n, what, err)
			}
		}
	}
}
