package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

// TestMain runs the test binary as an installer that is to be killed, where a
// test started it so.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PACK_TEST_STORE"); dir != "" {
		installForever(dir)
	}
	os.Exit(m.Run())
}

// installForever adds trees to a store until it is killed, and prints the hash
// of each one that it was told is there.
func installForever(dir string) {
	s := &Store{Dir: dir}
	for i := 0; ; i++ {
		st, err := s.Stage()
		if err == nil {
			fillTree(filepath.Join(st.Dir, "tree"), fmt.Sprint(i%7))
			var tree *Tree
			if tree, err = s.Add(st, "tree", "", time.Time{}); err == nil {
				fmt.Println(tree.Hash)
				tree.Close()
			}
			st.Close()
		}
		if err == nil && i%5 == 4 {
			_, err = s.GC(nil)
		}
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
}

func fillTree(dir, salt string) {
	for i := range 20 {
		p := filepath.Join(dir, fmt.Sprintf("d%d", i%4), fmt.Sprintf("f%d.js", i))
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte(strings.Repeat(salt+fmt.Sprint(i), 100)), 0o644)
	}
	os.Chmod(filepath.Join(dir, "d0/f0.js"), 0o755)
	os.Symlink("../d1/f1.js", filepath.Join(dir, "d0/link"))
}

func addTree(t *testing.T, s *Store, salt string) *Tree {
	t.Helper()
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	fillTree(filepath.Join(st.Dir, "tree"), salt)
	tree, err := s.Add(st, "tree", "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestStoreKeepsWhatWasAdded(t *testing.T) {
	s := emptyStore(t)
	a, again, b := addTree(t, s, "a"), addTree(t, s, "a"), addTree(t, s, "b")
	if a.Hash != again.Hash || a.Hash == b.Hash {
		t.Fatalf("hashes: %s %s %s", a.Hash, again.Hash, b.Hash)
	}
	if err := s.Verify(a.Hash); err != nil {
		t.Error(err)
	}
	if err := a.CheckFile("d1/f1.js"); err != nil {
		t.Error(err)
	}
	if _, err := s.Open("sha256:" + strings.Repeat("0", 64)); !errors.Is(err, ErrAbsent) {
		t.Errorf("a tree that was never added: %v", err)
	}
	if _, err := s.Open("sha256:../../x"); err == nil {
		t.Error("a path was taken for a hash")
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir, "stage")); len(left) != 0 {
		t.Errorf("left in stage: %v", left)
	}
	if info, _ := os.Stat(filepath.Join(a.Dir, "d0/f0.js")); info.Mode() != 0o555 {
		t.Errorf("an executable is %v", info.Mode())
	}
}

