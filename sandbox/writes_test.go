package sandbox_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/probe/stage"
)

// If a server puts a file in a writable folder in place of one that code outside
// trusts, the next git command, editor or client executes it (CVE-2026-25725). mcpen
// never lets it be made, anywhere in the folder, and tells the person.
func TestNothingIsPlanted(t *testing.T) {
	s := everybody(t)
	project := s.World.Project
	p := hostilePlan(t, s)
	p.Process.Path, p.Process.Dir = "/bin/sh", project
	p.Process.Args = []string{"sh", "-c", `
		echo '{}' > .mcp.json
		mkdir .idea
		mkdir -p deep/.git/hooks a/b/c/d/e/f
		mkdir a/b/c/d/e/f/.git
		mv sub moved
		mkdir stash && mv stash .cursor
		ln -s /etc/passwd .envrc
		ln README.md CLAUDE.md
		mkdir .GIT
		mkdir conf && mkdir conf/fish && mv conf .config
		ln -s conf .config
		mkdir -p r/objects r/refs && echo 'ref: x' > r/HEAD
		mkdir node_modules
		echo kept > result`}
	told := map[string]bool{}
	for _, e := range runBox(t, s, p) {
		if e.Kind == audit.KindFile && e.Verdict == audit.Refused {
			told[strings.TrimPrefix(e.Subject, project+"/")] = true
		}
	}
	for _, name := range []string{".mcp.json", ".idea", "deep/.git", "a/b/c/d/e/f/.git", ".cursor", ".envrc", ".GIT", ".config", "r/HEAD", "node_modules"} {
		if _, err := os.Lstat(filepath.Join(project, name)); err == nil {
			t.Errorf("%s was planted", name)
		}
	}
	for _, name := range []string{".mcp.json", ".idea", "deep/.git", "sub", ".cursor", ".envrc", ".GIT", "conf", "r/HEAD", "node_modules"} {
		if !told[name] {
			t.Errorf("%s was refused and nobody was told: %v", name, told)
		}
	}
	// Existing files stay, and the server can make files in unprotected places.
	for _, name := range []string{".git/config", ".vscode/tasks.json", "sub/.git/config", "result", "stash", "conf/fish", "r/refs"} {
		if _, err := os.Lstat(filepath.Join(project, name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}

// A program works in a writable folder as it does outside: each call that changes
// a file ends as the kernel's own would, and leaves the same tree.
func TestWritesAreTheKernels(t *testing.T) {
	s := everybody(t)
	for seed := range 12 { // more in make soak
		mutated(t, s, seed, 2500)
	}
}

// mutated makes the same changes outside and inside and compares them.
func mutated(t *testing.T, s *stage.Stage, seed, n int) {
	t.Helper()
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	above := filepath.Join(s.World.Project, "same")
	dir := filepath.Join(above, "x/y/z") // a link and ".." lead out of it by some levels
	number := fmt.Sprint(seed)
	var logs, trees [2]string
	for i, run := range []func(args ...string){
		func(args ...string) {
			if out, err := exec.Command(s.Program, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		},
		func(args ...string) { runBox(t, s, hostilePlan(t, s, args...)) },
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { exec.Command("chmod", "-R", "u+rwx", above).Run() })
		out := filepath.Join(s.World.Project, "out")
		run("mutate", dir, number, fmt.Sprint(n), out)
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		logs[i], trees[i] = string(data), treeOf(t, above)
		exec.Command("chmod", "-R", "u+rwx", above).Run()
		if err := os.RemoveAll(above); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(strings.Split(logs[0], "\n"), strings.Split(logs[1], "\n")); d != "" {
		t.Fatalf("seed %d: calls end otherwise inside (-outside +inside):\n%.3000s", seed, d)
	}
	if d := cmp.Diff(strings.Split(trees[0], "\n"), strings.Split(trees[1], "\n")); d != "" {
		t.Fatalf("seed %d: another tree (-outside +inside):\n%.3000s", seed, d)
	}
	if len(logs[0]) < 10*n {
		t.Fatalf("seed %d: only %d bytes say what became of %d calls", seed, len(logs[0]), n)
	}
}

// treeOf describes everything below a directory but its times.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return nil // closed by a chmod, on both sides
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		text, _ := os.Readlink(p)
		size := st.Size
		if d.IsDir() {
			size = 0
		}
		fmt.Fprintf(&b, "%s %o %d %d %s\n", strings.TrimPrefix(p, dir), st.Mode, st.Nlink, size, strings.ReplaceAll(text, dir, "DIR"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
