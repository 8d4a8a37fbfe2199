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
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Scan lists the protected places that exist below a folder, relative to it,
// following no symlink but those on the way to the folder. The error says that
// the list may lack some.
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
		f, err := openFolder(p)
		if err != nil {
			w.closeFolders()
			return nil, fmt.Errorf("cannot watch %q: %w", p.Dir, err)
		}
		w.folders = append(w.folders, f)
		if err := f.remember(scan); err != nil {
			w.closeFolders()
			return nil, fmt.Errorf("cannot watch %q: %w", p.Dir, err)
		}
	}
	var err error
	if w.notify, err = newNotify(w.folders); err != nil {
		w.closeFolders()
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
	w.closeFolders()
	return err
}

func (w *Watch) closeFolders() {
	for _, f := range w.folders {
		f.file.Close()
	}
}

// sweep moves everything that was not there at the start.
func (w *Watch) sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.folders {
		found, err := f.list(w.scan)
		if err != nil {
			w.tell(Planted{Path: f.dir, Err: err})
		}
		for _, rel := range found {
			w.take(f, rel)
		}
	}
}

// take moves one place, unless it is one that was there.
func (w *Watch) take(f folder, rel string) {
	from := filepath.Join(f.dir, rel)
	if f.knows(rel) {
		return
	}
	if err := os.MkdirAll(w.dest, 0o700); err != nil {
		w.tell(Planted{Path: from, Err: err})
		return
	}
	to := filepath.Join(w.dest, strconv.Itoa(w.count+1)+"-"+filepath.Base(rel))
	switch err := f.move(rel, to); {
	case err == nil:
		w.count++
		w.report(Planted{Path: from, Moved: to})
	case errors.Is(err, errKnown), errors.Is(err, unix.ENOENT):
		// exchanged for what was there, or gone: the next sweep looks again
	default:
		w.count++ // a part may be there
		w.tell(Planted{Path: from, Err: err})
	}
}

// tell reports what could not be moved, once.
func (w *Watch) tell(p Planted) {
	if !w.lost[p.Path] {
		w.lost[p.Path] = true
		w.report(p)
	}
}
