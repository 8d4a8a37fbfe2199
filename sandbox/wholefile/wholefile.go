// Package wholefile reads and writes small files whole. A reader sees the old content or
// the new, never a part, even after a power failure. It is no lock: of two processes
// that replace the same file at a time both succeed, and the last content stays. Read
// opens regular files alone, and bounds them in bytes.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file or replaces it. An existing file keeps its mode, a new one gets
// the given mode. Replace replaces a symlink and does not follow it: a caller that
// wants the target resolves the link first.
func Replace(name string, data []byte, mode fs.FileMode) error {
	if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
		mode = info.Mode().Perm()
	}
	return written(name, data, mode, os.Rename)
}

// Create writes a file that must not exist yet. Its error wraps fs.ErrExist if
// something of that name exists.
func Create(name string, data []byte, mode fs.FileMode) error {
	return written(name, data, mode, os.Link)
}

// written writes and syncs a temporary file beside the name, and gives it the name by
// call.
func written(name string, data []byte, mode fs.FileMode, call func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".mcpen-*")
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	defer os.Remove(f.Name()) // it was renamed, or an error made it useless
	_, err = f.Write(data)
	// After a power failure the name must not exist without its content (rename(2)
	// promises nothing about the data).
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = call(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", name, err)
	}
	return nil
}
