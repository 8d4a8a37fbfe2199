package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/pack"
)

// resolveNPM chooses a version of an npm package. A version that was named and is
// younger than the minimum age is a *TooYoungError; with no version the registry's
// own choice is taken, or else the newest, as npm does, that is old enough, and
// Release.Notes says so.
func resolveNPM(p Packument, r Registry, ref pack.Ref, i Interpreter, minAge time.Duration, now time.Time) (Release, error) {
	want := ref.Version
	if ref.Tag != "" {
		if want = p.Tags[ref.Tag]; want == "" {
			return Release{}, pack.Missing("cannot resolve %s: the package has no tag %q", ref, ref.Tag)
		}
	}
	all, err := within(npmCandidates(p, i), ref)
	if err != nil {
		return Release{}, err
	}
	c, err := choose(all, ref, want, p.Tags["latest"], minAge, now)
	if err != nil {
		if bad := p.Bad[want]; bad != nil {
			err = &pack.UnfitError{Err: fmt.Errorf("cannot use version %s of %s: %w", want, ref, bad)}
		}
		return Release{}, err
	}
	v := p.Versions[c.version]
	chosen := ref
	chosen.Version, chosen.Tag, chosen.Range = c.version, "", ""
	base, err := r.Base(ref.Name)
	if err != nil {
		return Release{}, err
	}
	rel := Release{Ref: chosen, Registry: base.String(), Published: p.Time[c.version], Publisher: v.Publisher.Name,
		License: npmLicense(v.License), Scripts: npmScripts(v), Dependencies: len(v.Dependencies), Size: v.Dist.Size}
	rel.Deprecated = string(v.Deprecated)
	rel.Tag = ref.Tag
	rel.Preferred = c.version == p.Tags[cmp.Or(ref.Tag, "latest")]
	rel.explain(c, all, minAge)
	if needs := v.node(); !i.fitsNode(needs) {
		rel.Notes = append(rel.Notes, fmt.Sprintf("%s says that it needs node %s, and this is %s", c.version, needs, i.Version))
	}
	return rel, nil
}

// npmWithdrawn is a registry's word against a locked version; "" if there is none since
// the lock.
func npmWithdrawn(p Packument, l pack.Lock) string {
	v, there := p.Versions[l.Version]
	switch {
	case !there:
		return "withdrawn: the registry does not list it any more"
	case v.Dist.SRI() != "" && v.Dist.SRI() != l.Integrity:
		return "replaced: the registry has another archive under this version"
	case v.Deprecated != "" && string(v.Deprecated) != l.Deprecated:
		return "deprecated: " + string(v.Deprecated)
	}
	return ""
}

func npmCandidates(p Packument, i Interpreter) []candidate {
	var all []candidate
	for s := range p.Versions {
		v, ok := pack.NPMVersion(s)
		if !ok || v.IsBuild() { // see exactSemver
			continue
		}
		all = append(all, candidate{version: s, published: p.Time[s], pre: v.IsPrerelease(), gone: p.Versions[s].Deprecated != "", needs: needsOf("node", p.Versions[s].node(), i.fitsNode), newer: pack.NewerThan(v, pack.NPMVersion)})
	}
	slices.SortFunc(all, func(a, b candidate) int { return strings.Compare(a.version, b.version) })
	return all
}

// npmScripts are the lifecycle scripts that npm runs when it installs a package
// from a registry; a binding.gyp adds an install script of npm's own.
func npmScripts(v NPMVersion) []string {
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

// SRI is the strongest hash that the registry gives, as an SRI string; "" if it gives
// only SHA-1 or none.
func (d NPMDist) SRI() string {
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
