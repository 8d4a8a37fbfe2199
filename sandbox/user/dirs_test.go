package user

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Only the user's own private folder counts as the session's: the owner of another one
// would answer in place of the user manager.
func TestLoginDir(t *testing.T) {
	uid := os.Getuid()
	for _, c := range []struct {
		name string
		make func(dir string) error
		want bool
	}{
		{"as logind makes it", func(dir string) error { return os.Mkdir(dir, 0o700) }, true},
		{"open to others", func(dir string) error { return os.Mkdir(dir, 0o755) }, false},
		{"a symlink", func(dir string) error { return os.Symlink(os.TempDir(), dir) }, false},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, false},
		{"absent", func(string) error { return nil }, false},
	} {
		logind := t.TempDir()
		dir := filepath.Join(logind, strconv.Itoa(uid))
		if err := c.make(dir); err != nil {
			t.Fatal(err)
		}
		want := ""
		if c.want {
			want = dir
		}
		if got := loginDir(logind, uid); got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	logind := t.TempDir()
	if err := os.Mkdir(filepath.Join(logind, strconv.Itoa(uid+1)), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := loginDir(logind, uid+1); got != "" {
		t.Errorf("a folder of this user is taken for another's: %q", got)
	}
}
