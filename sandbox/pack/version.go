package pack

import (
	"fmt"
	"strings"

	"deps.dev/util/semver"
)

// NPMVersion reads one version in npm's own spelling, all three numbers and no
// "v".
func NPMVersion(s string) (*semver.Version, bool) {
	v, ok := versionOf(semver.NPM, s)
	if !ok || v.Canon(true) != s {
		return nil, false
	}
	// A number does not begin with a zero (semver.org, 9); the library lets it.
	for part := range strings.SplitSeq(strings.TrimPrefix(v.Prerelease(), "-"), ".") {
		if len(part) > 1 && part[0] == '0' && strings.Trim(part, "0123456789") == "" {
			return nil, false
		}
	}
	return v, true
}

// PyPIVersion reads one version in any of the spellings of PEP 440.
func PyPIVersion(s string) (*semver.Version, bool) { return versionOf(semver.PyPI, s) }

// versionOf reads one version in any spelling that the system's own tools take.
func versionOf(system semver.System, s string) (*semver.Version, bool) {
	v, err := system.Parse(s)
	return v, err == nil && !v.IsWildcard()
}

// IsPyPIPreview is true for a pre-release by PEP 440: development releases are among
// them.
func IsPyPIPreview(v *semver.Version) bool {
	return v.IsPrerelease() || strings.Contains(v.Canon(false), ".dev")
}

// NewerThan is v > s, where s is read as v was.
func NewerThan(v *semver.Version, read func(string) (*semver.Version, bool)) func(s string) bool {
	return func(s string) bool {
		o, ok := read(s)
		return ok && v.Compare(o) > 0
	}
}

// Compare is negative where version a is older than b, by the order of the ecosystem:
// semver or PEP 440. One that does not read is an error.
func (e Ecosystem) Compare(a, b string) (int, error) {
	system, how := semver.NPM, "semver"
	if e == PyPI {
		system, how = semver.PyPI, "PEP 440"
	}
	x, ok1 := versionOf(system, a)
	y, ok2 := versionOf(system, b)
	if !ok1 || !ok2 {
		return 0, fmt.Errorf("%q or %q is no version (%s)", a, b, how)
	}
	return x.Compare(y), nil
}

// Normalize is the spelling under which a registry of the ecosystem knows a name.
func (e Ecosystem) Normalize(name string) string {
	if e == PyPI {
		return NormalizePyPI(name)
	}
	return name
}

// SameNPMVersion compares as npm does, which takes a "v" and build metadata off.
func SameNPMVersion(a, b string) bool {
	x, ok1 := versionOf(semver.NPM, strings.TrimLeft(strings.TrimSpace(a), "=v"))
	y, ok2 := versionOf(semver.NPM, b)
	return ok1 && ok2 && x.Compare(y) == 0
}
