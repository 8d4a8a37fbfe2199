package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
)

// plainUser runs every test a second time when root does.
const (
	plainUser = 20001
	asUser    = "MCPEN_QUARANTINE_TEST_USER"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && os.Getuid() == 0 && os.Getenv(asUser) == "" {
		code = again()
	}
	os.Exit(code)
}

// again runs the tests as a user without rights.
func again() int {
	dir, err := os.MkdirTemp("", "mcpen-quarantine")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program, tmp := filepath.Join(dir, "test"), filepath.Join(dir, "tmp")
	must(os.Chmod(dir, 0o755))
	must(os.Mkdir(tmp, 0o700))
	must(os.Chown(tmp, plainUser, plainUser))
	self, err := os.Executable()
	must(err)
	in, err := os.Open(self)
	must(err)
	defer in.Close()
	out, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	must(err)
	_, err = io.Copy(out, in)
	must(errors.Join(err, out.Close()))
	cmd := exec.Command(program, slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool {
		return strings.Contains(a, "coverprofile") || strings.Contains(a, "testlogfile") || strings.Contains(a, "outputdir")
	})...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = tmp, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), asUser+"=1", "TMPDIR="+tmp, "HOME="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "as user %d: %v\n", plainUser, err)
		return 1
	}
	return 0
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// rig is a writable folder, a place for what is found, and what was reported.
type rig struct {
	t    *testing.T
	dir  string
	dest string

	mu    sync.Mutex
	found []Planted
	news  chan Planted
}

func newRig(t *testing.T) *rig {
	base := t.TempDir()
	r := &rig{t: t, dir: filepath.Join(base, "project"), dest: filepath.Join(base, "quarantine", "run"), news: make(chan Planted, 1000)}
	must(os.MkdirAll(r.dir, 0o755))
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+rwx", base).Run() }) // what a server closed is in the way
	return r
}

// elsewhere puts the quarantine on another file system, or skips.
func (r *rig) elsewhere() {
	r.t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mcpen-quarantine")
	if err == nil {
		r.t.Cleanup(func() { os.RemoveAll(dir) })
		var a, b unix.Stat_t
		must(unix.Stat(dir, &a))
		must(unix.Stat(r.dir, &b))
		if a.Dev == b.Dev {
			err = errors.New("it is the same file system")
		}
	}
	if err != nil {
		r.t.Skipf("no second file system at /dev/shm: %v", err)
	}
	r.dest = filepath.Join(dir, "run")
}

// write makes a file and the directories on its way, all of them at once: a
// watch would take a half of it.
func (r *rig) write(rel, text string) {
	r.t.Helper()
	stage, err := os.MkdirTemp(filepath.Dir(r.dir), "stage")
	must(err)
	defer os.RemoveAll(stage)
	must(os.MkdirAll(filepath.Join(stage, filepath.Dir(rel)), 0o755))
	must(os.WriteFile(filepath.Join(stage, rel), []byte(text), 0o644))
	missing := rel
	for dir := filepath.Dir(rel); dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(r.dir, dir)); err != nil {
			missing = dir
		}
	}
	must(os.Rename(filepath.Join(stage, missing), filepath.Join(r.dir, missing)))
}

// blind ends the watch but for its last sweep, as if it had missed everything.
func blind(w *Watch) {
	must(w.notify.close())
	<-w.done
}

func scan(dir string) ([]string, error) { return host.Below(context.Background(), dir) }

