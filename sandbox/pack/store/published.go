package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// writePublished writes a date; an empty file for none.
func writePublished(file string, t time.Time) error {
	var text []byte
	if !t.IsZero() {
		text = append(t.UTC().AppendFormat(nil, time.RFC3339), '\n')
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("cannot keep the date of a package: %w", err)
	}
	return nil
}

// SetPublished keeps with a tree the date that a registry confirmed.
func (s *Store) SetPublished(tree string, t time.Time) error {
	place, err := s.place(tree)
	if err != nil {
		return err
	}
	next := filepath.Join(place, fmt.Sprintf("published.%d", os.Getpid()))
	defer os.Remove(next)
	if err := writePublished(next, t); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(place, "published"))
}

// Published is the date of the youngest package in the tree; zero if no registry was
// asked. For a tree from before dates were kept, it is the day of the tree's arrival:
// all packages are older than that.
func (t *Tree) Published() (at time.Time, confirmed bool, err error) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(t.Dir), "published"))
	if errors.Is(err, fs.ErrNotExist) {
		info, err := os.Stat(filepath.Join(filepath.Dir(t.Dir), "manifest"))
		if err != nil {
			return time.Time{}, false, err
		}
		return info.ModTime(), false, nil
	}
	if err != nil || len(data) == 0 {
		return time.Time{}, false, err
	}
	at, err = time.Parse(time.RFC3339, string(bytes.TrimSpace(data)))
	return at, true, err
}
