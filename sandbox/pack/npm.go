package pack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxPackument bounds a packument: the largest in the public registry are some
// tens of megabytes.
const maxPackument = 256 << 20

// packument is a package's document in an npm registry.
type packument struct {
	Name     string                     `json:"name"`
	Tags     map[string]string          `json:"dist-tags"`
	Versions map[string]json.RawMessage `json:"versions"`
	Time     map[string]any             `json:"time"`
}

// npmVersion is one version in a packument.
type npmVersion struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Deprecated   any               `json:"deprecated"`
	License      any               `json:"license"`
	Scripts      map[string]any    `json:"scripts"`
	Gypfile      bool              `json:"gypfile"`
	Dependencies map[string]string `json:"dependencies"`
	Publisher    struct {
		Name string `json:"name"`
	} `json:"_npmUser"`
	Dist npmDist `json:"dist"`
}

type npmDist struct {
	Tarball   string `json:"tarball"`
	Integrity string `json:"integrity"`
	Shasum    string `json:"shasum"`
	Size      int64  `json:"unpackedSize"`
}

// packumentURL is where a registry keeps a package's document: the slash of a
// scope is escaped.
func packumentURL(base *url.URL, name string) *url.URL {
	u := *base
	u.RawPath = u.EscapedPath() + strings.Replace(name, "/", "%2f", 1)
	u.Path += name
	return &u
}

// fetchPackument asks for the whole document; the short form has no dates.
func fetchPackument(ctx context.Context, r Registry, client *http.Client, name string) (packument, []byte, error) {
	base, err := r.base(name)
	if err != nil {
		return packument{}, nil, err
	}
	u := packumentURL(base, name)
	body, head, err := r.get(ctx, client, u, "application/json", maxPackument)
	if err != nil {
		return packument{}, nil, err
	}
	var p packument
	if err := json.Unmarshal(body, &p); err != nil {
		return packument{}, nil, fmt.Errorf("cannot read %s: the answer (%q) is not a packument: %w", shown(u), head.Get("Content-Type"), err)
	}
	if p.Name != name {
		return packument{}, nil, fmt.Errorf("cannot use %s: the registry answers for %q", shown(u), p.Name)
	}
	return p, body, nil
}

// ResolveNPM chooses a version of an npm package. A version that was named and
// is younger than minAge is a *TooYoungError; with no version the newest that
// is old enough is chosen, and Release.Notes says so.
func ResolveNPM(ctx context.Context, r Registry, ref Ref, minAge time.Duration, now time.Time) (Release, error) {
	client, err := r.client()
	if err != nil {
		return Release{}, err
	}
	defer client.CloseIdleConnections()
	p, _, err := fetchPackument(ctx, r, client, ref.Name)
	if err != nil {
		return Release{}, err
	}
	return resolveNPM(p, r, ref, minAge, now)
}

func resolveNPM(p packument, r Registry, ref Ref, minAge time.Duration, now time.Time) (Release, error) {
	want := ref.Version
	if ref.Tag != "" {
		if want = p.Tags[ref.Tag]; want == "" {
			return Release{}, missing("cannot resolve %s: the package has no tag %q", ref, ref.Tag)
		}
	}
	all := npmCandidates(p)
	c, err := choose(all, ref, want, p.Tags["latest"], minAge, now)
	if err != nil {
		return Release{}, err
	}
	var v npmVersion
	if err := json.Unmarshal(p.Versions[c.version], &v); err != nil {
		return Release{}, fmt.Errorf("cannot read version %s of %s: %w", c.version, ref, err)
	}
	if v.Version != c.version || v.Name != ref.Name {
		return Release{}, fmt.Errorf("cannot use version %s of %s: the registry describes it as %q %q", c.version, ref, v.Name, v.Version)
	}
	chosen := ref
	chosen.Version, chosen.Tag = c.version, ""
	base, err := r.base(ref.Name)
	if err != nil {
		return Release{}, err
	}
	rel := Release{Ref: chosen, Registry: base.String(), Published: npmTime(p, c.version), Publisher: v.Publisher.Name,
		License: npmLicense(v.License), Scripts: npmScripts(v), Dependencies: len(v.Dependencies), Size: v.Dist.Size,
		archive: archive{url: v.Dist.Tarball, integrity: v.Dist.integrity()}}
	if s, ok := v.Deprecated.(string); ok {
		rel.Deprecated = s
	}
	rel.explain(c, all, minAge)
	return rel, nil
}

func npmCandidates(p packument) []candidate {
	var all []candidate
	for s := range p.Versions {
		v, ok := npmVersionOf(s)
		if !ok || v.IsBuild() { // see exactSemver
			continue
		}
		all = append(all, candidate{version: s, published: npmTime(p, s), pre: v.IsPrerelease(),
			gone: bytes.Contains(p.Versions[s], []byte(`"deprecated"`)), newer: newerThan(v, npmVersionOf)})
	}
	slices.SortFunc(all, func(a, b candidate) int { return strings.Compare(a.version, b.version) })
	return all
}

func npmTime(p packument, version string) time.Time {
	s, _ := p.Time[version].(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// npmScripts are the lifecycle scripts that npm runs when it installs a package
// from a registry; a binding.gyp adds an install script of npm's own.
func npmScripts(v npmVersion) []string {
	var out []string
	for _, name := range []string{"preinstall", "install", "postinstall"} {
		if s, ok := v.Scripts[name].(string); ok && s != "" {
			out = append(out, name+": "+s)
		}
	}
	if v.Gypfile && len(out) == 0 {
		out = append(out, "install: node-gyp rebuild")
	}
	return out
}

// npmLicense reads both spellings, a string and the old object.
func npmLicense(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		s, _ := v["type"].(string)
		return s
	}
	return ""
}

// integrity is the strongest hash that the registry gives, as an SRI string;
// "" where it gives only SHA-1 or none.
func (d npmDist) integrity() string {
	for _, algorithm := range []string{"sha512-", "sha384-", "sha256-"} {
		for _, one := range strings.Fields(d.Integrity) {
			one, _, _ = strings.Cut(one, "?")
			if strings.HasPrefix(one, algorithm) {
				return one
			}
		}
	}
	return ""
}
