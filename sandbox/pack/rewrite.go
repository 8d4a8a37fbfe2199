package pack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// packument fetches a package's document, withholds what is too young and
// points the rest at this proxy.
func (p *proxy) packument(ctx context.Context, name string) ([]byte, error) {
	doc, err := fetchPackument(ctx, p.reg, p.client, name)
	if err != nil {
		return nil, err
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

// project fetches a project's page and keeps the wheels that are old enough.
func (p *proxy) project(ctx context.Context, name string) ([]byte, error) {
	doc, page, err := fetchProject(ctx, p.reg, p.client, name)
	if err != nil {
		return nil, err
	}
	out := struct {
		Meta  map[string]string `json:"meta"`
		Name  string            `json:"name"`
		Files []indexFile       `json:"files"`
	}{map[string]string{"api-version": "1.0"}, doc.Name, []indexFile{}}
	facts := map[string]fact{}
	defer func() { p.learn(facts) }()
	for _, f := range doc.Files {
		w, ok := parseWheel(f.Filename)
		if !ok || w.name != name || !sha256Hex().MatchString(f.Hashes["sha256"]) {
			continue
		}
		u, err := p.reg.file(page, f.URL)
		facts[f.Filename+" sha256:"+f.Hashes["sha256"]] = fact{published: uploaded(f), deprecated: f.yanked(), at: u, integrity: "sha256:" + f.Hashes["sha256"]}
		if t := uploaded(f); !p.before.IsZero() && (t.IsZero() || t.After(p.before)) {
			p.withhold(name, w.version)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot use %q of pypi:%s: %w", f.Filename, name, err)
		}
		if f.URL, err = p.add(u, f.Filename, "sha256:"+f.Hashes["sha256"]); err != nil {
			return nil, err
		}
		f.Hashes = map[string]string{"sha256": f.Hashes["sha256"]}
		out.Files = append(out.Files, f)
	}
	if len(out.Files) == 0 && len(p.withheld[name]) == 0 && len(doc.Files) > 0 {
		p.note(fmt.Errorf("cannot install pypi:%s: the index has no wheel of it, and building from source would run its code", name), false)
	}
	return json.Marshal(out)
}
