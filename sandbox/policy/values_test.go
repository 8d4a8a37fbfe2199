package policy

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for s, want := range map[string]Size{
		"1B": 1, "512MiB": 512 << 20, "2 GiB": 2 << 30, "1kB": 1000, "1MB": 1e6, "3TiB": 3 << 40, "8388607TiB": 8388607 << 40,
	} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "5", "MiB", "-1MiB", "+1MiB", "0MiB", "1.5GiB", "1mib", "1M", "9999999TiB", "1e3B", "0x1B", "1 2B"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q is taken for %d bytes", s, got)
		}
	}
	for want, size := range map[string]Size{"512MiB": 512 << 20, "1000B": 1000, "0B": 0, "3TiB": 3 << 40} {
		if got := size.String(); got != want {
			t.Errorf("%d prints as %s, want %s", int64(size), got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{"2s": 2 * time.Second, "3d": 72 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0} {
		if got, err := parseDuration(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "2", "-1s", "d", "1.5d", "-1d", "99999d", "1w", "1d1h"} {
		if got, err := parseDuration(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

func TestPackages(t *testing.T) {
	for _, s := range []string{"npm:left-pad", "npm:@scope/name.js", "npm:JSONStream", "pypi:mcp-server-git", "pypi:a", "pypi:zope.interface",
		"npm:a@1", "npm:a@1.2.3", "npm:@s/a@^1.2", "npm:a@>=1.2 <2", "npm:a@1.x || 2.0.0-rc.1", "npm:a@1.0.0 - 1.9.9", "npm:a@*",
		"pypi:a==1", "pypi:a[b]==1.*", "pypi:a>=1.2,<2", "pypi:a ~= 1.4, != 1.4.3", "pypi:a==1.0+cpu"} {
		if _, err := asPackage(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{
		"left-pad", "npm:", "npm:@s/a@latest", "npm:a@", "npm:a@file:../x", "npm:a@^", "npm:a@1;2", "npm:a@1.2.3.4", "npm:a@npm:b@1", "npm:a@https://h/x.tgz", "npm:a@>=", "npm:a@1 2 |", "npm:a@1\n", "npm:../x", "npm:a/b", "npm:.a", "npm:a b", "npm:a\n", "npm:@/a", "npm:@s/", "npm:@s/../x",
		"pypi:a==", "pypi:a@1", "pypi:a @ https://h/x", "pypi:a>=1;os_name=='x'", "pypi:a>=1 --index-url=x", "pypi:a>=1.*", "pypi:a==1\n", "pypi:a[b", "pypi:a[]", "npm:a[b]", "npm:a[b]@1", "pypi:-a", "pypi:a/b", "docker:x", "npm:" + strings.Repeat("a", 300), "",
	} {
		if _, err := asPackage(s); err == nil {
			t.Errorf("%q is taken for a package", s)
		}
	}
}

func TestSegments(t *testing.T) {
	for s, want := range map[string]string{
		"":              "",
		"a$b":           "a$b",
		"$a}{":          "$a}{",
		"${x}":          "<x>",
		"a${x}b${y-1}c": "a<x>b<y-1>c",
		"$${x}":         "${x}",
		"$$${x}":        "$${x}",
		"$${${x}":       "${<x>",
	} {
		segs, err := segments(s)
		var b strings.Builder
		for _, seg := range segs {
			if seg.name != "" {
				b.WriteString("<" + seg.name + ">")
			}
			b.WriteString(seg.text)
		}
		if err != nil || b.String() != want {
			t.Errorf("%q: %q, %v; want %q", s, b.String(), err, want)
		}
	}
	for _, s := range []string{"${", "${}", "${x", "${X}", "${ x}", "${x y}", "${${x}}", "a${-}"} {
		if segs, err := segments(s); err == nil {
			t.Errorf("%q is taken for %v", s, segs)
		}
	}
}

func TestGlobCovers(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{
		{"*", "anything*?", true}, {"read_*", "read_file", true}, {"read_*", "read_*", true}, {"read_*", "read_a*b", true},
		{"read_?", "read_a", true}, {"read_?", "read_?", true}, {"a*b*c", "axbxc", true}, {"a*b*c", "a*b?c", true},
		{"read_?", "read_*", false}, {"read_*", "*", false}, {"read_a", "read_?", false}, {"read_*", "write", false},
		{"a*b", "a*", false}, {"?", "", false}, {"", "a", false},
	} {
		if got := (Glob{Pattern: c.outer}).covers(Glob{Pattern: c.inner}); got != c.want {
			t.Errorf("%q covers %q: %v", c.outer, c.inner, got)
		}
	}
}

func TestHintsGuessOnlyWhatIsNear(t *testing.T) {
	words := []string{"allow", "deny", "open-files"}
	for s, want := range map[string]string{"alow": "allow", "Allow": "allow", "open_files": "open-files", "sockets": "", "zzz": "", "": ""} {
		if got := nearest(s, words); got != want {
			t.Errorf("%q: guessed %q, want %q", s, got, want)
		}
	}
}

// A secret in the place of a reference must never be printed.
func TestSecretsAreNeverQuoted(t *testing.T) {
	const secret = "ghp-31337-hush"
	for _, text := range []string{
		"[env]\nsecret = { T = \"" + secret + "\" }",
		"[env]\nsecret = { T = " + secret + " }",
		"[env]\nsecret = { T = [\"" + secret + "\"] }",
		"[env]\nsecret = { T = { x = \"" + secret + "\" } }",
		"[env]\nsecret = { T = \"env:" + secret + "\" }",
		"[env]\nsecret = { T = \"file:" + secret + "\" }",
		"[env]\nsecret = { T = \"keyring:" + secret + "\" }",
		"[env]\nsecret = { T = \"${x}" + secret + "\" }",
		"[env]\nsecret = { T = \"" + secret + "\\u0000\" }",
		"[env]\nsecret = { T = 31337 }",
		"[env]\nsecret = { T = 0031337 }",
		"[env]\nsecret = { T = 31337_ }",
		"[params.t]\ntype = \"secret\"\ndefault = \"" + secret + "\"",
		"[params.t]\ntype = \"secret\"\ndefault = 31337",
		"[params.t]\ntype = \"secret\"\ndefault = 0031337",
		"[params.t]\ntype = \"secret\"\nmany = true\ndefault = [\"" + secret + "\", 31337]",
	} {
		_, err := Parse("s.toml", []byte("version = 1\n"+text+"\n"), nil)
		if err == nil {
			t.Errorf("%s\nis taken", text)
			continue
		}
		for _, m := range err.(Mistakes) {
			if strings.Contains(m.Error()+m.Hint, "31337") {
				t.Errorf("%s\nshows it: %v (%s)", text, m, m.Hint)
			}
		}
	}
	if _, err := Parse("s.toml", []byte("version = 1\n[env]\nsecret = { T = \"env:X\" }\n"), nil); err != nil {
		t.Errorf("a reference is refused: %v", err)
	}
}

// The references from which a secret may be fetched, and texts that only resemble them.
func TestReferencesToSecrets(t *testing.T) {
	r := &resolver{in: Input{Home: "/home/ada"}}
	for s, want := range map[string]string{
		"env:A": "env:A", "?env:A_1": "?env:A_1", "file:/a//b": "file:/a/b", "file:~/a": "file:/home/ada/a", "file:~": "file:/home/ada", "command:pass show x": "command:pass show x", "keyring:a/b": "keyring:a/b", "keyring:a/b/c": "keyring:a/b/c",
	} {
		if got, err := r.secret(s); got != want || err != nil {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for what, refs := range map[string][]string{
		"a variable":    {"env:", "env:1A", "env:A B", "?env:", "env:A\n"},
		"a file":        {"file:", "file:a", "file:~eve/x", "file:/a\n", "file:/a\x00", "file:/a\r"},
		"a command":     {"command:", "command:  ", "command:x\ny", "command:x\x00"},
		"the keyring":   {"keyring:", "keyring:a", "keyring:a/", "keyring:/b", "keyring:a/b\n"},
		"to a secret (": {"", "sk-1", "ENV:A", "?file:/a", "vault:x", ":"},
	} {
		for _, s := range refs {
			got, err := r.secret(s)
			if err == nil || !strings.Contains(err.Error(), what) || got != "" {
				t.Errorf("%q: %q, %v, want that it is no reference to %s", s, got, err, what)
			}
		}
	}
}

// The longest and the shortest valid texts, and invalid ones.
func TestTextsEndWhereTheySay(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		what      string
		parse     func(any) (string, error)
		good, bad []any
	}{
		{"a line", asLine, []any{"", long(1000), "ü"}, []any{long(1001), "a\nb", "\n", "b\x7f", int64(1)}},
		{"a pattern", asGlob, []any{"a", long(512), "*"}, []any{"", long(513), "a\n", "\ta", true}},
		{"a variable", asEnvName, []any{"A", "_", "a1_", long(255)}, []any{"", "1A", "A-B", "A=", long(256), "A\n", int64(1)}},
		{"a name", asProfileName, []any{"a", "1", "a.b-c_d", long(64)}, []any{"", ".a", "-a", "A", "a..b", "a/b", long(65), "a\n", true}},
		{"a Python", asPython, []any{"3.9", "3.13"}, []any{"3", "3.", "2.7", "3.123", "3.9.1", "x3.9", 3.13}},
		{"a script", asScript, []any{"a", "@s/a", long(214)}, []any{"", "a@1", "a/b", long(215), int64(1)}},
		{"a build", asBuild, []any{"a", "A.b", long(214)}, []any{"", "-a", "a[b]", long(215), int64(1)}},
		{"a package", asPackage, []any{"npm:" + long(214), "pypi:" + long(214), "pypi:a[b, c]", "npm:a@" + strings.Repeat("1 ", 127) + "11"}, []any{"npm:" + long(215), "pypi:" + long(215), "npm", "gem:a", int64(1), "npm:a@" + strings.Repeat("1 ", 128) + "1"}},
		{"a proxy", asProxy, []any{"environment", "none", "http://a:1"}, []any{"http://u@a:1", int64(1)}},
	} {
		for _, v := range c.good {
			if _, err := c.parse(v); err != nil {
				t.Errorf("%s: %.40v: %v", c.what, v, err)
			}
		}
		for _, v := range c.bad {
			if got, err := c.parse(v); err == nil {
				t.Errorf("%.40v passes as %s: %.40q", v, c.what, got)
			}
		}
	}
}

// Cores count from a hundredth up.
func TestCores(t *testing.T) {
	for _, c := range []struct {
		v    any
		want float64
		good bool
	}{{"unlimited", 0, true}, {0.01, 0.01, true}, {int64(1), 1, true}, {int64(4096), 4096, true}, {4096.0, 4096, true}, {1.5, 1.5, true},
		{0.0099, 0, false}, {int64(0), 0, false}, {int64(-1), 0, false}, {4096.1, 0, false}, {int64(4097), 0, false}, {math.NaN(), 0, false}, {math.Inf(1), 0, false}, {"2", 0, false}, {"", 0, false}, {true, 0, false}, {nil, 0, false}} {
		if got, err := asCores(c.v); got != c.want || (err == nil) != c.good {
			t.Errorf("%v: %v, %v", c.v, got, err)
		}
	}
}

// A mistake quotes the wrong value as the profile has it.
func TestValuesAreDescribed(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{{"a\n", `"a\n"`}, {[]any{1}, "a list"}, {[]map[string]any{}, "a list"}, {map[string]any{}, "a table"}, {time.Time{}, "a date"}, {1.5, "1.5"}, {1e20, "1e+20"}, {int64(7), "7"}, {true, "true"}} {
		if got := describe(c.v); got != c.want {
			t.Errorf("%#v is %s, want %s", c.v, got, c.want)
		}
	}
}

// A key is formatted in TOML syntax, and cut if it is long.
func TestKeysAreJoined(t *testing.T) {
	long := strings.Repeat("k", 80)
	for _, c := range []struct{ table, key, want string }{{"", "a", "a"}, {"a", "B-9_", "a.B-9_"}, {"a", "", `a.""`}, {"", "", `""`}, {"a", "b.c", `a."b.c"`}, {"a", "ü", `a."ü"`}, {"a", long, "a." + long}, {"a", long + "k", `a."` + long + `"…`}} {
		if got := join(c.table, c.key); got != c.want {
			t.Errorf("%q and %q: %s", c.table, c.key, got)
		}
	}
}