func (r *rig) start(scan Scan, except ...string) *Watch {
	r.t.Helper()
	w, err := Start([]plan.Watch{{Dir: r.dir, Names: plan.Protected, Except: except}}, scan, r.dest, func(p Planted) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.found = append(r.found, p)
		r.news <- p
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// end closes the watch and checks what was moved, in any order.
func (r *rig) end(w *Watch, want ...string) {
	r.t.Helper()
	if err := w.Close(); err != nil && !errors.Is(err, os.ErrClosed) { // blind has closed it
		r.t.Error(err)
	}
	var got []string
	for _, p := range r.found {
		if p.Err != nil {
			r.t.Errorf("%q could not be moved: %v", p.Path, p.Err)
		}
		rel, err := filepath.Rel(r.dir, p.Path)
		must(err)
		got = append(got, rel)
		if _, err := os.Lstat(p.Moved); err != nil && p.Err == nil {
			r.t.Errorf("%q is not where it was said to be: %v", rel, err)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("moved %q, want %q", got, want)
	}
}

// gone fails for what is still in the folder, placeholders included.
func (r *rig) gone(rels ...string) {
	r.t.Helper()
	for _, rel := range rels {
		if _, err := os.Lstat(filepath.Join(r.dir, rel)); !errors.Is(err, os.ErrNotExist) {
			r.t.Errorf("%q is still there: code outside would run it (%v)", rel, err)
		}
	}
}

func (r *rig) still(rel, text string) {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, rel))
	if err != nil || string(b) != text {
		r.t.Errorf("the user's %q: %q, %v; want %q", rel, b, err, text)
	}
}

func bothFileSystems(t *testing.T, f func(*testing.T, *rig)) {
	t.Run("same file system", func(t *testing.T) { f(t, newRig(t)) })
	t.Run("another file system", func(t *testing.T) { r := newRig(t); r.elsewhere(); f(t, r) })
}

// A person who opens the folder in an editor, or enters it in a shell, would
// otherwise run what a server put there.
func TestPlantedPlacesAreMoved(t *testing.T) {
	bothFileSystems(t, func(t *testing.T, r *rig) {
		r.write("a/b/keep.txt", "mine")
		r.write(".idea/workspace.xml", "mine")
		w := r.start(scan)
		r.write(".git/hooks/pre-commit", "evil")
		r.write(".envrc", "evil")
		r.write("a/b/.vscode/tasks.json", "evil")
		r.write("a/new/.envrc", "evil")
		r.write("a/node_modules/.bin/tsc", "evil")
		must(os.Symlink("keep.txt", filepath.Join(r.dir, "a/b/AGENTS.md")))
		r.write("a/b/Makefile", "a server with write access works here")
		must(w.Close())
		var all []string
		for _, p := range r.found {
			if p.Err != nil {
				t.Errorf("%q: %v", p.Path, p.Err)
			}
			must(filepath.WalkDir(p.Moved, func(q string, _ os.DirEntry, err error) error {
				all = append(all, filepath.Base(q))
				return err
			}))
		}
		for _, kept := range []string{"pre-commit", "tasks.json", "tsc"} {
			if !slices.Contains(all, kept) {
				t.Errorf("%q was not kept for a person to look at: %q", kept, all)
			}
		}
		r.gone(".git", ".envrc", "a/b/.vscode", "a/new/.envrc", "a/node_modules/.bin", "a/b/AGENTS.md")
		r.still("a/b/keep.txt", "mine")
		r.still(".idea/workspace.xml", "mine")
		r.still("a/b/Makefile", "a server with write access works here")
	})
}

// While the server runs, the moment in which a planted place exists is short.
func TestPlantedPlacesAreMovedWhileTheServerRuns(t *testing.T) {
	r := newRig(t)
	r.write("a/x", "")
	w := r.start(scan)
	for _, rel := range []string{".envrc", "a/.envrc", "a/deep/.envrc", "late/.git/config"} {
		r.write(rel, "evil")
		if p := <-r.news; p.Err != nil {
			t.Fatal(p.Err)
		}
	}
	r.gone(".envrc", "a/.envrc", "a/deep/.envrc", "late/.git/config")
	must(w.Close())
}

// What was there is the user's, and stays, whatever happens in it.
func TestExistingPlacesStay(t *testing.T) {
	r := newRig(t)
	r.write(".git/config", "mine")
	r.write("pkg/.envrc", "mine")
	must(os.Symlink("pkg", filepath.Join(r.dir, ".venv")))
	w := r.start(scan)
	r.write(".git/index", "the user's git works outside meanwhile")
	must(os.Rename(filepath.Join(r.dir, "pkg"), filepath.Join(r.dir, "renamed")))
	r.write("trigger/x", "")
	r.end(w)
	r.still(".git/config", "mine")
	r.still("renamed/.envrc", "mine")
}

// Taking the user's file away and putting another one at its name is planting.
func TestExchangedPlacesAreMoved(t *testing.T) {
	bothFileSystems(t, func(t *testing.T, r *rig) {
		r.write("notes.md", "mine")
		r.write(".envrc", "mine")
		link := filepath.Join(r.dir, "AGENTS.md")
		must(os.Symlink("notes.md", link))
		w := r.start(scan)
		must(os.Remove(link))
		must(os.Symlink("evil.md", link)) // often of the same inode number
		must(os.Remove(filepath.Join(r.dir, ".envrc")))
		r.write(".envrc", "evil")
		r.end(w, "AGENTS.md", ".envrc")
		r.gone("AGENTS.md", ".envrc")
	})
}

// A profile that makes a place writable on purpose means that one.
func TestUnprotectedPlacesStay(t *testing.T) {
	r := newRig(t)
	w := r.start(scan, ".vscode", "pkg/.git")
	r.write(".vscode/settings.json", "wanted")
	r.write("pkg/.git/config", "wanted")
	r.write("pkg/.vscode/tasks.json", "evil")
	r.write(".git/config", "evil")
	r.end(w, "pkg/.vscode", ".git")
	r.still(".vscode/settings.json", "wanted")
	r.still("pkg/.git/config", "wanted")
}

// In a folder ".local" the name "bin" is ".local/bin"; anywhere else it is not.
func TestNamesOfTheFolderItself(t *testing.T) {
	r := newRig(t)
	w, err := Start([]plan.Watch{{Dir: r.dir, Names: []string{".local/bin", "/bin"}}}, scan, r.dest, func(p Planted) { r.found = append(r.found, p) })
	must(err)
	r.write("bin/ls", "evil")
	r.write("sub/bin/x", "wanted")
	r.end(w, "bin")
	r.still("sub/bin/x", "wanted")
}

// A planted symlink leads to the user's files; only the link goes.
func TestSymlinksAreNotFollowed(t *testing.T) {
	bothFileSystems(t, func(t *testing.T, r *rig) {
		outside := filepath.Join(filepath.Dir(r.dir), "outside")
		must(os.MkdirAll(filepath.Join(outside, ".git"), 0o755))
		must(os.WriteFile(filepath.Join(outside, "secret"), []byte("mine"), 0o600))
		w := r.start(scan)
		must(os.Symlink(filepath.Join(outside, "secret"), filepath.Join(r.dir, ".envrc")))
		must(os.Symlink(outside, filepath.Join(r.dir, ".vscode")))
		must(os.Symlink(outside, filepath.Join(r.dir, "dir"))) // holds a .git
		blind(w)
		must(os.MkdirAll(filepath.Join(r.dir, ".git"), 0o755))
		must(os.Symlink(outside, filepath.Join(r.dir, ".git/hooks")))
		r.end(w, ".envrc", ".vscode", ".git")
		r.gone(".envrc", ".vscode", ".git")
		if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "mine" {
			t.Errorf("the user's file outside: %q, %v", b, err)
		}
		if _, err := os.Stat(filepath.Join(outside, ".git")); err != nil {
			t.Errorf("the user's .git outside: %v", err)
		}
		for _, p := range r.found {
			filepath.WalkDir(p.Moved, func(q string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					if b, _ := os.ReadFile(q); string(b) == "mine" {
						t.Errorf("a copy of the user's secret is in %q", q)
					}
				}
				return err
			})
		}
	})
}

