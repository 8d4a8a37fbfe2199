package mirror

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/pack"
)

// Fact is a registry's statement about one archive, as far as an install needs it after
// the page is gone.
type Fact struct {
	Published  time.Time // zero: it gives no date
	Publisher  string
	Deprecated string
	At         *url.URL // nil: it cannot be fetched from here
	Integrity  string
}

// factKey is a version of an npm package, or a wheel.
func factKey(d pack.Dependency) string {
	if d.File != "" {
		return d.File + " " + d.Integrity
	}
	return d.PackageName() + " " + d.Version
}

// learn remembers facts.
func (m *Mirror) learn(facts map[string]Fact) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, f := range facts {
		m.facts[k] = f
	}
}

func (m *Mirror) Known(d pack.Dependency) (Fact, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.facts[factKey(d)]
	return f, ok
}

// fact asks the registry about an archive, once for all of a package's.
func (m *Mirror) Fact(ctx context.Context, d pack.Dependency) (Fact, error) {
	if f, ok := m.Known(d); ok {
		return f, nil
	}
	var err error
	if m.conf.Ecosystem == pack.PyPI {
		_, _, err = m.project(ctx, d.Path)
	} else {
		_, err = m.packument(ctx, d.PackageName())
	}
	if err != nil {
		return Fact{}, err
	}
	f, ok := m.Known(d)
	if !ok {
		return Fact{}, pack.Refuse("cannot tell the age of %s %s: the registry does not list it; set install.min-age to 0 to do without", d.PackageName(), d.Version)
	}
	return f, nil
}

// WheelsOf lists the other wheels of a version that the index has and that are old
// enough, as a lock writes them.
func (m *Mirror) WheelsOf(d pack.Dependency) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for key, f := range m.facts {
		file, _, _ := strings.Cut(key, " ")
		w, ok := pack.ParseWheel(file)
		if !ok || file == d.File || w.Name != d.Path || !pack.SamePyPIVersion(w.Version, d.Version) || f.At == nil {
			continue
		}
		if m.conf.Before.IsZero() || !f.Published.IsZero() && !f.Published.After(m.conf.Before) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// Elsewhere is where the registry itself says that an archive is, if it is the one
// that the lock means: a mirror may keep it at another address than the registry
// that it mirrors.
func (m *Mirror) Elsewhere(ctx context.Context, d pack.Dependency) (*url.URL, error) {
	f, err := m.Fact(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("cannot install %s %s: its archive is not where it was: %w", d.PackageName(), d.Version, err)
	}
	if f.At == nil || f.Integrity != d.Integrity {
		return nil, pack.Refuse("cannot install %q: the registry has %s %s with another integrity", d.Path, d.PackageName(), d.Version)
	}
	return f.At, nil
}
