package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/internal/tomlindex"
)

// FuzzParse checks that no text makes Parse or Resolve panic, that every mistake lies
// inside the file, that the index can follow every text that the decoder can, and that
// Resolve returns only valid policies.
func FuzzParse(f *testing.F) {
	stories, err := filepath.Glob("testdata/profiles/*.txtar")
	if err != nil || len(stories) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, story := range stories {
		ar, err := txtar.ParseFile(story)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range ar.Files {
			if strings.HasSuffix(file.Name, ".toml") {
				f.Add(string(file.Data))
			}
		}
	}
	nasty, err := os.ReadFile("../internal/tomlindex/testdata/nasty.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(nasty))
	f.Add("a = \"\"\"\"\"\"\"\"\nb = ''''''\n[[a.b]]\n[a.b.c]\n")
	f.Fuzz(func(t *testing.T, text string) {
		body := strings.TrimPrefix(text, "\uFEFF")
		root, stopped, deep := tomlindex.Index(body)
		var vals map[string]any
		if !deep && len(text) < 1000 && toml.Unmarshal([]byte(body), &vals) == nil {
			if stopped >= 0 {
				t.Fatalf("the index stopped at %d where the decoder did not", stopped)
			}
			eachKey(t, vals, root)
		}
		load := func(ref, from string) (string, []byte, error) { return ref, []byte(text), nil }
		p, err := Parse("fuzz.toml", []byte(text), load)
		if err != nil {
			inside(t, err, text)
			return
		}
		got, err := Resolve(p, Input{
			Home: "/home/ada", State: "/home/ada/.s", Config: "/home/ada/.c", Workspace: "/srv/ws", Cwd: "/srv",
			Params: map[string][]string{"dirs": {"/srv/a"}, "host": {"a.example"}, "token": {"env:T"}},
		})
		if err != nil {
			inside(t, err, text)
			return
		}
		for _, path := range got.Filesystem.Write {
			if !filepath.IsAbs(path.Path) || filepath.Clean(path.Path) != path.Path || within("/home/ada/.c", path.Path) {
				t.Errorf("writes %q", path.Path)
			}
		}
		for _, h := range got.Network.Allow {
			again, err := ParseHost(h.String())
			if err != nil || again.Name != h.Name || again.Kind != h.Kind || again.First != h.First || again.Last != h.Last {
				t.Errorf("%+v prints as %q, which reads as %+v, %v", h, h.String(), again, err)
			}
		}
	})
}

// eachKey fails if the index has no position for a key that the decoder found.
func eachKey(t *testing.T, v any, n *tomlindex.Node) {
	switch x := v.(type) {
	case map[string]any:
		for k, sub := range x {
			if n.Keys[k] == nil {
				t.Fatalf("no place for the key %q", k)
			}
			eachKey(t, sub, n.Keys[k])
		}
	case []map[string]any:
		for i, sub := range x {
			if i >= len(n.Items) {
				t.Fatalf("no place for table %d of %d", i, len(x))
			}
			eachKey(t, sub, n.Items[i])
		}
	case []any:
		if len(x) != len(n.Items) {
			t.Fatalf("%d places for %d elements", len(n.Items), len(x))
		}
		for i, sub := range x {
			eachKey(t, sub, n.Items[i])
		}
	}
}

// inside fails for a mistake whose position is not in the text.
func inside(t *testing.T, err error, text string) {
	t.Helper()
	var m Mistakes
	if !errors.As(err, &m) || len(m) == 0 {
		t.Fatalf("%T is not Mistakes: %v", err, err)
	}
	lines := strings.Split(strings.TrimPrefix(text, "\uFEFF"), "\n")
	for i, x := range m {
		if x.Text == "" || strings.ContainsAny(x.Error(), "\n\x1b") {
			t.Errorf("mistake %q", x.Error())
		}
		if x.Pos == (Pos{}) {
			continue
		}
		if x.Pos.Line < 1 || x.Pos.Line > len(lines) || x.Pos.Col < 1 || x.Pos.Col > len(lines[x.Pos.Line-1])+1 {
			t.Errorf("%v is outside of the file", x)
		}
		if i > 0 && m[i-1].Pos.File == x.Pos.File && m[i-1].Pos.Line > x.Pos.Line {
			t.Errorf("%v comes after %v", x, m[i-1])
		}
	}
}

// FuzzHostPattern checks that a parsed rule has one of the four shapes, is no wider
// than allowed, and prints as text that parses to the same rule.
func FuzzHostPattern(f *testing.F) {
	for s := range hosts {
		f.Add(s)
	}
	for _, s := range badHosts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHost(s)
		if err != nil {
			if h != (Host{}) {
				t.Errorf("%q is wrong and still gives %+v", s, h)
			}
			return
		}
		if h.First == 0 || h.Last < h.First || h.Last-h.First >= maxPortRange {
			t.Errorf("%q: ports %d-%d", s, h.First, h.Last)
		}
		if h.Kind != HostCIDR && (h.Name != strings.ToLower(h.Name) || strings.Trim(h.Name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" ||
			strings.HasPrefix(h.Name, "_") || strings.Contains(h.Name, "._") || strings.HasSuffix(h.Name, ".") || strings.Contains(h.Name, "..")) {
			t.Errorf("%q: name %q", s, h.Name)
		}
		if h.Kind == HostWildcard && !strings.Contains(h.Name, ".") {
			t.Errorf("%q: a wildcard over %q", s, h.Name)
		}
		if again, err := ParseHost(h.String()); err != nil || again != h {
			t.Errorf("%q gives %+v, which prints as %q and reads as %+v, %v", s, h, h.String(), again, err)
		}
	})
}
