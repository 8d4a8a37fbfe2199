package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestSingleFiles plays commands about the user's files in their usual places: a
// declared file below /tmp lies in a private file system, in which a program can make
// neighbours of it.
func TestSingleFiles(t *testing.T) {
	root := os.Getenv(scriptRoot)
	if root == "" {
		base := "/var/lib"
		if os.Geteuid() != 0 {
			base = os.Getenv("HOME")
		}
		dir, err := os.MkdirTemp(base, "mcpen-script-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if os.Geteuid() == 0 {
			t.Run("user", func(t *testing.T) { asUser(t, filepath.Join(dir, "user")) })
		}
		root = filepath.Join(dir, "own")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "outside"), WorkdirRoot: root, Setup: settle, Condition: condition, Cmds: words})
}
