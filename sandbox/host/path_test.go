package host

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mcpen/sandbox/host/hosttest"
	"mcpen/sandbox/plan"
)

func TestLookNamesEverySymlinkOnTheWay(t *testing.T) {
	tr := hosttest.New(t)
	tr.File("/data/real/file", "x")
	tr.Link("/data/dir", "real")
	tr.Link("/data/real/name", "../dir/file")
	tr.Link("/top", "ROOT/data")
	tr.Link("/loop", "loop")
	tr.Link("/gone", "nowhere")
	if _, err := net.Listen("unix", tr.At("/s")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]plan.PathFact{
		"/data/real":      {Exists: true, Dir: true, Real: tr.At("/data/real")},
		"/data/real/../x": {},
		"/top/dir/name": {Exists: true, Real: tr.At("/data/real/file"), Links: []plan.Link{
			{Path: tr.At("/top"), Text: tr.At("/data")}, {Path: tr.At("/data/dir"), Text: "real"},
			{Path: tr.At("/data/real/name"), Text: "../dir/file"}, {Path: tr.At("/data/dir"), Text: "real"}}},
		"/s":                {Exists: true, Real: tr.At("/s"), Socket: true},
		"/absent":           {},
		"/data/real/file/x": {},
		"/gone":             {Links: []plan.Link{{Path: tr.At("/gone"), Text: "nowhere"}}},
	} {
		if d := cmp.Diff(want, Look(tr.At(path))); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	if f := Look(tr.At("/loop")); f.Exists || !strings.Contains(f.Err, "ELOOP") {
		t.Errorf("a loop: %+v", f)
	}
	if f := Look("relative"); f.Exists || f.Err == "" {
		t.Errorf("a relative path: %+v", f)
	}
}

// A server could overwrite a protected place that Below misses, and its code would run
// outside.
func TestBelowFindsProtectedPlaces(t *testing.T) {
	tr := hosttest.New(t)
	for _, f := range []string{
		"/p/.git/config", "/p/.git/modules/x/.git", "/p/.envrc", "/p/AGENTS.md", "/p/src/main.go",
		"/p/packages/a/.vscode/tasks.json", "/p/packages/a/node_modules/.bin/x", "/p/packages/a/b/.git/config",
		"/p/node_modules/.bin/tsc", "/p/node_modules/dep/.git/config", "/p/.config/git/config", "/p/.config/other",
		"/elsewhere/.git/config",
	} {
		tr.File(f, "")
	}
	tr.Link("/p/linked", "ROOT/elsewhere")
	tr.Link("/p/packages/.claude", "ROOT/elsewhere") // a link of that name is itself protected
	got, why := below(tr.At("/p"))
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
