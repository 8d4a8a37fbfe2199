package pack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// fact is what a registry says of one archive, as far as an install needs it
// after the page that said it is gone.
type fact struct {
	published  time.Time // zero: it gives no date
	publisher  string
	deprecated string
	at         *url.URL // nil: it cannot be fetched from here
	integrity  string
}

// factKey is a version of an npm package, or a wheel.
func factKey(d Dependency) string {
	if d.File != "" {
		return d.File + " " + d.Integrity
	}
	return d.PackageName() + " " + d.Version
}

// learn remembers facts.
func (p *proxy) learn(facts map[string]fact) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, f := range facts {
		p.facts[k] = f
	}
}

func (p *proxy) known(d Dependency) (fact, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.facts[factKey(d)]
	return f, ok
}

// fact asks the registry about an archive, once for all of a package's.
func (p *proxy) fact(ctx context.Context, d Dependency) (fact, error) {
	if f, ok := p.known(d); ok {
		return f, nil
	}
	var err error
	if p.kind == PyPI {
		_, _, err = p.project(ctx, d.Path)
	} else {
		_, err = p.packument(ctx, d.PackageName())
	}
	if err != nil {
		return fact{}, err
	}
	f, ok := p.known(d)
	if !ok {
		return fact{}, refuse("cannot tell the age of %s %s: the registry does not list it; set install.min-age to 0 to do without", d.PackageName(), d.Version)
	}
	return f, nil
}

// wheelsOf lists the other wheels of a version that the index has and that are old
// enough, as a lock writes them.
func (p *proxy) wheelsOf(d Dependency) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for key, f := range p.facts {
		file, _, _ := strings.Cut(key, " ")
		w, ok := parseWheel(file)
		if !ok || file == d.File || w.name != d.Path || !sameVersion(w.version, d.Version) || f.at == nil {
			continue
		}
		if p.before.IsZero() || !f.published.IsZero() && !f.published.After(p.before) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// elsewhere is where the registry itself says that an archive is, if it is the one
// that the lock means: a mirror may keep it at another address than the registry
// that it mirrors.
func (p *proxy) elsewhere(ctx context.Context, d Dependency) (*url.URL, error) {
	f, err := p.fact(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("cannot install %s %s: its archive is not where it was: %w", d.PackageName(), d.Version, err)
	}
	if f.at == nil || f.integrity != d.Integrity {
		return nil, refuse("cannot install %q: the registry has %s %s with another integrity", d.Path, d.PackageName(), d.Version)
	}
	return f.at, nil
}

// age holds every package of a lock against the minimum age, by the dates that the
// registry gives, and returns the youngest. A lock may come from anybody, so the
// dates in it say nothing.
func (w *work) age(ctx context.Context) (youngest time.Time, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type asked struct {
		Dependency
		other bool // one that the index may not have any more, and then does not give out
	}
	queue := make(chan asked)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for d := range queue {
				f, failed := w.proxy.fact(ctx, d.Dependency)
				if refusal := (*Refusal)(nil); d.other && errors.As(failed, &refusal) {
					continue
				}
				if failed == nil {
					failed = w.in.oldEnough(d.Dependency, f.published)
				}
				mu.Lock()
				if failed != nil && err == nil {
					err = failed
					stop()
				}
				if f.published.After(youngest) {
					youngest = f.published
				}
				mu.Unlock()
			}
		})
	}
	for _, d := range w.lock.Dependencies {
		if !d.Bundled {
			queue <- asked{d, false}
		}
		for _, o := range d.others() {
			queue <- asked{o, true}
		}
	}
	close(queue)
	workers.Wait()
	return youngest, err
}

// oldEnough refuses a version that is younger than the minimum age, or of which
// that cannot be told.
func (in *Installer) oldEnough(d Dependency, published time.Time) error {
	switch {
	case in.MinAge <= 0:
		return nil
	case published.IsZero():
		return refuse("cannot tell the age of %s %s: the registry gives no date; set install.min-age to 0 to do without", d.PackageName(), d.Version)
	case in.Now().Sub(published) < in.MinAge:
		return refuse("cannot install %s %s: it was published on %s and is younger than %s", d.PackageName(), d.Version, published.Format("2006-01-02 15:04 UTC"), days(in.MinAge))
	}
	return nil
}

// confirmed is the date of the youngest package of an install, as the registry
// gave it on the way; zero where it was not asked for one.
func (w *work) confirmed() time.Time {
	var youngest time.Time
	for _, d := range w.lock.Dependencies {
		f, ok := w.proxy.known(d)
		switch {
		case d.Bundled:
		case !ok || f.published.IsZero():
			return time.Time{}
		case f.published.After(youngest):
			youngest = f.published
		}
	}
	return youngest
}

// ErrUnconfirmed is what Open wraps for a tree of which no registry was asked how
// old its packages are.
var ErrUnconfirmed = errors.New("its age was never confirmed by a registry")

// aged holds an opened tree against the minimum age. A tree of an mcpen that kept
// no dates is as old as it has been in the store, at least.
func (in *Installer) aged(t *Tree, l Lock) error {
	if in.MinAge <= 0 {
		return nil
	}
	youngest, confirmed, err := t.published()
	if err != nil {
		return err
	}
	if youngest.IsZero() || !confirmed && in.Now().Sub(youngest) < in.MinAge {
		return fmt.Errorf("cannot use %s %s: %w", l.Package, l.Version, ErrUnconfirmed)
	}
	if in.Now().Sub(youngest) < in.MinAge {
		return refuse("cannot use %s %s: a package of it was published on %s and is younger than %s", l.Package, l.Version, youngest.Format("2006-01-02 15:04 UTC"), days(in.MinAge))
	}
	return nil
}

// Confirm asks the registry for the dates of what a lock lists, holds them against
// the minimum age, and keeps them with the tree.
func (in *Installer) Confirm(ctx context.Context, l Lock) error {
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
		return w.proxy.verdict(err)
	}
	return in.Store.setPublished(l.Trees[in.platform(l)], youngest)
}
