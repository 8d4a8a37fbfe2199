package sandbox_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/plan"
)

// Protected places stay as they are, and none is made, however a server's threads and
// a program outside change everything around them at once.
func TestNothingProtectedChangesInAStorm(t *testing.T) {
	s := everybody(t)
	for seed := range uint64(3) { // more in make soak
		stormed(t, s, seed, 1500)
	}
}

// stormed has two threads inside and one outside change one tree for a time, and
// compares the protected files before and after.
func stormed(t *testing.T, s *stage.Stage, seed uint64, milliseconds int) {
	t.Helper()
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.World.Project, "storm")
	exec.Command("chmod", "-R", "u+rwx", dir).Run()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a/.git/HEAD": "ref: refs/heads/main", "a/.git/config": "[core]", "a/.git/hooks/pre-commit": "true", "a/.git/refs/x": "", "a/.git/objects/x": "",
		"proj/.git/config": "[core]\nhooksPath = hooks\n", "proj/hooks/pre-commit": "true", "b/c/.git/config": "[core]", ".vscode/tasks.json": "{}", "d/.config/fish/config.fish": "true", "d/.config/other": "",
		"bare/HEAD": "ref: refs/heads/main", "bare/objects/x": "", "bare/refs/x": "", "bare/config": "[core]", "team/pre-commit": "true", "c/CLAUDE.md": "#", "env/pyvenv.cfg": "home", "env/lib/x.pth": "",
		"a/free": "1", "b/free": "2", "c/d/free": "3",
	} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "d/.git"), 0o755), os.Symlink("../../team", filepath.Join(dir, "d/.git/hooks")),
		os.Link(filepath.Join(dir, "a/.git/config"), filepath.Join(dir, "alias"))); err != nil {
		t.Fatal(err)
	}
	before := protectedIn(t, dir)
	if len(before) < 25 {
		t.Fatalf("only %d protected files: %v", len(before), before)
	}
	stop, stopped := make(chan struct{}), make(chan int)
	go func() { stopped <- outside(dir, seed, stop) }()
	runBox(t, s, hostilePlan(t, s, "storm", dir, fmt.Sprint(seed), fmt.Sprint(milliseconds)))
	close(stop)
	if n := <-stopped; n < 10 {
		t.Fatalf("seed %d: only %d changes outside", seed, n)
	}
	exec.Command("chmod", "-R", "u+rwX", dir).Run()
	after := protectedIn(t, dir)
	for in, was := range before {
		if is, ok := after[in]; !ok {
			t.Errorf("seed %d: %s is gone", seed, was)
		} else if is.what != was.what {
			t.Errorf("seed %d: %s became %s", seed, was, is)
		}
	}
	for in, is := range after {
		if _, ok := before[in]; !ok {
			t.Errorf("seed %d: %s was planted", seed, is)
		}
	}
}

// protectedFile is the compared state of a protected file.
type protectedFile struct{ path, what string }

func (p protectedFile) String() string { return p.path + " (" + p.what + ")" }

// protectedIn describes everything in protected places below a directory, by inode: a
// program outside moves the folders around them.
func protectedIn(t *testing.T, dir string) map[[2]uint64]protectedFile {
	t.Helper()
	judge := plan.NewJudge(plan.Writes{Folders: []string{dir}})
	known := plan.NewKnown([]plan.ProtectedPlace{{Place: filepath.Join(dir, "team")}, {Place: filepath.Join(dir, "proj/hooks")}})
	found := map[[2]uint64]protectedFile{}
	repositories := map[string]bool{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		has := func(name string) bool { _, err := os.Lstat(filepath.Join(p, name)); return err == nil }
		if d.IsDir() && (plan.IsRepository(has) || has("pyvenv.cfg")) || repositories[filepath.Dir(p)] {
			repositories[p] = true
		}
		standing, _ := judge.At(p, known)
		if standing != plan.Kept && !repositories[p] {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		what := fmt.Sprintf("%s %o", filepath.Base(p), st.Mode)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x %d", sha256.Sum256(data), st.Mtim.Nano())
		case unix.S_IFLNK:
			text, _ := os.Readlink(p)
			what += " " + text
		}
		key := [2]uint64{uint64(st.Dev), st.Ino}
		if old, again := found[key]; again && old.what != what {
			return fmt.Errorf("%s has the names %s and %s", p, old, what)
		}
		found[key] = protectedFile{strings.TrimPrefix(p, dir+"/"), what}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// outside changes unprotected files until it is stopped, and returns how often it
// could. It moves folders that contain protected places, as a person does, but follows
// no link that the server made into one of them.
func outside(dir string, seed uint64, stop chan struct{}) (done int) {
	r := rand.New(rand.NewPCG(seed, 99))
	names := []string{"a", "b", "c", "d"}
	name := func() (int, string) {
		parts := []string{"."}
		for range r.IntN(3) {
			parts = append(parts, names[r.IntN(len(names))])
		}
		at, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(at)
			at, err = unix.Openat2(at, filepath.Join(parts...), &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
		}
		if err != nil {
			at = -1
		}
		return at, names[r.IntN(len(names))]
	}
	began := filepath.Join(dir, "started") // the threads inside make it once they begin
	for {
		select {
		case <-stop:
			return done
		default:
		}
		if _, err := os.Lstat(began); began != "" && err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		began = ""
		from, p := name()
		to, q := name()
		var err error
		switch r.IntN(6) {
		case 0, 1:
			err = unix.Renameat2(from, p, to, q, unix.RENAME_NOREPLACE)
		case 2:
			err = unix.Renameat2(from, p, to, q, unix.RENAME_EXCHANGE)
		case 3:
			err = unix.Mkdirat(from, p, 0o755)
		case 4:
			// Only a new one: the server may rename the alias, which nobody outside may write to.
			fd, failed := unix.Openat(from, p, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
			if err = failed; err == nil {
				_, err = unix.Write(fd, []byte("outside"))
				unix.Close(fd)
			}
		case 5:
			err = unix.Symlinkat(q, from, p)
		}
		if err == nil {
			done++
		}
		unix.Close(from)
		unix.Close(to)
	}
}
