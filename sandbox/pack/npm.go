package pack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ResolveNPM chooses a version of an npm package. A version that was named and
// is younger than minAge is a *TooYoungError; with no version the newest that
// is old enough is chosen, and Release.Notes says so.
func ResolveNPM(ctx context.Context, r Registry, ref Ref, minAge time.Duration, now time.Time) (Release, error) {
	client, err := r.client()
	if err != nil {
		return Release{}, err
	}
	defer client.CloseIdleConnections()
	p, err := fetchPackument(ctx, r, client, ref.Name)
	if err != nil {
		return Release{}, err
	}
	return resolveNPM(p, r, ref, minAge, now)
}

func resolveNPM(p packument, r Registry, ref Ref, minAge time.Duration, now time.Time) (Release, error) {
	want := ref.Version
	if ref.Tag != "" {
		if want = p.Tags[ref.Tag]; want == "" {
			return Release{}, fmt.Errorf("cannot resolve %s: the package has no tag %q", ref, ref.Tag)
		}
	}
	all := npmCandidates(p)
	c, err := choose(all, ref, want, p.Tags["latest"], minAge, now)
	if err != nil {
		return Release{}, err
	}
	v := p.Versions[c.version]
	chosen := ref
	chosen.Version, chosen.Tag = c.version, ""
	base, err := r.base(ref.Name)
	if err != nil {
		return Release{}, err
	}
	rel := Release{Ref: chosen, Registry: base.String(), Published: p.Time[c.version], Publisher: v.Publisher.Name,
		License: npmLicense(v.License), Scripts: npmScripts(v), Dependencies: len(v.Dependencies), Size: v.Dist.Size,
		archive: archive{url: v.Dist.Tarball, integrity: v.Dist.integrity()}}
	rel.Deprecated = string(v.Deprecated)
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
		all = append(all, candidate{version: s, published: p.Time[s], pre: v.IsPrerelease(), gone: p.Versions[s].Deprecated != "", newer: newerThan(v, npmVersionOf)})
	}
	slices.SortFunc(all, func(a, b candidate) int { return strings.Compare(a.version, b.version) })
	return all
}

// npmScripts are the lifecycle scripts that npm runs when it installs a package
// from a registry; a binding.gyp adds an install script of npm's own.
func npmScripts(v npmVersion) []string {
	var out []string
	for _, name := range lifecycleNames {
		if s := v.Scripts[name]; s != "" {
			out = append(out, name+": "+s)
		}
	}
	if v.Gypfile == true && len(out) == 0 {
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