// Each change would run something that nobody approved; the error must say
// which file it is in.
func TestVerifyNamesTheChangedFile(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(dir string) error
		want   string
		cheap  bool // seen by Open already
	}{
		"content": {func(d string) error {
			p := filepath.Join(d, "d1/f1.js")
			os.Chmod(p, 0o644)
			defer os.Chmod(p, 0o444)
			return os.WriteFile(p, []byte("evil"), 0)
		}, `"d1/f1.js"`, true},
		"content of the same size and time": {func(d string) error {
			p := filepath.Join(d, "d1/f1.js")
			old, _ := os.ReadFile(p)
			old[0] ^= 1
			os.Chmod(p, 0o644)
			os.WriteFile(p, old, 0)
			os.Chmod(p, 0o444)
			return os.Chtimes(p, frozen, frozen)
		}, `"d1/f1.js"`, false},
		"added": {func(d string) error {
			os.Chmod(filepath.Join(d, "d2"), 0o755)
			defer os.Chmod(filepath.Join(d, "d2"), 0o555)
			return os.WriteFile(filepath.Join(d, "d2/new.js"), nil, 0o444)
		}, `"d2"`, true},
		"added in disguise": {func(d string) error {
			p := filepath.Join(d, "d2")
			os.Chmod(p, 0o755)
			os.WriteFile(filepath.Join(p, "new.js"), nil, 0o444)
			os.Chmod(p, 0o555)
			return os.Chtimes(p, frozen, frozen)
		}, `"d2/new.js"`, false},
		"removed": {func(d string) error {
			os.Chmod(filepath.Join(d, "d3"), 0o755)
			defer os.Chmod(filepath.Join(d, "d3"), 0o555)
			return os.Remove(filepath.Join(d, "d3/f3.js"))
		}, `"d3"`, true},
		"symlink": {func(d string) error {
			p := filepath.Join(d, "d0")
			os.Chmod(p, 0o755)
			os.Remove(filepath.Join(p, "link"))
			os.Symlink("../d1/f5.js", filepath.Join(p, "link"))
			os.Chmod(p, 0o555)
			return os.Chtimes(p, frozen, frozen)
		}, `"d0/link"`, true},
		"manifest": {func(d string) error {
			p := filepath.Join(filepath.Dir(d), "manifest")
			data, _ := os.ReadFile(p)
			os.Chmod(p, 0o600)
			return os.WriteFile(p, append(data, "f 0 \"\" x\n"...), 0)
		}, "manifest", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := emptyStore(t)
			tree := addTree(t, s, "a")
			tree.Close()
			if err := s.Verify(tree.Hash); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			if err := tc.change(tree.Dir); err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(tree.Hash); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Verify: %v, want %s named", err, tc.want)
			}
			opened, err := s.Open(tree.Hash)
			if tc.cheap != (err != nil) {
				t.Errorf("Open: %v", err)
			}
			if err == nil {
				defer opened.Close()
				if name == "content of the same size and time" && opened.CheckFile("d1/f1.js") == nil {
					t.Error("CheckFile did not see it")
				}
			}
		})
	}
}

// A damaged tree is replaced by installing again, unless a server runs from it.
func TestAddReplacesDamage(t *testing.T) {
	s := emptyStore(t)
	tree := addTree(t, s, "a")
	p := filepath.Join(tree.Dir, "d1/f1.js")
	os.Chmod(p, 0o644)
	os.WriteFile(p, []byte("evil"), 0)
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	fillTree(filepath.Join(st.Dir, "tree"), "a")
	if _, err := s.Add(st, "tree", "", time.Time{}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("in use: %v", err)
	}
	tree.Close()
	addTree(t, s, "a").Close()
	if err := s.Verify(tree.Hash); err != nil {
		t.Error(err)
	}
}

func TestAddRefusesAnotherTreeThanLocked(t *testing.T) {
	s := emptyStore(t)
	locked := addTree(t, s, "a")
	defer locked.Close()
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	dir := filepath.Join(st.Dir, "tree")
	fillTree(dir, "a")
	os.WriteFile(filepath.Join(dir, "d2/f6.js"), []byte("swapped"), 0o644)
	if _, err := s.Add(st, "tree", locked.Hash, time.Time{}); err == nil || !strings.Contains(err.Error(), `"d2/f6.js" was changed`) {
		t.Errorf("error %v, want the file named", err)
	}
	if list, _ := s.List(); len(list) != 1 {
		t.Errorf("store holds %v", list)
	}
}

