package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// recipe is the hash of everything that decides what an install makes: what is
// fetched, where it goes, whose scripts run, and with which interpreter.
func (w *work) recipe() string {
	var scripts []string
	for _, d := range w.lock.Dependencies {
		if d.Scripts && slices.Contains(w.in.Scripts, d.PackageName()) {
			scripts = append(scripts, d.PackageName())
		}
	}
	deps := slices.Clone(w.lock.Dependencies)
	for i := range deps {
		deps[i].Publisher, deps[i].From, deps[i].Wheels = "", "", nil
	}
	slices.SortFunc(deps, func(a, b Dependency) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.Marshal([]any{"1", w.ref.String(), w.in.platform(*w.lock), scripts, w.lock.With, deps})
	if err != nil {
		panic("internal error: a lock that is no JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// made gives the tree that an earlier install of the same recipe made, if the
// store still has it; nil if not. Of several processes that ask for one recipe at
// once, one is told that there is none, and the others wait for what it makes. The
// caller calls release when its own is in the store.
func (w *work) made(ctx context.Context) (tree *Tree, release func(string), err error) {
	dir := filepath.Join(w.in.Store.Dir, "made")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("cannot make the package store: %w", err)
	}
	file := filepath.Join(dir, w.recipe())
	held, err := flockWait(ctx, file+".lock")
	if err != nil {
		return nil, nil, err
	}
	release = func(hash string) {
		if hash != "" {
			_ = os.WriteFile(file, []byte(hash+"\n"), 0o600) // without it the next install fetches again
		}
		held.Close()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, release, nil
	}
	if tree, err = w.in.Store.Open(strings.TrimSpace(string(text))); err != nil {
		return nil, release, nil
	}
	if err := w.complete(tree); err != nil {
		tree.Close()
		return nil, release, nil
	}
	return tree, release, nil
}

// complete fills in what the lock of a made tree says of its contents.
func (w *work) complete(tree *Tree) error {
	found, err := readInstalled(os.DirFS(tree.Dir), *w.lock)
	if err != nil {
		return err
	}
	w.lock.Dependencies, w.lock.Entry = append(w.lock.Dependencies, found.bundled...), found.entry
	for _, d := range w.lock.Dependencies {
		if d.Scripts && slices.Contains(w.in.Scripts, d.PackageName()) && !slices.Contains(w.lock.Scripts, d.PackageName()) {
			w.lock.Scripts = append(w.lock.Scripts, d.PackageName())
		}
	}
	if w.in.Vet != nil && len(found.bundled) > 0 {
		return w.in.Vet(*w.lock)
	}
	return nil
}

// flockWait takes a lock that another process may hold for as long as an install.
func flockWait(ctx context.Context, file string) (*os.File, error) {
	for {
		f, err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, errBusy) {
			return f, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// forget removes the recipes whose tree is gone. The store's lock is held.
func (s *Store) forget() {
	dir := filepath.Join(s.Dir, "made")
	list, _ := os.ReadDir(dir) // where there is none, nothing was made
	for _, d := range list {
		name, isLock := strings.CutSuffix(d.Name(), ".lock")
		if isLock {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		place, bad := s.place(strings.TrimSpace(string(text)))
		if err == nil && bad == nil {
			if _, err := os.Stat(place); err == nil {
				continue
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
