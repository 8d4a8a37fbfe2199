package wholefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"mcpen/sandbox/wholefile"
)

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A profile that a person made private stays private, and the target of a link, which
// may be somebody else's file, stays as it is.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := wholefile.Replace(name, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Replace(name, []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(name); content(t, name) != "2" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q with %v", content(t, name), info.Mode())
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(name, link), wholefile.Replace(link, []byte("3"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if content(t, name) != "2" || content(t, link) != "3" {
		t.Error("a link was followed")
	}
	left(t, dir, 2)
}

func TestCreateTakesNoName(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := wholefile.Create(name, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Create(name, []byte("2"), 0o644); !errors.Is(err, fs.ErrExist) || content(t, name) != "1" {
		t.Errorf("%v, and it holds %q", err, content(t, name))
	}
	left(t, dir, 1)
}

// A failed write leaves no temporary file and keeps the old content.
func TestFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := os.MkdirAll(filepath.Join(name, "in it"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Replace(name, []byte("1"), 0o644); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if err := wholefile.Replace(filepath.Join(dir, "nowhere", "a"), nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	left(t, dir, 1)
}

func left(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Errorf("%d entries are left, want %d (%v)", len(entries), want, err)
	}
}
