package locked

import (
	"context"
	"errors"
	"maps"
	"slices"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/user"
)

// Verify reads every file of the trees of a lock that are here.
func (c *Packages) Verify(at user.Dirs, l Lock) error {
	whole := 0
	for _, platform := range slices.Sorted(maps.Keys(l.Lock.Trees)) {
		hash := l.Lock.Trees[platform]
		err := c.Store(at).Verify(hash)
		if errors.Is(err, store.ErrAbsent) {
			continue
		}
		if err != nil {
			return damaged(err, l.Name)
		}
		tree, err := c.Store(at).Open(hash)
		if err != nil {
			return damaged(err, l.Name)
		}
		_, err = install.CheckTree(tree, l.Lock)
		tree.Close()
		if err != nil {
			return &launch.Error{Code: launch.ExitRefused, Err: err}
		}
		whole++
	}
	if whole == 0 {
		return &launch.Error{Code: 1, Err: errors.New("not installed: there was nothing to verify"), Hint: "mcpen verify --repair " + l.Name}
	}
	return nil
}

// Repair fetches one lock's tree again, and returns why if it did. Another lock's is
// not touched.
func (c *Packages) Repair(ctx context.Context, at user.Dirs, l Lock, damage error) (why string, err error) {
	in, err := c.InstallerFor(ctx, at, l)
	if err != nil {
		return "", err
	}
	fresh, tree, err := in.Repair(ctx, l.Lock)
	if err != nil {
		return "", Explained(ctx, err)
	}
	defer tree.Close()
	if !maps.Equal(fresh.Trees, l.Lock.Trees) {
		s := ReadStanding(at, l.File)
		s.For, s.Trees = l.Lock.Digest, fresh.Trees
		s.Keep(at, l.File)
		l.Lock = fresh
	}
	return damage.Error(), c.Verify(at, l)
}
