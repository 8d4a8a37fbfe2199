package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// frozen is the modification time of everything in a store: it has no meaning,
// and an edit that does not cover its tracks shows.
var frozen = time.Unix(499162500, 0)

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
	// One call for thousands of files: after a loss of power the rename must not stand
	// without its tree.
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
