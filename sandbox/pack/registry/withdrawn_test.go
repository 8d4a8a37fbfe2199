package registry

import (
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// mcpen reports a withdrawn version with the registry's words: a version that is gone,
// yanked, deprecated or replaced. A fact that was known at the time of the lock is no
// news.
func TestWithdrawnAsTheRegistriesSay(t *testing.T) {
	hash := strings.Repeat("a", 64)
	page := func(yanked any) Project {
		return Project{Name: "a", Files: []IndexFile{{Filename: "a-1.0-py3-none-any.whl", Hashes: map[string]string{"sha256": hash}, Yanked: yanked}}}
	}
	locked := pack.Lock{Form: 2, Package: "pypi:a", Version: "1.0", Dependencies: []pack.Dependency{{Path: "a", Version: "1.0", File: "a-1.0-py3-none-any.whl", Integrity: "sha256:" + hash}}}
	known := locked
	known.Deprecated = "yanked: bad"
	for _, tc := range []struct {
		page Project
		lock pack.Lock
		want string
	}{
		{page(nil), locked, ""}, {page(false), locked, ""}, {page("bad"), locked, "yanked: bad"}, {page(true), locked, "yanked"}, {page("bad"), known, ""},
		{Project{Name: "a"}, locked, "withdrawn: the index does not list its wheel any more"},
	} {
		if got := pypiWithdrawn(tc.page, tc.lock); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.page, got, tc.want)
		}
	}
	sri := "sha512-" + strings.Repeat("A", 86) + "=="
	npm := pack.Lock{Form: 2, Package: "npm:a", Version: "1.0.0", Integrity: sri}
	for text, want := range map[string]string{
		`{"name":"a","version":"1.0.0","dist":{"integrity":"` + sri + `"}}`:                                                        "",
		`{"name":"a","version":"1.0.0","dist":{"integrity":"` + sri + `"},"deprecated":""}`:                                        "",
		`{"name":"a","version":"1.0.0","dist":{"integrity":"` + sri + `"},"deprecated":false}`:                                     "",
		`{"name":"a","version":"1.0.0","dist":{"integrity":"` + sri + `"},"deprecated":"unsafe"}`:                                  "deprecated: unsafe",
		`{"name":"a","version":"1.0.0","keywords":["deprecated"],"dist":{"integrity":"sha512-` + strings.Repeat("B", 86) + `=="}}`: "replaced: the registry has another archive under this version",
	} {
		p, err := readPackument(strings.NewReader(`{"name":"a","versions":{"1.0.0":`+text+`}}`), "a")
		if err != nil {
			t.Fatal(err)
		}
		if got := npmWithdrawn(p, npm); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := npmWithdrawn(Packument{}, npm); !strings.HasPrefix(got, "withdrawn") {
		t.Errorf("gone: %q", got)
	}
}

// A note about age is about a version that exists.
func TestNoFalseNoteOfAge(t *testing.T) {
	p, err := readPackument(strings.NewReader(`{"name":"nt","dist-tags":{"latest":"9.9.9"},"time":{"1.0.0":"2024-01-01T00:00:00Z"},"versions":{"1.0.0":{"name":"nt","version":"1.0.0","dist":{"tarball":"x"}}}}`), "nt")
	if err != nil {
		t.Fatal(err)
	}
	rel, err := resolveNPM(p, Registry{URL: "http://127.0.0.1/"}, pack.Ref{Ecosystem: pack.NPM, Name: "nt"}, Interpreter{}, 3*24*time.Hour, packtest.Now)
	if err != nil || rel.Ref.Version != "1.0.0" || len(rel.Notes) != 0 {
		t.Errorf("%s, notes %q, %v", rel.Ref, rel.Notes, err)
	}
}
