package pack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// packument fetches a package's document, withholds what is too young and
// points the rest at this proxy.
func (p *proxy) packument(ctx context.Context, name string) ([]byte, error) {
	had, ok := p.expected(name)
	doc := had.npm
	if !ok {
		var err error
		if doc, err = fetchPackument(ctx, p.reg, p.client, name); err != nil {
			return nil, err
		}
	}
	base, err := p.reg.base(name)
	if err != nil {
		return nil, err
	}
	for v, err := range doc.Bad {
		p.withhold(name, v)
		p.note(fmt.Errorf("cannot use version %q of npm:%s: %w", v, name, err), false)
	}
	versions, facts := map[string]npmVersion{}, map[string]fact{}
	for v, known := range doc.Versions {
		at, err := tarballURL(p.reg, base, name, known.Dist.Tarball)
		facts[name+" "+v] = fact{published: doc.Time[v], publisher: known.Publisher.Name, deprecated: string(known.Deprecated), at: at, integrity: known.Dist.integrity()}
		if t := doc.Time[v]; !p.before.IsZero() && (t.IsZero() || t.After(p.before)) {
			p.withhold(name, v)
			continue
		}
		// A version that cannot be fetched from this registry does not exist here;
		// others of the package may well be usable.
		if err == nil {
			known.Dist.Tarball, err = p.add(at, at.Path, known.Dist.integrity())
		}
		if err != nil {
			p.withhold(name, v)
			p.note(fmt.Errorf("cannot use version %q of npm:%s: %w", v, name, err), false)
			continue
		}
		versions[v] = known
	}
	p.learn(facts)
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
func tarballURL(reg Registry, base *url.URL, name, tarball string) (*url.URL, error) {
	u, err := base.Parse(tarball)
	if err != nil || tarball == "" {
		return nil, fmt.Errorf("%q is no address of a tarball", tarball)
	}
	u.User = nil
	if strings.EqualFold(u.Host, base.Host) {
		u.Scheme = base.Scheme
		return u, nil
	}
	if reg.ours(u) {
		return u, nil
	}
	if i := strings.Index(u.Path, "/"+name+"/-/"); i >= 0 && !strings.Contains(u.Path, "..") {
		return base.JoinPath(u.Path[i+1:]), nil
	}
	return nil, fmt.Errorf("its tarball is on another host, %q", u.Host)
}

func (p *proxy) withhold(name, version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.withheld[name] = append(p.withheld[name], version)
}

// servedProject is a project's page as a job gets it: the wheels that are old enough,
// and where it may be built from source the one that comes of that.
func (p *proxy) servedProject(ctx context.Context, name string) ([]byte, error) {
	doc, files, err := p.project(ctx, name)
	if err != nil {
		return nil, err
	}
	wheel, err := p.builtFor(doc, name)
	if err != nil {
		return nil, err
	}
	if wheel != nil {
		files = append(files, indexFile{Filename: wheel.name, URL: p.localOf(wheel), Hashes: map[string]string{"sha256": strings.TrimPrefix(wheel.integrity, "sha256:")}})
	}
	if len(files) == 0 && len(p.withheldOf(name)) == 0 && len(doc.Files) > 0 {
		p.note(&SourceError{name}, false)
	}
	return json.Marshal(struct {
		Meta  map[string]string `json:"meta"`
		Name  string            `json:"name"`
		Files []indexFile       `json:"files"`
	}{map[string]string{"api-version": "1.0"}, doc.Name, files})
}

func (p *proxy) withheldOf(name string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.withheld[name]
}

// project fetches a project's page, learns what it says, and gives it with the wheels
// that are old enough. Every archive in either has a local address.
func (p *proxy) project(ctx context.Context, name string) (project, []indexFile, error) {
	had, ok := p.expected(name)
	doc, page := had.project, had.at
	if !ok {
		var err error
		if doc, page, err = fetchProject(ctx, p.reg, p.client, name); err != nil {
			return project{}, nil, err
		}
	}
	doc.Files = slices.Clone(doc.Files)
	files, facts := []indexFile{}, map[string]fact{}
	defer func() { p.learn(facts) }()
	for i, f := range doc.Files {
		w, isWheel := parseWheel(f.Filename)
		_, isSource := parseSdist(f.Filename, name)
		sum := f.Hashes["sha256"]
		if !(isWheel && w.name == name) && !(isSource && slices.Contains(p.builds, name)) || !sha256Hex().MatchString(sum) {
			continue
		}
		u, err := p.reg.file(page, f.URL)
		facts[f.Filename+" sha256:"+sum] = fact{published: uploaded(f), deprecated: f.yanked(), at: u, integrity: "sha256:" + sum}
		if p.young(f) {
			if isWheel {
				p.withhold(name, w.version)
			}
			continue
		}
		if err != nil {
			return project{}, nil, fmt.Errorf("cannot use %q of pypi:%s: %w", f.Filename, name, err)
		}
		if f.URL, err = p.add(u, f.Filename, "sha256:"+sum); err != nil {
			return project{}, nil, err
		}
		doc.Files[i].URL = f.URL
		f.Hashes = map[string]string{"sha256": sum}
		if isWheel {
			files = append(files, f)
		}
	}
	return doc, files, nil
}