// Between the look and the move the server puts a symlink in the parent's place:
// to what lies outside, or to the user's own place inside.
func TestParentExchangedForASymlink(t *testing.T) {
	for _, to := range []string{"outside", "."} {
		r := newRig(t)
		outside := filepath.Join(filepath.Dir(r.dir), "outside")
		must(os.MkdirAll(filepath.Join(outside, ".git"), 0o755))
		r.write(".git/config", "mine")
		target := map[string]string{"outside": outside, ".": "."}[to]
		exchanged := false
		tricky := func(dir string) ([]string, error) {
			found, err := scan(dir)
			if slices.Contains(found, "pkg/.git") && !exchanged {
				exchanged = true
				must(os.Rename(filepath.Join(r.dir, "pkg"), filepath.Join(r.dir, "away")))
				must(os.Symlink(target, filepath.Join(r.dir, "pkg")))
			}
			return found, err
		}
		w := r.start(tricky)
		r.write("pkg/.git/config", "evil")
		w.Close()
		w = nil
		if !exchanged {
			t.Fatal("the exchange did not happen: this shows nothing")
		}
		r.still(".git/config", "mine")
		if _, err := os.Stat(filepath.Join(outside, ".git")); err != nil {
			t.Errorf("to %s: the user's .git outside was taken: %v", to, err)
		}
	}
}

