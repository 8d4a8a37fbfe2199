package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

// ErrAbsent is the error that Open and Verify wrap for a tree that is not in the store.
var ErrAbsent = errors.New("not in the package store")

// Tree is a tree of the store that is in use: GC leaves it alone until Close.
type Tree struct {
	Hash string
	Dir  string // the tree itself, read-only
	lock *os.File
	text []byte // of the manifest
	rest []byte // of the derived files
}

// Close ends the use.
func (t *Tree) Close() error { return t.lock.Close() }

// File is the open file that is the use: a process that inherits it goes on with
// it when this one ends.
func (t *Tree) File() *os.File { return t.lock }

// Size is the number of entries and bytes, without derived files.
func (t *Tree) Size() (files int, bytes int64, err error) {
	m, err := readManifest(t.text)
	return len(m), m.bytes(), err
}

// Open takes a tree into use, after a cheap check: the manifest has the hash that the
// lock names, and every entry has the kind, mode and time with which it was frozen; for
// a directory that means unchanged entries. Open does not read the files:
// Tree.CheckFile does that for one, Verify for all.
func (s *Store) Open(tree string) (*Tree, error) {
	place, err := s.place(tree)
	if err != nil {
		return nil, err
	}
	for {
		// Nothing is written: a store may be baked into an image.
		lock, err := os.Open(filepath.Join(place, "lock"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot open package tree %s: %w", tree, ErrAbsent)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot open package tree: %w", err)
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
			lock.Close()
			return nil, fmt.Errorf("cannot lock package tree: %w", err)
		}
		// GC may have moved the tree away between open and flock.
		here, err1 := os.Stat(filepath.Join(place, "lock"))
		held, err2 := lock.Stat()
		if err1 != nil || err2 != nil || !os.SameFile(here, held) {
			lock.Close()
			continue
		}
		t := &Tree{Hash: tree, Dir: filepath.Join(place, "tree"), lock: lock}
		if err := t.check(place); err != nil {
			lock.Close()
			return nil, pack.Refuse("cannot use package tree %s: %w", tree, err)
		}
		return t, nil
	}
}

// check is on the way of every start: it parses no more than it compares.
func (t *Tree) check(place string) error {
	var err error
	if t.text, err = os.ReadFile(filepath.Join(place, "manifest")); err != nil {
		return err
	}
	if t.rest, err = os.ReadFile(filepath.Join(place, "derived")); err != nil {
		return err
	}
	if got := pack.Hash(t.text); got != t.Hash {
		return fmt.Errorf("its manifest was changed (it hashes to %s)", got)
	}
	if err := unchanged(t.Dir, ".", kindDir); err != nil {
		return err
	}
	for _, text := range [][]byte{t.text, t.rest} {
		for line := range bytes.Lines(text) {
			rel, kind, ok := kindAndPath(line)
			if !ok {
				return errors.New("its manifest does not read")
			}
			if err := unchanged(t.Dir+"/"+rel, rel, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// kindAndPath reads the part of a manifest's line that check compares.
func kindAndPath(line []byte) (rel string, kind entryKind, ok bool) {
	kind = entryKind(line[0])
	if kind == kindLink { // its target may hold spaces and quotes
		e, err := readEntry(strings.TrimSuffix(string(line), "\n"))
		return e.path, kind, err == nil
	}
	parts := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 4)
	if len(parts) < 4 || len(parts[3]) == 0 {
		return "", kind, false
	}
	return string(parts[3]), kind, true
}

// HasFile is true where the manifest has a file of that path. It does not look at
// the file itself; CheckFile does.
func (t *Tree) HasFile(rel string) bool {
	e, ok := t.find(rel)
	return ok && (e.kind == kindFile || e.kind == kindExec)
}

// find looks one path up in the manifest.
func (t *Tree) find(rel string) (entry, bool) {
	end := []byte(" " + rel + "\n")
	for at := 0; ; {
		i := bytes.Index(t.text[at:], end)
		if i < 0 {
			return entry{}, false
		}
		at += i
		start := bytes.LastIndexByte(t.text[:at], '\n') + 1
		e, err := readEntry(string(t.text[start : at+len(end)-1]))
		if err == nil && e.path == rel {
			return e, true
		}
		at++
	}
}

// unchanged examines a path without following it: kind, mode and time must be those
// that freeze set.
func unchanged(p, rel string, kind entryKind) error {
	var info unix.Stat_t
	err := unix.Lstat(p, &info)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q is missing", rel)
	}
	if err != nil {
		return &fs.PathError{Op: "lstat", Path: p, Err: err}
	}
	want := uint32(unix.S_IFREG | 0o444)
	switch kind {
	case kindDir:
		want = unix.S_IFDIR | 0o555
	case kindExec:
		want = unix.S_IFREG | 0o555
	case kindLink:
		want = unix.S_IFLNK | info.Mode&0o777
	}
	if sec, nsec := info.Mtim.Unix(); info.Mode != want || sec != frozen.Unix() || nsec != 0 {
		return fmt.Errorf("%q was changed", rel)
	}
	return nil
}

// CheckFile reads one file of the tree and compares it with the manifest.
func (t *Tree) CheckFile(rel string) error {
	e, ok := t.find(rel)
	if !ok || e.kind != kindFile && e.kind != kindExec {
		return pack.Refuse("cannot use package tree %s: it has no file %q", t.Hash, rel)
	}
	sum, err := hashFile(filepath.Join(t.Dir, rel), e.size, make([]byte, 128<<10))
	if err != nil || sum != e.data {
		return pack.Refuse("cannot use package tree %s: %q was changed", t.Hash, rel)
	}
	return nil
}

// Verify reads a whole tree and names the first file that has changed.
func (s *Store) Verify(tree string) error {
	t, err := s.Open(tree)
	if err != nil {
		return err
	}
	defer t.Close()
	have, err := scanTree(t.Dir, s.Limits, true)
	if err != nil {
		return fmt.Errorf("cannot use package tree %s: %w", tree, err)
	}
	for _, part := range []struct {
		text []byte
		have manifest
	}{{t.text, have.locked()}, {t.rest, have.rest()}} {
		want, err := readManifest(part.text)
		if err == nil {
			err = want.difference(part.have)
		}
		if err != nil {
			return pack.Refuse("cannot use package tree %s: %w", tree, err)
		}
	}
	return nil
}
