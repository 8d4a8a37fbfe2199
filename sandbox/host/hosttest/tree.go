// Package hosttest makes up machines in temporary directories, for tests of code that
// reads the facts of a machine.
package hosttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tree is a made-up machine: a home in home/u and the system's directories beside it.
type Tree struct {
	Root string
	t    *testing.T
}

// New makes an empty machine, which is removed at the end of the test.
func New(t *testing.T) *Tree {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &Tree{Root: root, t: t}
}

// At returns the real path of a path of the machine. "~" is its home.
func (tr *Tree) At(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok {
		return tr.Root + "/home/u" + rest
	}
	return tr.Root + path
}

// write writes a file with the directories above it. ROOT in it stands for Tree.Root.
func (tr *Tree) write(path, content string, mode os.FileMode) {
	tr.t.Helper()
	if err := os.MkdirAll(filepath.Dir(tr.At(path)), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(tr.At(path), []byte(strings.ReplaceAll(content, "ROOT", tr.Root)), mode); err != nil {
		tr.t.Fatal(err)
	}
}

// Exe writes a program.
func (tr *Tree) Exe(path string) { tr.t.Helper(); tr.write(path, "\x7fELF", 0o755) }

// Script writes an executable text.
func (tr *Tree) Script(path, content string) { tr.t.Helper(); tr.write(path, content, 0o755) }

// File writes a text.
func (tr *Tree) File(path, content string) { tr.t.Helper(); tr.write(path, content, 0o644) }

// Link makes a symlink. ROOT in its text stands for Tree.Root.
func (tr *Tree) Link(path, text string) {
	tr.t.Helper()
	if err := os.MkdirAll(filepath.Dir(tr.At(path)), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.Symlink(strings.ReplaceAll(text, "ROOT", tr.Root), tr.At(path)); err != nil {
		tr.t.Fatal(err)
	}
}
