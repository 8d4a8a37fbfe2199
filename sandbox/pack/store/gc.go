package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

// List returns the hashes of all trees, sorted.
func (s *Store) List() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(s.Dir, "trees"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the package store: %w", err)
	}
	var out []string
	for _, d := range list {
		if sum := "sha256:" + d.Name(); pack.IsHash(sum) {
			out = append(out, sum)
		}
	}
	return out, nil
}

// GC removes the trees that keep does not name and that nobody uses, and returns their
// hashes.
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
	s.forget()
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