// A folder in another one can be exchanged as a whole; it is held all the same.
func TestFolderExchangedForASymlink(t *testing.T) {
	r := newRig(t)
	outside := filepath.Join(filepath.Dir(r.dir), "outside")
	must(os.MkdirAll(filepath.Join(outside, "in"), 0o755))
	r.write("sub/in/x", "")
	sub := filepath.Join(r.dir, "sub")
	r2 := rig{t: t, dest: r.dest}
	r2.dir = filepath.Join(sub, "in")
	w, err := Start([]plan.Watch{{Dir: r2.dir, Names: plan.Protected}}, scan, r.dest, func(p Planted) { r2.found = append(r2.found, p) })
	must(err)
	must(os.Rename(sub, filepath.Join(r.dir, "moved")))
	must(os.Symlink(outside, sub))
	must(os.WriteFile(filepath.Join(outside, "in/.envrc"), []byte("mine"), 0o644))
	must(os.WriteFile(filepath.Join(r.dir, "moved/in/.envrc"), []byte("evil"), 0o644))
	r2.end(w, ".envrc")
	r.gone("moved/in/.envrc")
	r.still("sub/in/.envrc", "mine") // by the symlink, outside
}

// Directories that their owner closed, and folders filled with names, blind no
// look.
func TestClosedAndFilledDirectoriesHideNothing(t *testing.T) {
	bothFileSystems(t, func(t *testing.T, r *rig) {
		w := r.start(scan)
		blind(w) // so that the directories are closed before anybody looks
		r.write("closed/.git/hooks/x", "evil")
		r.write("listed/.vscode/deep/tasks.json", "evil")
		r.write("zz/.envrc", "evil")
		for _, d := range []struct {
			rel  string
			mode os.FileMode
		}{{"closed", 0}, {"listed/.vscode/deep", 0o500}, {"listed/.vscode", 0o500}, {"listed", 0o500}} {
			must(os.Chmod(filepath.Join(r.dir, d.rel), d.mode))
		}
		r.write(".envrc", "evil")
		must(os.Chmod(r.dir, 0o500))
		r.end(w, "closed/.git", "listed/.vscode", "zz/.envrc", ".envrc")
		st, err := os.Stat(filepath.Join(r.dir, "closed"))
		if err != nil || st.Mode().Perm() != 0 {
			t.Errorf("the directory was not closed again: %v, %v", st.Mode(), err)
		}
		must(os.Chmod(filepath.Join(r.dir, "closed"), 0o700))
		must(os.Chmod(filepath.Join(r.dir, "listed"), 0o700))
		r.gone("closed/.git", "listed/.vscode", "zz/.envrc", ".envrc")
	})
	t.Run("filled", func(t *testing.T) {
		r := newRig(t)
		full := errors.New("more than 20000 entries")
		first := true
		w := r.start(func(dir string) ([]string, error) {
			if first {
				first = false
				return nil, nil
			}
			return nil, full
		})
		r.write("a/b/.git/config", "evil")
		r.write("node_modules/.bin/x", "evil")
		r.write("a/node_modules/.bin/x", "evil")
		r.write("a/node_modules/pkg/.envrc", "of a package, which nothing enters")
		r.end(w, "a/b/.git", "node_modules/.bin", "a/node_modules/.bin")
	})
}

