// Package quarantine takes away what a server plants in a folder that it may
// write to: places such as .git, .vscode or .envrc from which code runs later,
// outside. Those that exist are held by read-only mounts; this is about the ones
// that appear while the server runs. Nothing is left in their place.
//
// A place is moved as soon as it is seen, and once more when the server is gone,
// when nothing can appear any more. In between there is a moment in which it
// exists: the watch shortens it, only a profile that makes less writable ends
// it.
package quarantine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Scan lists the protected places that exist below a folder, relative to it,
// following no symlink. The error says that the list may lack some.
type Scan func(dir string) ([]string, error)

// Planted is one place that was found. Moved says where it is now; Err why it
// could not be moved and still is where it was.
type Planted struct {
	Path  string
	Moved string
	Err   error
}

// Watch is the watch over the writable folders of one run.
type Watch struct {
	folders []folder
	scan    Scan
	dest    string
	report  func(Planted)

	mu    sync.Mutex // one sweep at a time
	count int
	lost  map[string]bool // reported as not to be moved

	notify *notify
	done   chan struct{}
}

// folder is one writable folder and what was protected in it from the start.
type folder struct {
	dir    string
	names  []string        // guarded wherever the scan finds them
	top    []string        // guarded in the folder itself, where the scan does not look for them
	except map[string]bool // and not guarded, relative to dir
	known  map[inode]bool
}

func newFolder(w plan.Watch) folder {
	f := folder{dir: w.Dir, except: map[string]bool{}, known: map[inode]bool{}}
	for _, name := range w.Names {
		if own, ok := strings.CutPrefix(name, "/"); ok {
			f.top = append(f.top, own)
		} else {
			f.names = append(f.names, name)
		}
	}
	for _, rel := range w.Except {
		f.except[rel] = true
	}
	return f
}

type inode struct{ dev, ino uint64 }

// Start looks at what is there and watches for more. What it moves goes below
// dest, which is made when there is something to move. report is called from one
// goroutine at a time. With no folder to watch it returns nil, whose Close does
// nothing.
func Start(watches []plan.Watch, scan Scan, dest string, report func(Planted)) (*Watch, error) {
	if len(watches) == 0 {
		return nil, nil
	}
	w := &Watch{scan: scan, dest: dest, report: report, lost: map[string]bool{}, done: make(chan struct{})}
	for _, p := range watches {
		f := newFolder(p)
		found, err := scan(p.Dir)
		if err != nil {
			return nil, fmt.Errorf("cannot watch %q: %w", p.Dir, err)
		}
		for _, rel := range append(found, f.top...) {
			if id, ok := look(filepath.Join(p.Dir, rel)); ok {
				f.known[id] = true
			}
		}
		w.folders = append(w.folders, f)
	}
	var err error
	if w.notify, err = newNotify(watches); err != nil {
		return nil, fmt.Errorf("cannot watch for planted files: %w", err)
	}
	go func() {
		defer close(w.done)
		w.notify.run(w.sweep)
	}()
	return w, nil
}

// Close ends the watch and sweeps a last time. The server must be gone.
func (w *Watch) Close() error {
	if w == nil {
		return nil
	}
	err := w.notify.close()
	<-w.done
	w.sweep()
	return err
}

// sweep moves everything that was not there at the start.
func (w *Watch) sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.folders {
		found, err := w.scan(f.dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			w.tell(Planted{Path: f.dir, Err: err})
		}
		for _, rel := range append(found, f.top...) {
			if f.guards(rel) {
				w.take(f, rel)
			}
		}
	}
}

// guards reports whether the place is one that this run watches: the profile may
// name some that it makes writable on purpose.
func (f folder) guards(rel string) bool {
	if f.except[rel] {
		return false
	}
	return slices.Contains(f.top, rel) || slices.ContainsFunc(f.names, func(name string) bool {
		return rel == name || strings.HasSuffix(rel, "/"+name)
	})
}

// take moves one place, unless it is one that was there.
func (w *Watch) take(f folder, rel string) {
	from := filepath.Join(f.dir, rel)
	id, ok := look(from)
	if !ok || f.known[id] {
		return
	}
	if err := os.MkdirAll(w.dest, 0o700); err != nil {
		w.tell(Planted{Path: from, Err: err})
		return
	}
	w.count++
	to := filepath.Join(w.dest, strconv.Itoa(w.count)+"-"+filepath.Base(rel))
	if err := move(f.dir, rel, to); err != nil {
		w.tell(Planted{Path: from, Err: err})
		return
	}
	w.report(Planted{Path: from, Moved: to})
}

// tell reports what could not be moved, once.
func (w *Watch) tell(p Planted) {
	if !w.lost[p.Path] {
		w.lost[p.Path] = true
		w.report(p)
	}
}

func look(path string) (inode, bool) {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return inode{}, false
	}
	return inode{uint64(st.Dev), st.Ino}, true
}
