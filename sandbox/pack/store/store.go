package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

// Store keeps package trees by their content hash, read-only:
//
//	lock                   held for the moment in which staging is made or collected
//	stage/ID, stage/ID.lock  an install under way; the lock is held by its process
//	trees/HEX/tree         the package tree
//	trees/HEX/manifest     every path in it with its hash; hashes to HEX
//	trees/HEX/derived      the same for Python's compiled files
//	trees/HEX/published    when the youngest package of it was published, if a registry said so
//	trees/HEX/lock         held, shared, by every user of the tree
//
// A tree appears by one rename and never changes. The next process that stages removes
// a killed process's leftovers in stage. Any number of goroutines and processes may
// call all methods at once.
type Store struct {
	Dir    string // absolute; created with mode 0700
	Limits pack.Limits
}

// place is the directory of a tree.
func (s *Store) place(tree string) (string, error) {
	if !pack.IsHash(tree) {
		return "", fmt.Errorf("%q is not the hash of a package tree", tree)
	}
	return filepath.Join(s.Dir, "trees", strings.TrimPrefix(tree, "sha256:")), nil
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

// errBusy is the error of flock with LOCK_NB for a lock that another process holds.
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

// Add freezes the directory sub of a stage and moves it into the store. With want, it
// refuses a tree with any other hash. youngest is the date of the youngest package in
// the tree, as the registry confirmed it; zero if it was not asked. The result is open:
// the caller closes it once it has written a lock that names it.
func (s *Store) Add(st *Stage, sub, want string, youngest time.Time) (*Tree, error) {
	src := filepath.Join(st.Dir, sub)
	// If a job put a symlink here, freeze would change its target.
	if info, err := os.Lstat(src); err != nil || !info.IsDir() || filepath.Base(sub) != sub {
		return nil, pack.Refuse("cannot freeze the package: %q is no directory", sub)
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
	ready := st.Beside("ready")
	if err := freeze(ready, src, m); err != nil {
		return nil, err
	}
	if err := writePublished(filepath.Join(ready, "published"), youngest); err != nil {
		return nil, err
	}
	t, err := s.move(ready, place, sum)
	if err == nil && !youngest.IsZero() {
		// A tree that was there already may not have known. It can be read-only.
		if _, confirmed, err := t.Published(); err == nil && !confirmed {
			_ = s.SetPublished(sum, youngest)
		}
	}
	return t, err
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

// replace leaves a whole tree that is there already. It removes a damaged one that
// nobody uses, to make room.
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

// mismatch names the file in which a tree differs from the locked one, if the locked
// tree is in the store for comparison.
func (s *Store) mismatch(want, sum string, have manifest) error {
	err := pack.Refuse("cannot accept the package: its tree is %s and the lock says %s", sum, want)
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