func TestScanTreeRefusesHostileTrees(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(outside, nil, 0o600)
	for name, tc := range map[string]struct {
		plant func(dir string) error
		want  string
		lim   pack.Limits
	}{
		"symlink out":      {func(d string) error { return os.Symlink("../../secret", filepath.Join(d, "x")) }, "leaves", pack.Limits{}},
		"absolute symlink": {func(d string) error { return os.Symlink(outside, filepath.Join(d, "x")) }, "absolute", pack.Limits{}},
		"symlink loop":     {func(d string) error { return os.Symlink("x", filepath.Join(d, "x")) }, "circle", pack.Limits{}},
		"symlink by a detour": {func(d string) error {
			os.Symlink("d0/up", filepath.Join(d, "x"))
			return os.Symlink("../..", filepath.Join(d, "d0/up"))
		}, "leaves", pack.Limits{}},
		"symlink through another": {func(d string) error {
			os.MkdirAll(filepath.Join(d, "a/b/c"), 0o755)
			os.Symlink("a/b/c", filepath.Join(d, "deep"))
			return os.Symlink("deep/../../../../secret", filepath.Join(d, "x"))
		}, "leaves", pack.Limits{}},
		"setuid":      {func(d string) error { return os.Chmod(filepath.Join(d, "d0/f0.js"), 0o755|os.ModeSetuid) }, "setuid", pack.Limits{}},
		"fifo":        {func(d string) error { return unix.Mkfifo(filepath.Join(d, "x"), 0o600) }, "neither", pack.Limits{}},
		"hard link":   {func(d string) error { return os.Link(filepath.Join(d, "d0/f0.js"), filepath.Join(d, "x")) }, "hard link", pack.Limits{}},
		"newline":     {func(d string) error { return os.WriteFile(filepath.Join(d, "a\nb"), nil, 0o600) }, "U+000A", pack.Limits{}},
		"bidi":        {func(d string) error { return os.WriteFile(filepath.Join(d, "a\u202eb"), nil, 0o600) }, "U+202E", pack.Limits{}},
		"not UTF-8":   {func(d string) error { return os.WriteFile(filepath.Join(d, "a\xffb"), nil, 0o600) }, "UTF-8", pack.Limits{}},
		"many files":  {func(d string) error { return nil }, "more than 5 files", pack.Limits{Files: 5}},
		"many bytes":  {func(d string) error { return nil }, "more than 100 bytes", pack.Limits{Bytes: 100}},
		"a long name": {func(d string) error { return nil }, "longer", pack.Limits{Path: 3}},
		"a big sparse": {func(d string) error {
			f, _ := os.Create(filepath.Join(d, "x"))
			defer f.Close()
			return f.Truncate(1 << 40)
		}, "bytes", pack.Limits{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tree")
			fillTree(dir, "a")
			if _, err := scanTree(dir, pack.Limits{}, true); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := tc.plant(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := scanTree(dir, tc.lim, true); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// freeze must not change the mode of a planted symlink's target.
func TestAddRefusesASymlinkInPlaceOfTheTree(t *testing.T) {
	s := emptyStore(t)
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	out := t.TempDir()
	os.Symlink(out, filepath.Join(st.Dir, "tree"))
	if _, err := s.Add(st, "tree", "", time.Time{}); err == nil {
		t.Error("added")
	}
	if info, _ := os.Stat(out); info.Mode().Perm()&0o200 == 0 {
		t.Error("the directory outside was changed")
	}
}

func TestGCKeepsWhatIsNamedOrUsed(t *testing.T) {
	s := emptyStore(t)
	a, b, c := addTree(t, s, "a"), addTree(t, s, "b"), addTree(t, s, "c")
	a.Close()
	c.Close()
	removed, err := s.GC([]string{a.Hash})
	if err != nil || len(removed) != 1 || removed[0] != c.Hash {
		t.Errorf("removed %v, %v; want c", removed, err)
	}
	if err := s.Verify(a.Hash); err != nil {
		t.Error(err)
	}
	b.Close()
	if removed, err = s.GC(nil); err != nil || len(removed) != 2 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestManifestReadsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	fillTree(dir, "a")
	os.WriteFile(filepath.Join(dir, `d0/na"me with space.js`), []byte("x"), 0o600)
	m, err := scanTree(dir, pack.Limits{}, true)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	m.write(&b)
	again, err := readManifest([]byte(b.String()))
	if err != nil || again.Hash() != m.Hash() || m.difference(again) != nil {
		t.Errorf("%v, %v", err, m.difference(again))
	}
	if _, err := readManifest([]byte(b.String()[:b.Len()-3])); err == nil {
		t.Error("a torn manifest was read")
	}
}

func TestStoreManyInstallsAtOnce(t *testing.T) {
	s := emptyStore(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				st, err := s.Stage()
				if err != nil {
					t.Error(err)
					return
				}
				fillTree(filepath.Join(st.Dir, "tree"), fmt.Sprint((i+j)%3))
				tree, err := s.Add(st, "tree", "", time.Time{})
				if err != nil {
					t.Error(err)
				} else if err := s.Verify(tree.Hash); err != nil {
					t.Error(err)
				} else {
					tree.Close()
				}
				st.Close()
				if _, err := s.GC(nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A kill at any moment leaves no tree that is not whole, and nothing in stage
// that the next install does not remove.
func TestStoreSurvivesKill(t *testing.T) {
	s := emptyStore(t)
	seen := 0
	for range 25 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "PACK_TEST_STORE="+s.Dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The first line says that it works; the kill comes at a random moment
		// after it, which is no synchronisation but the very thing to be tried.
		lines := bufio.NewReader(out)
		line, err := lines.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "error") {
			cmd.Process.Kill()
			t.Fatalf("installer: %q, %v", line, err)
		}
		timer := time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { cmd.Process.Signal(syscall.SIGKILL) })
		rest, _ := io.ReadAll(lines)
		timer.Stop()
		cmd.Wait()
		if strings.Contains(string(rest), "error") {
			t.Fatalf("installer: %s", rest)
		}
		list, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		seen += len(list)
		for _, tree := range list {
			if err := s.Verify(tree); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen == 0 {
		t.Error("no kill left a tree: nothing was tried")
	}
	addTree(t, s, "last").Close()
	if left, _ := os.ReadDir(filepath.Join(s.Dir, "stage")); len(left) != 0 {
		t.Errorf("left in stage: %v", left)
	}
}

// Open is on the way of every start of a server.
func BenchmarkOpen(b *testing.B) {
	s := &Store{Dir: filepath.Join(b.TempDir(), "store")}
	b.Cleanup(func() { removeAll(s.Dir) })
	st, err := s.Stage()
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	for i := range 5000 {
		p := filepath.Join(st.Dir, "tree", fmt.Sprintf("node_modules/some-package-%d/lib/dist/f%d.js", i/10, i))
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte("x"), 0o644)
	}
	tree, err := s.Add(st, "tree", "", time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	for b.Loop() {
		again, err := s.Open(tree.Hash)
		if err != nil {
			b.Fatal(err)
		}
		if err := again.CheckFile("node_modules/some-package-400/lib/dist/f4000.js"); err != nil {
			b.Fatal(err)
		}
		again.Close()
	}
}

// The reading work of "mcpen verify" for twenty packages.
func BenchmarkVerifyTwentyTrees(b *testing.B) {
	s := &Store{Dir: filepath.Join(b.TempDir(), "store")}
	b.Cleanup(func() { removeAll(s.Dir) })
	var trees []string
	for i := range 20 {
		st, err := s.Stage()
		if err != nil {
			b.Fatal(err)
		}
		for j := range 300 {
			dir := filepath.Join(st.Dir, "tree", fmt.Sprint("d", j%20))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(j, ".js")), bytes.Repeat([]byte{byte(i)}, 16<<10), 0o644); err != nil {
				b.Fatal(err)
			}
		}
		t, err := s.Add(st, "tree", "", time.Time{})
		if err != nil {
			b.Fatal(err)
		}
		trees = append(trees, t.Hash)
		t.Close()
		st.Close()
	}
	b.SetBytes(20 * 300 * 16 << 10)
	for b.Loop() {
		for _, t := range trees {
			if err := s.Verify(t); err != nil {
				b.Fatal(err)
			}
		}
	}
}
func emptyStore(t *testing.T) *Store {
	t.Helper()
	s := &Store{Dir: filepath.Join(t.TempDir(), "store")}
	t.Cleanup(func() { removeAll(s.Dir) })
	return s
}
