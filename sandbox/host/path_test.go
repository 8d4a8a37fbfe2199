package host

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mcpen/sandbox/plan"
)

func TestLookNamesEverySymlinkOnTheWay(t *testing.T) {
	tr := newTree(t)
	tr.file("/data/real/file", "x")
	tr.link("/data/dir", "real")
	tr.link("/data/real/name", "../dir/file")
	tr.link("/top", "ROOT/data")
	tr.link("/loop", "loop")
	tr.link("/gone", "nowhere")
	if _, err := net.Listen("unix", tr.at("/s")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]plan.PathFact{
		"/data/real":      {Exists: true, Dir: true, Real: tr.at("/data/real")},
		"/data/real/../x": {},
		"/top/dir/name": {Exists: true, Real: tr.at("/data/real/file"), Links: []plan.Link{
			{Path: tr.at("/top"), Text: tr.at("/data")}, {Path: tr.at("/data/dir"), Text: "real"},
			{Path: tr.at("/data/real/name"), Text: "../dir/file"}, {Path: tr.at("/data/dir"), Text: "real"}}},
		"/s":                {Exists: true, Real: tr.at("/s"), Socket: true},
		"/absent":           {},
		"/data/real/file/x": {},
		"/gone":             {Links: []plan.Link{{Path: tr.at("/gone"), Text: "nowhere"}}},
	} {
		if d := cmp.Diff(want, Look(tr.at(path))); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	if f := Look(tr.at("/loop")); f.Exists || !strings.Contains(f.Err, "ELOOP") {
		t.Errorf("a loop: %+v", f)
	}
	if f := Look("relative"); f.Exists || f.Err == "" {
		t.Errorf("a relative path: %+v", f)
	}
}

// A server could overwrite a protected place that Below misses, and its code would run
// outside.
func TestBelowFindsProtectedPlaces(t *testing.T) {
	tr := newTree(t)
	for _, f := range []string{
		"/p/.git/config", "/p/.git/modules/x/.git", "/p/.envrc", "/p/AGENTS.md", "/p/src/main.go",
		"/p/packages/a/.vscode/tasks.json", "/p/packages/a/node_modules/.bin/x", "/p/packages/a/b/.git/config",
		"/p/node_modules/.bin/tsc", "/p/node_modules/dep/.git/config", "/p/.config/git/config", "/p/.config/other",
		"/elsewhere/.git/config",
	} {
		tr.file(f, "")
	}
	tr.link("/p/linked", "ROOT/elsewhere")
	tr.link("/p/packages/.claude", "ROOT/elsewhere") // a link of that name is itself protected
	got, why := below(tr.at("/p"))
	want := []string{".config/git", ".envrc", ".git", "AGENTS.md", "node_modules"}
	if d := cmp.Diff(want, got); d != "" || why != "" {
		t.Errorf("%s\nwhy %q", d, why)
	}
}

// A folder of a hundred thousand files starts as fast as an empty one, and its size is
// no reason to refuse.
func TestBelowLooksAtNamesAlone(t *testing.T) {
	asUser(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o300); err != nil { // nobody may list it
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o700) })
		if _, err := os.ReadDir(dir); err == nil {
			t.Fatal("the folder can be listed, so that this proves nothing")
		}
		if got, why := below(dir); why != "" || !slices.Equal(got, []string{".git"}) {
			t.Errorf("%q, %q", got, why)
		}
	})
}

// A path that Look could not look at does not count as absent.
func TestBelowSaysWhenItCouldNotLook(t *testing.T) {
	asUser(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "closed")
		if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o700) })
		if got, why := below(dir); !strings.Contains(why, "EACCES") {
			t.Errorf("%q, why %q", got, why)
		}
	})
}
