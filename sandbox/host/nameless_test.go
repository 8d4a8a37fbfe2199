package host

import (
	"os"
	"path/filepath"
	"testing"
)

// A trial that trusted a folder to be shown without its name, on a machine that cannot,
// would not start, or would name who tries.
func TestNameless(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Nameless(t.Context(), dir); err != nil {
		t.Errorf("a plain folder: %v", err)
	}
	for _, wrong := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "a"), ""} {
		if Nameless(t.Context(), wrong) == nil {
			t.Errorf("%q is shown", wrong)
		}
	}
}
