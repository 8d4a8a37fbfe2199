package pack

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffLocks(t *testing.T) {
	old := Lock{Package: "npm:a", Version: "1.0.0", Registry: "r", Bytes: 10, Dependencies: []Dependency{
		{Path: "node_modules/a", Version: "1.0.0", Integrity: "i1"}, {Path: "node_modules/b", Version: "1.0.0", Integrity: "i2"},
		{Path: "node_modules/c", Version: "1.0.0", Integrity: "i3"}, {Path: "node_modules/d", Version: "1.0.0", Integrity: "i4"}}}
	new := Lock{Package: "npm:a", Version: "2.0.0", Registry: "r", Bytes: 30, Dependencies: []Dependency{
		{Path: "node_modules/a", Version: "2.0.0", Integrity: "i5"}, {Path: "node_modules/b", Version: "1.0.0", Integrity: "SWAPPED"},
		{Path: "node_modules/d", Version: "1.2.0", Integrity: "i6", Scripts: true}, {Path: "node_modules/e", Version: "1.0.0", Integrity: "i7"}}}
	want := Diff{Package: "npm:a", Old: "1.0.0", New: "2.0.0", Added: []string{"e 1.0.0"}, Removed: []string{"c"}, Changed: []Changed{{"d", "1.0.0", "1.2.0"}},
		Swapped: []string{"b 1.0.0"}, Scripts: []string{"d"}, OldBytes: 10, NewBytes: 30}
	got := DiffLocks(old, new)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if cmp.Diff(Diff{Package: "npm:a", Old: "1.0.0", New: "1.0.0", OldBytes: 10, NewBytes: 10}, DiffLocks(old, old)) != "" || !strings.HasPrefix(got.String(), "! b 1.0.0") {
		t.Errorf("text:\n%s", got)
	}
}

// The signs of a takeover stand first in an update, and no stranger's text begins a
// line of it.
func TestDiffShowsATakeover(t *testing.T) {
	const forged = "MIT\n  nothing else changed\n! registry verified by mcpen"
	old := Lock{Form: 2, Package: "npm:a", Version: "1.0.0", Registry: "r", Entry: map[string]string{"a": "index.js", "gone": "x.js"}, Dependencies: []Dependency{
		{Path: "node_modules/a", Version: "1.0.0", Integrity: "i1", Publisher: "alice"}, {Path: "node_modules/b", Version: "1.0.0", Integrity: "i2", Publisher: "bob"}}}
	new := Lock{Form: 2, Package: "npm:a", Version: "1.0.1", Registry: "r", License: forged, Entry: map[string]string{"a": "other.js", "more": "m.js"}, Dependencies: []Dependency{
		{Path: "node_modules/a", Version: "1.0.1", Integrity: "i3", Publisher: "mallory\n+ b"}, {Path: "node_modules/b", Version: "1.0.0", Integrity: "i2"},
		{Path: "node_modules/a/node_modules/ff", Version: "6.6.6", Bundled: true}}}
	lines := strings.Split(strings.TrimSuffix(DiffLocks(old, new).String(), "\n"), "\n")
	want := []string{`! a is published by another: alice -> mallory\x0a+ b`, "! b is published by another: bob -> nobody knows",
		"! its program a starts something else: index.js -> other.js", "! its program gone is gone (it was x.js)", "! it brings the program more now: m.js", "! bundles ff 6.6.6 in a now",
		"  npm:a 1.0.0 -> 1.0.1", `  licence: MIT\x0a  nothing else changed\x0a! registry verified by mcpen`, "+ ff 6.6.6"}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(d)
	}
	old.Form, old.Entry, old.Dependencies[0].Publisher, old.Dependencies[1].Publisher = 1, nil, "", ""
	if d := DiffLocks(old, new); len(d.Publishers)+len(d.Entry) > 0 {
		t.Errorf("what an old lock does not know is no change: %+v", d)
	}
}
