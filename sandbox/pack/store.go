package pack

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Store keeps package trees by their content hash, read-only:
//
//	lock                   held for the moment in which staging is made or collected
//	stage/ID, stage/ID.lock  an install under way; the lock is held by its process
//	trees/HEX/tree         the package tree
//	trees/HEX/manifest     every path in it with its hash; hashes to HEX
//	trees/HEX/derived      the same for Python's compiled files
//	trees/HEX/lock         held, shared, by whoever uses the tree
//
// A tree appears by one rename and is never changed. What a killed process left
// in stage is removed by the next that stages. All methods may be used by any
// number of goroutines and processes at once.
type Store struct {
	Dir    string // absolute; created with mode 0700
	Limits Limits
}

// frozen is the modification time of everything in a store: it has no meaning,
// and an edit that does not cover its tracks shows.
var frozen = time.Unix(499162500, 0)

var treeName = regexp.MustCompile(`^sha256:([0-9a-f]{64})$`)

// place is the directory of a tree.
func (s *Store) place(tree string) (string, error) {
	m := treeName.FindStringSubmatch(tree)
	if m == nil {
		return "", fmt.Errorf("%q is not the hash of a package tree", tree)
	}
	return filepath.Join(s.Dir, "trees", m[1]), nil
}

// prepare makes the directories and takes the store's own lock. The caller
// closes the file to let go of it.
func (s *Store) prepare() (*os.File, error) {
	for _, dir := range []string{"", "stage", "trees"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the package store: %w", err)
		}
	}
	return flock(filepath.Join(s.Dir, "lock"), unix.LOCK_EX)
}

// errBusy is what flock returns with LOCK_NB for a lock that somebody holds.
var errBusy = errors.New("locked")

// flock opens a lock file and locks it (flock(2)). The lock goes with the file.
func flock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errBusy
	}
	return nil, fmt.Errorf("cannot lock %q: %w", name, err)
}

// Stage is a directory in which a tree is put together.
type Stage struct {
	Dir  string // an install job's only writable place
	base string
	lock *os.File
}

// Stage makes a staging directory and removes what killed processes left. The
// caller closes it, which removes it.
func (s *Store) Stage() (*Stage, error) {
	lock, err := s.prepare()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := s.collect(); err != nil {
		return nil, err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	base := filepath.Join(s.Dir, "stage", hex.EncodeToString(id))
	held, err := flock(base+".lock", unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return nil, fmt.Errorf("cannot stage: %w", err)
	}
	st := &Stage{Dir: filepath.Join(base, "work"), base: base, lock: held}
	if err := os.MkdirAll(st.Dir, 0o700); err != nil {
		st.Close()
		return nil, fmt.Errorf("cannot stage: %w", err)
	}
	return st, nil
}

// Close removes the staging directory.
func (st *Stage) Close() error {
	err := removeAll(st.base)
	os.Remove(st.base + ".lock")
	st.lock.Close()
	return err
}

// collect removes staging directories whose process is gone. The store's lock is
// held, so none is being made.
func (s *Store) collect() error {
	dir := filepath.Join(s.Dir, "stage")
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot read the package store: %w", err)
	}
	for _, d := range list {
		id := strings.TrimSuffix(d.Name(), ".lock")
		held, err := flock(filepath.Join(dir, id+".lock"), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, errBusy) {
			continue
		}
		if err != nil {
			return err
		}
		err = removeAll(filepath.Join(dir, id))
		os.Remove(held.Name())
		held.Close()
		if err != nil {
			return fmt.Errorf("cannot remove what an install left: %w", err)
		}
	}
	return nil
}

// removeAll is os.RemoveAll for trees with read-only directories in them.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Add freezes the directory sub of a stage and moves it into the store. With
// want, a tree that hashes to anything else is refused. The result is held open:
// the caller closes it once a lock that names it is written.
func (s *Store) Add(st *Stage, sub, want string) (*Tree, error) {
	src := filepath.Join(st.Dir, sub)
	// A job that put a symlink here would have freeze change what it points to.
	if info, err := os.Lstat(src); err != nil || !info.IsDir() || filepath.Base(sub) != sub {
		return nil, fmt.Errorf("cannot freeze the package: %q is no directory", sub)
	}
	m, err := scanTree(src, s.Limits, true)
	if err != nil {
		return nil, err
	}
	sum := m.Hash()
	if want != "" && sum != want {
		return nil, s.mismatch(want, sum, m)
	}
	place, err := s.place(sum)
	if err != nil {
		return nil, err
	}
	ready := filepath.Join(st.base, "ready")
	if err := freeze(ready, src, m); err != nil {
		return nil, err
	}
	return s.move(ready, place, sum)
}

