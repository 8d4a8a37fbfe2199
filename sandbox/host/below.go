package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// The walk for protected places. Three levels are a project, a monorepo's
// packages and what lies in them; deeper places are not looked for. More entries
// than the bound make a folder that cannot be granted as writable, because what
// was not seen is not protected.
const (
	belowDepth   = 3
	belowEntries = 20_000
)

// Below lists the protected places that exist below a folder, as Probe does for
// a writable one. The error says that the list may lack some.
func Below(ctx context.Context, dir string) ([]string, error) {
	found, why := below(ctx, dir)
	if why != "" {
		return found, errors.New(why)
	}
	return found, nil
}

// below lists the protected places that exist in the folder and in the folders
// in it, down to belowDepth levels, relative to it and sorted. Symlinks are
// never followed, what lies inside a protected place is not listed, and of
// node_modules only .bin is looked at. why is not empty where the answer may
// miss something within those levels.
func below(ctx context.Context, dir string) (found []string, why string) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Sprintf("open %q: %s", dir, name(err))
	}
	w := walk{ctx: ctx, root: dir, left: belowEntries, names: map[string]bool{}, pairs: map[string][]string{}}
	for _, p := range plan.Protected {
		if first, second, ok := strings.Cut(p, "/"); ok {
			w.pairs[first] = append(w.pairs[first], second)
		} else {
			w.names[p] = true
		}
	}
	if err := w.dir(fd, "", 1); err != nil {
		return nil, err.Error()
	}
	slices.Sort(w.found)
	return slices.Compact(w.found), ""
}

// walk is one walk for protected places.
type walk struct {
	ctx   context.Context
	root  string
	left  int                 // entries that may still be looked at
	names map[string]bool     // protected base names
	pairs map[string][]string // protected names in a folder of a name
	found []string
}

// dir looks at the entries of an open directory, which it closes.
func (w *walk) dir(fd int, rel string, depth int) error {
	f := os.NewFile(uintptr(fd), path.Join(w.root, rel)) // the name serves file systems that do not tell types
	defer f.Close()
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			if w.left--; w.left < 0 {
				return fmt.Errorf("more than %d entries in its first %d levels", belowEntries, belowDepth)
			}
			if err := w.entry(fd, rel, e.Name(), e.IsDir(), depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot list %q: %s", rel, name(err))
		}
	}
}

// entry looks at one entry of the directory parent.
func (w *walk) entry(parent int, rel, base string, isDir bool, depth int) error {
	at := path.Join(rel, base)
	if w.names[base] {
		w.found = append(w.found, at)
		return nil
	}
	for _, second := range w.pairs[base] {
		var st unix.Stat_t
		if isDir && unix.Fstatat(parent, base+"/"+second, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
			w.found = append(w.found, path.Join(at, second))
		}
	}
	if !isDir || depth == belowDepth || base == "node_modules" {
		return nil
	}
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		return w.dir(fd, at, depth+1)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil // gone, or no folder any more: it is a race that the watch sees
	case errors.Is(err, unix.EACCES) && !mine(parent, base):
		return nil // closed to the server as much as to this process
	}
	return fmt.Errorf("cannot open %q: %s", at, name(err))
}

// mine reports whether the entry belongs to this user, who could open it up.
func mine(parent int, base string) bool {
	var st unix.Stat_t
	if unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return true
	}
	return int(st.Uid) == os.Geteuid()
}
