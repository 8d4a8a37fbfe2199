package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
)

// packument fetches a package's document, withholds the versions that are too young and
// points the rest at this mirror.
func (m *Mirror) packument(ctx context.Context, name string) ([]byte, error) {
	had, ok := m.expected(name)
	doc := had.NPM
	if !ok {
		var err error
		if doc, err = registry.FetchPackument(ctx, m.conf.Registry, m.client, name); err != nil {
			return nil, err
		}
	}
	base, err := m.conf.Registry.Base(name)
	if err != nil {
		return nil, err
	}
	for v, err := range doc.Bad {
		m.withhold(name, v)
		m.note(fmt.Errorf("cannot use version %q of npm:%s: %w", v, name, err), false)
	}
	versions, facts := map[string]registry.NPMVersion{}, map[string]Fact{}
	for v, known := range doc.Versions {
		at, err := tarballURL(m.conf.Registry, base, name, known.Dist.Tarball)
		facts[name+" "+v] = Fact{Published: doc.Time[v], Publisher: known.Publisher.Name, Deprecated: string(known.Deprecated), At: at, Integrity: known.Dist.SRI()}
		if t := doc.Time[v]; !m.conf.Before.IsZero() && (t.IsZero() || t.After(m.conf.Before)) {
			m.withhold(name, v)
			continue
		}
		// A version that cannot be fetched from this registry does not exist here;
		// others of the package may well be usable.
		if err == nil {
			known.Dist.Tarball, err = m.Add(at, at.Path, known.Dist.SRI())
		}
		if err != nil {
			m.withhold(name, v)
			m.note(fmt.Errorf("cannot use version %q of npm:%s: %w", v, name, err), false)
			continue
		}
		versions[v] = known
	}
	m.learn(facts)
	tags := map[string]string{}
	for tag, v := range doc.Tags {
		if _, there := versions[v]; there {
			tags[tag] = v
		}
	}
	return json.Marshal(map[string]any{"name": name, "dist-tags": tags, "versions": versions, "time": doc.Time})
}

// tarballURL is where a tarball is fetched from: the registry itself. Mirrors
// often leave the address of the registry they mirror in their documents; the
// usual path is then looked up at the mirror.
func tarballURL(reg registry.Registry, base *url.URL, name, tarball string) (*url.URL, error) {
	u, err := base.Parse(tarball)
	if err != nil || tarball == "" {
		return nil, fmt.Errorf("%q is no address of a tarball", tarball)
	}
	u.User = nil
	if strings.EqualFold(u.Host, base.Host) {
		u.Scheme = base.Scheme
		return u, nil
	}
	if reg.Ours(u) {
		return u, nil
	}
	if i := strings.Index(u.Path, "/"+name+"/-/"); i >= 0 && !strings.Contains(u.Path, "..") {
		return base.JoinPath(u.Path[i+1:]), nil
	}
	return nil, fmt.Errorf("its tarball is on another host, %q", u.Host)
}

func (m *Mirror) withhold(name, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.withheld[name] = append(m.withheld[name], version)
}

// servedProject is a project's page as a job gets it: the wheels that are old enough,
// and where it may be built from source the one that comes of that.
func (m *Mirror) servedProject(ctx context.Context, name string) ([]byte, error) {
	doc, files, err := m.project(ctx, name)
	if err != nil {
		return nil, err
	}
	wheel, err := m.builtFor(doc, name)
	if err != nil {
		return nil, err
	}
	if wheel != nil {
		files = append(files, registry.IndexFile{Filename: wheel.Name, URL: m.localOf(wheel), Hashes: map[string]string{"sha256": strings.TrimPrefix(wheel.Integrity, "sha256:")}})
	}
	if len(files) == 0 && len(m.withheldOf(name)) == 0 && len(doc.Files) > 0 {
		m.note(&pack.SourceError{Name: name}, false)
	}
	return json.Marshal(struct {
		Meta  map[string]string    `json:"meta"`
		Name  string               `json:"name"`
		Files []registry.IndexFile `json:"files"`
	}{map[string]string{"api-version": "1.0"}, doc.Name, files})
}

func (m *Mirror) withheldOf(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.withheld[name]
}

// project fetches a project's page, records its facts, and returns it with the wheels
// that are old enough. Every archive in either has a local address.
func (m *Mirror) project(ctx context.Context, name string) (registry.Project, []registry.IndexFile, error) {
	had, ok := m.expected(name)
	doc, page := had.Project, had.At
	if !ok {
		var err error
		if doc, page, err = registry.FetchProject(ctx, m.conf.Registry, m.client, name); err != nil {
			return registry.Project{}, nil, err
		}
	}
	doc.Files = slices.Clone(doc.Files)
	files, facts := []registry.IndexFile{}, map[string]Fact{}
	defer func() { m.learn(facts) }()
	for i, f := range doc.Files {
		w, isWheel := pack.ParseWheel(f.Filename)
		_, isSource := pack.ParseSdist(f.Filename, name)
		sum := f.Hashes["sha256"]
		if !(isWheel && w.Name == name) && !(isSource && slices.Contains(m.conf.Builds, name)) || !pack.IsSHA256(sum) {
			continue
		}
		u, err := m.conf.Registry.File(page, f.URL)
		facts[f.Filename+" sha256:"+sum] = Fact{Published: registry.Uploaded(f), Deprecated: f.YankReason(), At: u, Integrity: "sha256:" + sum}
		if m.young(f) {
			if isWheel {
				m.withhold(name, w.Version)
			}
			continue
		}
		if err != nil {
			return registry.Project{}, nil, fmt.Errorf("cannot use %q of pypi:%s: %w", f.Filename, name, err)
		}
		if f.URL, err = m.Add(u, f.Filename, "sha256:"+sum); err != nil {
			return registry.Project{}, nil, err
		}
		doc.Files[i].URL = f.URL
		f.Hashes = map[string]string{"sha256": sum}
		if isWheel {
			files = append(files, f)
		}
	}
	return doc, files, nil
}
