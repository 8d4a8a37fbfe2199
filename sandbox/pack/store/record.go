package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Record is an installer's record of the last install of one request: a JSON object
// whose "tree" names the resulting tree. GC removes it with that tree.
type Record struct {
	Text []byte // empty if there is none yet
	file string
	held *os.File
}

// Record returns the record of a request, whose name is that of a file. If several
// processes have one request at once, one goes on, and the others wait until it closes
// the record. The caller closes it.
func (s *Store) Record(ctx context.Context, request string) (*Record, error) {
	dir := filepath.Join(s.Dir, "made")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the package store: %w", err)
	}
	r := &Record{file: filepath.Join(dir, request)}
	var err error
	if r.held, err = flockWait(ctx, r.file+".lock"); err != nil {
		return nil, err
	}
	r.Text, _ = os.ReadFile(r.file) // one that does not read was never made
	return r, nil
}

// Keep replaces the record. If that fails, the next install fetches again.
func (r *Record) Keep(text []byte) { _ = os.WriteFile(r.file, text, 0o600) }

// Close lets the next process have the record.
func (r *Record) Close() error { return r.held.Close() }

// flockWait takes a lock that another process may hold for as long as an install.
func flockWait(ctx context.Context, file string) (*os.File, error) {
	for {
		f, err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, errBusy) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// forget removes the records whose tree is gone. The caller holds the store's lock.
func (s *Store) forget() {
	dir := filepath.Join(s.Dir, "made")
	list, _ := os.ReadDir(dir) // without the folder there is no record
	for _, d := range list {
		name, isLock := strings.CutSuffix(d.Name(), ".lock")
		if isLock {
			continue
		}
		var made struct{ Tree string }
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && json.Unmarshal(text, &made) == nil {
			if place, err := s.place(made.Tree); err == nil {
				if _, err := os.Stat(place); err == nil {
					continue
				}
			}
		}
		held, err := flock(filepath.Join(dir, name+".lock"), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			continue
		}
		os.Remove(filepath.Join(dir, name))
		os.Remove(held.Name())
		held.Close()
	}
}
