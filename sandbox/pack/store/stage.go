package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Stage is a directory for putting a tree together.
type Stage struct {
	Dir  string // an install job's only writable place
	base string
	lock *os.File
}

// Stage makes a staging directory and removes the leftovers of killed processes. The
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

// Beside is a path next to Dir that no job sees and that goes with the stage.
func (st *Stage) Beside(name string) string { return filepath.Join(st.base, name) }

// Close removes the staging directory.
func (st *Stage) Close() error {
	err := removeAll(st.base)
	os.Remove(st.base + ".lock")
	st.lock.Close()
	return err
}

// collect removes staging directories whose process is gone. The caller holds the
// store's lock, so none is in the making.
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