// The walk and the scan agree where both see everything.
func TestWalkFindsWhatTheScanFinds(t *testing.T) {
	r := newRig(t)
	for _, name := range plan.Protected {
		r.write(filepath.Join(name, "x"), "")
		r.write(filepath.Join("a/b", name, "x"), "")
		r.write(filepath.Join("a/b/c/d", name, "x"), "")
	}
	f, err := openFolder(plan.Watch{Dir: r.dir, Names: plan.Protected})
	must(err)
	defer f.file.Close()
	want, err := scan(r.dir)
	must(err)
	got, err := f.walk()
	must(err)
	slices.Sort(got)
	if len(want) < 2*len(plan.Protected)-20 || !slices.Equal(want, got) {
		t.Errorf("the walk found %q\nthe scan %q", got, want)
	}
}

// A server that plants more than there is room for keeps nothing of it.
func TestTooMuchToKeepDoesNotStay(t *testing.T) {
	r := newRig(t)
	r.elsewhere()
	w := r.start(scan)
	blind(w)
	r.write(".git/big", "")
	must(os.Truncate(filepath.Join(r.dir, ".git/big"), maxCopy+1))
	r.write(".git/small", "x")
	w.Close()
	r.gone(".git")
	if !slices.ContainsFunc(r.found, func(p Planted) bool { return p.Err != nil && strings.Contains(p.Err.Error(), "the rest was not kept") }) {
		t.Errorf("nobody was told that something is missing: %v", r.found)
	}
}

// What the watch missed is caught when the server is gone.
func TestCloseSweepsOnceMore(t *testing.T) {
	r := newRig(t)
	w := r.start(scan)
	blind(w)
	r.write("a/.envrc", "evil")
	if len(r.found) != 0 {
		t.Fatal("the watch was to have missed it")
	}
	if err := w.Close(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	r.gone("a/.envrc")
	if len(r.found) != 1 {
		t.Errorf("reported: %v", r.found)
	}
}

// Nothing to watch and nothing that can be looked at.
func TestStart(t *testing.T) {
	w, err := Start(nil, scan, "", nil)
	if w != nil || err != nil || w.Close() != nil {
		t.Errorf("with no folder: %v, %v", w, err)
	}
	r := newRig(t)
	for name, dir := range map[string]string{"missing": filepath.Join(r.dir, "missing"), "a symlink": filepath.Join(r.dir, "link")} {
		os.Symlink("/", filepath.Join(r.dir, "link"))
		if w, err := Start([]plan.Watch{{Dir: dir, Names: plan.Protected}}, scan, r.dest, nil); err == nil {
			w.Close()
			t.Errorf("%s is watched", name)
		}
	}
	none := func(string) ([]string, error) { return nil, errors.New("cannot look") }
	if _, err := Start([]plan.Watch{{Dir: r.dir, Names: plan.Protected}}, none, r.dest, nil); err == nil {
		t.Error("what is there is not known, and the watch goes on")
	}
	if _, err := os.Lstat(r.dest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the quarantine was made for nothing: %v", err)
	}
}
