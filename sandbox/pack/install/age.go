package install

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
)

// age holds every package of a lock against the minimum age, by the dates that the
// registry gives, and returns the youngest. A lock may come from anybody, so the
// dates in it say nothing.
func (w *work) age(ctx context.Context) (youngest time.Time, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type asked struct {
		pack.Dependency
		other bool // one that the index may not have any more, and then does not give out
	}
	queue := make(chan asked)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for d := range queue {
				f, failed := w.mirror.Fact(ctx, d.Dependency)
				if refusal := (*pack.Refusal)(nil); d.other && errors.As(failed, &refusal) {
					continue
				}
				if failed == nil {
					failed = w.in.oldEnough(d.Dependency, f.Published)
				}
				mu.Lock()
				if failed != nil && err == nil {
					err = failed
					stop()
				}
				if f.Published.After(youngest) {
					youngest = f.Published
				}
				mu.Unlock()
			}
		})
	}
	for _, d := range w.lock.Dependencies {
		if !d.Bundled {
			queue <- asked{d, false}
		}
		for _, o := range d.Others() {
			queue <- asked{o, true}
		}
	}
	close(queue)
	workers.Wait()
	return youngest, err
}

// oldEnough refuses a version that is younger than the minimum age, or of unknown age.
func (in *Installer) oldEnough(d pack.Dependency, published time.Time) error {
	switch {
	case in.MinAge <= 0:
		return nil
	case published.IsZero():
		return pack.Refuse("cannot tell the age of %s %s: the registry gives no date; set install.min-age to 0 to do without", d.PackageName(), d.Version)
	case in.Now().Sub(published) < in.MinAge:
		return pack.Refuse("cannot install %s %s: it was published on %s and is younger than %s", d.PackageName(), d.Version, published.Format("2006-01-02 15:04 UTC"), registry.Days(in.MinAge))
	}
	return nil
}

// confirmed is the date of the youngest package of an install, as the registry
// gave it on the way; zero where it was not asked for one.
func (w *work) confirmed() time.Time {
	var youngest time.Time
	for _, d := range w.lock.Dependencies {
		f, ok := w.mirror.Known(d)
		switch {
		case d.Bundled:
		case !ok || f.Published.IsZero():
			return time.Time{}
		case f.Published.After(youngest):
			youngest = f.Published
		}
	}
	return youngest
}

// ErrUnconfirmed is the error that Open wraps if no registry was asked for the age of a
// tree's packages.
var ErrUnconfirmed = errors.New("its age was never confirmed by a registry")

// aged holds an opened tree against the minimum age. A tree of an mcpen that kept
// no dates is as old as it has been in the store, at least.
func (in *Installer) aged(t *store.Tree, l pack.Lock) error {
	if in.MinAge <= 0 {
		return nil
	}
	youngest, confirmed, err := t.Published()
	if err != nil {
		return err
	}
	if youngest.IsZero() || !confirmed && in.Now().Sub(youngest) < in.MinAge {
		return fmt.Errorf("cannot use %s %s: %w", l.Package, l.Version, ErrUnconfirmed)
	}
	if in.Now().Sub(youngest) < in.MinAge {
		return pack.Refuse("cannot use %s %s: a package of it was published on %s and is younger than %s", l.Package, l.Version, youngest.Format("2006-01-02 15:04 UTC"), registry.Days(in.MinAge))
	}
	return nil
}

// confirm asks the registry for the dates of a lock's packages, compares them with the
// minimum age, and keeps them with the tree.
func (in *Installer) confirm(ctx context.Context, l pack.Lock) error {
	stage, err := in.Store.Stage()
	if err != nil {
		return err
	}
	defer stage.Close()
	w, end, err := in.begin(stage, &l, time.Time{})
	if err != nil {
		return err
	}
	defer end()
	youngest, err := w.age(ctx)
	if err != nil {
		return w.mirror.Verdict(err)
	}
	return in.Store.SetPublished(l.Trees[in.platform(l)], youngest)
}

// Open returns the tree that a lock names on this platform, from the store alone: it
// asks nobody and fetches nothing. The error wraps ErrAbsent if the store has no such
// tree, and ErrUnconfirmed if nobody knows its age; Confirm mends the latter. The
// caller closes the tree.
func (in *Installer) Open(l pack.Lock) (*store.Tree, error) {
	want := l.Trees[in.platform(l)]
	if want == "" {
		return nil, fmt.Errorf("the tree of %s %s for %s is %w", l.Package, l.Version, in.platform(l), store.ErrAbsent)
	}
	t, err := in.Store.Open(want)
	if err != nil {
		return nil, err
	}
	if err := in.aged(t, l); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}