// move renames a frozen tree into its place and opens it before anybody can
// collect it.
func (s *Store) move(ready, place, sum string) (*Tree, error) {
	own, err := s.prepare()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	err = os.Rename(ready, place)
	if errors.Is(err, fs.ErrExist) {
		err = s.replace(ready, place, sum)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot move the package into the store: %w", err)
	}
	if err := syncDir(filepath.Dir(place)); err != nil {
		return nil, err
	}
	return s.Open(sum)
}

// replace leaves a tree that is there already if it is whole. If not, and nobody
// uses it, it makes room.
func (s *Store) replace(ready, place, sum string) error {
	damage := s.Verify(sum)
	if damage == nil {
		return nil
	}
	gone, err := s.remove(sum)
	if err != nil {
		return err
	}
	if !gone {
		return fmt.Errorf("%w; it is in use and cannot be replaced", damage)
	}
	return os.Rename(ready, place)
}

// mismatch names the file in which a tree differs from what the lock holds, if
// the locked tree is in the store to compare with.
func (s *Store) mismatch(want, sum string, have manifest) error {
	err := fmt.Errorf("cannot accept the package: its tree is %s and the lock says %s", sum, want)
	if place, e := s.place(want); e == nil {
		if data, e := os.ReadFile(filepath.Join(place, "manifest")); e == nil {
			if locked, e := readManifest(data); e == nil {
				if diff := locked.difference(have.locked()); diff != nil {
					return fmt.Errorf("%w: %w", err, diff)
				}
			}
		}
	}
	return err
}

// freeze builds the directory that is renamed into the store.
func freeze(ready, src string, m manifest) error {
	if err := os.Mkdir(ready, 0o700); err != nil {
		return fmt.Errorf("cannot freeze the package: %w", err)
	}
	for _, e := range slices.Backward(m) {
		if err := freezeEntry(filepath.Join(src, e.path), e.kind); err != nil {
			return fmt.Errorf("cannot freeze the package: %w", err)
		}
	}
	tree := filepath.Join(ready, "tree")
	if err := os.Rename(src, tree); err != nil {
		return fmt.Errorf("cannot freeze the package: %w", err)
	}
	if err := freezeEntry(tree, kindDir); err != nil {
		return fmt.Errorf("cannot freeze the package: %w", err)
	}
	err := errors.Join(os.WriteFile(filepath.Join(ready, "manifest"), m.locked().text(), 0o400),
		os.WriteFile(filepath.Join(ready, "derived"), m.rest().text(), 0o400),
		os.WriteFile(filepath.Join(ready, "lock"), nil, 0o600))
	if err != nil {
		return fmt.Errorf("cannot freeze the package: %w", err)
	}
	// One call for thousands of files: after a loss of power the rename must not
	// stand without what it names.
	dir, err := os.Open(ready)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("cannot write the package to disk: %w", err)
	}
	return nil
}

func freezeEntry(p string, kind entryKind) error {
	if kind == kindLink {
		ts := unix.NsecToTimespec(frozen.UnixNano())
		return unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	mode := fs.FileMode(0o444)
	if kind == kindDir || kind == kindExec {
		mode = 0o555
	}
	if err := os.Chmod(p, mode); err != nil {
		return err
	}
	return os.Chtimes(p, frozen, frozen)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// ErrAbsent is what Open and Verify wrap for a tree that is not in the store.
var ErrAbsent = errors.New("not in the package store")

// Tree is a tree of the store that is in use: GC leaves it alone until Close.
type Tree struct {
	Hash string
	Dir  string // the tree itself, read-only
	lock *os.File
	text []byte // of the manifest
	rest []byte // of the derived files
}

// Close ends the use.
func (t *Tree) Close() error { return t.lock.Close() }

// Size is the number of entries and bytes, without what is derived.
func (t *Tree) Size() (files int, bytes int64, err error) {
	m, err := readManifest(t.text)
	return len(m), m.bytes(), err
}

// Open takes a tree into use, after a check that costs little: the manifest has
// the hash that the lock names, and every directory holds what it held when it
// was frozen. It does not read the files: Tree.CheckFile does that for one,
// Verify for all.
func (s *Store) Open(tree string) (*Tree, error) {
	place, err := s.place(tree)
	if err != nil {
		return nil, err
	}
	for {
		lock, err := os.OpenFile(filepath.Join(place, "lock"), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot open package tree %s: %w", tree, ErrAbsent)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot open package tree: %w", err)
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
			lock.Close()
			return nil, fmt.Errorf("cannot lock package tree: %w", err)
		}
		// GC may have moved the tree away between open and flock.
		here, err1 := os.Stat(filepath.Join(place, "lock"))
		held, err2 := lock.Stat()
		if err1 != nil || err2 != nil || !os.SameFile(here, held) {
			lock.Close()
			continue
		}
		t := &Tree{Hash: tree, Dir: filepath.Join(place, "tree"), lock: lock}
		if err := t.check(place); err != nil {
			lock.Close()
			return nil, fmt.Errorf("cannot use package tree %s: %w", tree, err)
		}
		return t, nil
	}
}

// check is on the way of every start: it parses no more than the directories.
func (t *Tree) check(place string) error {
	var err error
	if t.text, err = os.ReadFile(filepath.Join(place, "manifest")); err != nil {
		return err
	}
	if t.rest, err = os.ReadFile(filepath.Join(place, "derived")); err != nil {
		return err
	}
	if got := textHash(t.text); got != t.Hash {
		return fmt.Errorf("its manifest was changed (it hashes to %s)", got)
	}
	if err := unchanged(t.Dir, ".", kindDir); err != nil {
		return err
	}
	for _, text := range [][]byte{t.text, t.rest} {
		for line := range bytes.Lines(text) {
			if line[0] != byte(kindDir) {
				continue
			}
			e, err := readEntry(strings.TrimSuffix(string(line), "\n"))
			if err != nil {
				return errors.New("its manifest does not read")
			}
			if err := unchanged(filepath.Join(t.Dir, e.path), e.path, kindDir); err != nil {
				return err
			}
		}
	}
	return nil
}

// find looks one path up in the manifest.
func (t *Tree) find(rel string) (entry, bool) {
	end := []byte(" " + rel + "\n")
	for at := 0; ; {
		i := bytes.Index(t.text[at:], end)
		if i < 0 {
			return entry{}, false
		}
		at += i
		start := bytes.LastIndexByte(t.text[:at], '\n') + 1
		e, err := readEntry(string(t.text[start : at+len(end)-1]))
		if err == nil && e.path == rel {
			return e, true
		}
		at++
	}
}

// unchanged looks at a path without following it: kind, mode and time are what
// freeze left.
func unchanged(p, rel string, kind entryKind) error {
	info, err := os.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q is missing", rel)
	}
	if err != nil {
		return err
	}
	want := fs.FileMode(0o444)
	switch kind {
	case kindDir:
		want = fs.ModeDir | 0o555
	case kindExec:
		want = 0o555
	case kindLink:
		want = info.Mode()&fs.ModePerm | fs.ModeSymlink
	}
	if info.Mode() != want || !info.ModTime().Equal(frozen) {
		return fmt.Errorf("%q was changed", rel)
	}
	return nil
}

