package quarantine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// walk is a look at every directory of a folder's first levels. It goes on
// after a directory that it cannot look into.
type walk struct {
	folder folder
	found  []string
	errs   []error
}

// walk lists the guarded names. It opens directories that their owner, the
// server's user, has closed, and closes them again.
func (f folder) walk() ([]string, error) {
	top, restore, err := enter(f.file, ".", toLook)
	if err != nil {
		return nil, err
	}
	if top == nil {
		return nil, fmt.Errorf("cannot look into %q", f.dir)
	}
	defer top.Close()
	w := walk{folder: f}
	w.dir(top, "", 1)
	return w.found, errors.Join(append(w.errs, restore())...)
}

// dir looks at the entries of one directory.
func (w *walk) dir(dir *os.File, rel string, level int) {
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			w.entry(dir, path.Join(rel, e.Name()), e.Name(), e.IsDir(), level)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.errs = append(w.errs, fmt.Errorf("cannot list %q: %w", rel, err))
			return
		}
	}
}

func (w *walk) entry(dir *os.File, rel, base string, isDir bool, level int) {
	if slices.Contains(w.folder.names, base) {
		w.found = append(w.found, rel)
		return
	}
	seconds := w.folder.seconds(base)
	deeper := level < depth && base != "node_modules"
	if !isDir || !deeper && len(seconds) == 0 {
		return
	}
	sub, restore, err := enter(dir, base, toLook)
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("cannot look into %q: %w", rel, err))
	}
	if sub == nil {
		return
	}
	defer sub.Close()
	for _, second := range seconds {
		if _, err := look(sub, second); err == nil {
			w.found = append(w.found, path.Join(rel, second))
		}
	}
	if deeper {
		w.dir(sub, rel, level+1)
	}
	if err := restore(); err != nil {
		w.errs = append(w.errs, err)
	}
}

// seconds lists what is guarded in directories of that name.
func (f folder) seconds(base string) []string {
	var out []string
	for _, name := range f.names {
		if first, second, ok := strings.Cut(name, "/"); ok && first == base {
			out = append(out, second)
		}
	}
	return out
}
