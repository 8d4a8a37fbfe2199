package policy

import (
	"strings"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for s, want := range map[string]Size{
		"1B": 1, "512MiB": 512 << 20, "2 GiB": 2 << 30, "1kB": 1000, "1MB": 1e6, "3TiB": 3 << 40, "8388607TiB": 8388607 << 40,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "5", "MiB", "-1MiB", "+1MiB", "0MiB", "1.5GiB", "1mib", "1M", "9999999TiB", "1e3B", "0x1B", "1 2B"} {
		if got, err := ParseSize(s); err == nil {
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

// A secret that was written where a reference belongs is never shown.
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