// CheckFile reads one file of the tree and compares it with the manifest.
func (t *Tree) CheckFile(rel string) error {
	e, ok := t.find(rel)
	if !ok || e.kind != kindFile && e.kind != kindExec {
		return fmt.Errorf("cannot use package tree %s: it has no file %q", t.Hash, rel)
	}
	sum, err := hashFile(filepath.Join(t.Dir, rel), e.size, make([]byte, 128<<10))
	if err != nil || sum != e.data {
		return fmt.Errorf("cannot use package tree %s: %q was changed", t.Hash, rel)
	}
	return nil
}

// Verify reads a whole tree and names the first file that is not what it was.
func (s *Store) Verify(tree string) error {
	t, err := s.Open(tree)
	if err != nil {
		return err
	}
	defer t.Close()
	have, err := scanTree(t.Dir, s.Limits, true)
	if err != nil {
		return fmt.Errorf("cannot use package tree %s: %w", tree, err)
	}
	for _, part := range []struct {
		text []byte
		have manifest
	}{{t.text, have.locked()}, {t.rest, have.rest()}} {
		want, err := readManifest(part.text)
		if err == nil {
			err = want.difference(part.have)
		}
		if err != nil {
			return fmt.Errorf("cannot use package tree %s: %w", tree, err)
		}
	}
	return nil
}

// List gives the hashes of all trees, sorted.
func (s *Store) List() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(s.Dir, "trees"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the package store: %w", err)
	}
	var out []string
	for _, d := range list {
		if sum := "sha256:" + d.Name(); treeName.MatchString(sum) {
			out = append(out, sum)
		}
	}
	return out, nil
}

// GC removes the trees that keep does not name and that nobody uses, and says
// which.
func (s *Store) GC(keep []string) (removed []string, err error) {
	own, err := s.prepare()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	if err := s.collect(); err != nil {
		return nil, err
	}
	list, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, tree := range list {
		if slices.Contains(keep, tree) {
			continue
		}
		gone, err := s.remove(tree)
		if err != nil {
			return removed, err
		}
		if gone {
			removed = append(removed, tree)
		}
	}
	return removed, nil
}

// remove moves a tree into stage, where a killed GC's rest is collected, and
// deletes it there.
func (s *Store) remove(tree string) (bool, error) {
	place, err := s.place(tree)
	if err != nil {
		return false, err
	}
	held, err := flock(filepath.Join(place, "lock"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, errBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer held.Close()
	away := filepath.Join(s.Dir, "stage", "gc-"+filepath.Base(place))
	if err := os.Rename(place, away); err != nil {
		return false, fmt.Errorf("cannot remove package tree: %w", err)
	}
	return true, removeAll(away)
}
