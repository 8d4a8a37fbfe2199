// Package wholefile writes whole files in one step: who reads sees the old content or
// the new, never a part, after a loss of power too. It is for small files that
// mcpen keeps. It is no lock: two that replace one file at a time both succeed,
// and the last one stays.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file, or writes it anew. A file that is there keeps its mode;
// a new one gets this one. A symlink is replaced and not followed: who wants what
// it leads to resolves it first.
func Replace(name string, data []byte, mode fs.FileMode) error {
	if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
		mode = info.Mode().Perm()
	}
	return written(name, data, mode, os.Rename)
}

// Create writes a file that must not be there yet. The error wraps fs.ErrExist
// where something of that name is.
func Create(name string, data []byte, mode fs.FileMode) error {
	return written(name, data, mode, os.Link)
}

// written makes a file beside the name, whole and on the disk, and gives it the
// name by call.
func written(name string, data []byte, mode fs.FileMode, call func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".mcpen-*")
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	defer os.Remove(f.Name()) // it was renamed, or is not wanted
	_, err = f.Write(data)
	// The name must not be there after a loss of power without what it names
	// (rename(2) says nothing of the data).
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = call(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	return nil
}
