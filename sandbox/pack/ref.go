package pack

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mcpen/sandbox/internal/lazy"

	"deps.dev/util/semver"
)

// Ecosystem names the rules for names, versions and installs of packages. The zero
// value is none.
type Ecosystem string

// The ecosystems.
const (
	NPM  Ecosystem = "npm"
	PyPI Ecosystem = "pypi"
)

// Ref names a package of a registry and, at most, one exact version of it or a
// range of them.
type Ref struct {
	Ecosystem Ecosystem
	Name      string   // npm: as published; PyPI: normalized (PEP 503)
	Extras    []string // PyPI only, normalized, sorted
	Version   string   // exact; "" leaves the choice to the registry
	Tag       string   // npm dist-tag other than "latest"; never with Version
	Range     string   // bounds the choice, as npm or PEP 440 write it; never with Version or Tag
	Bin       string   // the requested entry point; "" for the package's own
}

// String is the reference as ParseRef reads it. Bin is not part of it.
func (r Ref) String() string {
	s := string(r.Ecosystem) + ":" + r.Name
	if len(r.Extras) > 0 {
		s += "[" + strings.Join(r.Extras, ",") + "]"
	}
	switch {
	case r.Version != "" && r.Ecosystem == PyPI:
		s += "==" + r.Version
	case r.Version != "":
		s += "@" + r.Version
	case r.Tag != "":
		s += "@" + r.Tag
	case r.Range != "" && r.Ecosystem == NPM:
		s += "@" + r.Range
	case r.Range != "":
		s += r.Range
	}
	return s
}

// ParseRef reads "npm:@scope/name[@version|@tag]" or
// "pypi:name[extras][==version]". Ranges are refused: a reference names one
// version or none. "npm:name@latest" is the same as "npm:name".
func ParseRef(s string) (Ref, error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok {
		return Ref{}, fmt.Errorf("cannot read package reference %q: want npm:NAME[@VERSION] or pypi:NAME[==VERSION]", s)
	}
	switch Ecosystem(kind) {
	case NPM:
		return parseNPM(rest)
	case PyPI:
		return parsePyPI(rest)
	}
	return Ref{}, fmt.Errorf("cannot read package reference %q: %q is no registry that is known here (want npm: or pypi:)", s, kind)
}

// ParseWanted is ParseRef for a person's request, which may be a range of versions:
// "npm:NAME@^1.2", "pypi:NAME>=1.2,<2". The lock holds the chosen one.
func ParseWanted(s string) (Ref, error) {
	if r, err := ParseRef(s); err == nil {
		return r, nil
	}
	kind, rest, _ := strings.Cut(s, ":")
	name, span := rest, ""
	switch Ecosystem(kind) {
	case NPM:
		if i := strings.LastIndexByte(rest, '@'); i > 0 {
			name, span = rest[:i], rest[i+1:]
		}
	case PyPI:
		if i := strings.IndexAny(rest, "=<>~!"); i > 0 {
			name, span = strings.TrimSpace(rest[:i]), rest[i:]
		}
	}
	r, err := ParseRef(kind + ":" + name)
	if err != nil || span == "" {
		return ParseRef(s)
	}
	r.Range = strings.Join(strings.Fields(span), " ")
	if strings.Trim(r.Range, rangeCharacters) != "" || len(r.Range) > 256 || !r.readsRange() {
		return Ref{}, fmt.Errorf("cannot use %q as a version of %s:%s: want one exact version, or a range such as %s", span, kind, r.Name, r.likeRange())
	}
	return r, nil
}

// rangeCharacters are those of npm's ranges and of PEP 440's specifiers.
const rangeCharacters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,!+-_*<>=~^| "

func (r Ref) likeRange() string {
	if r.Ecosystem == PyPI {
		return `">=1.2,<2"`
	}
	return `"^1.2"`
}

func (r Ref) system() semver.System {
	if r.Ecosystem == PyPI {
		return semver.PyPI
	}
	return semver.NPM
}

func (r Ref) readsRange() bool {
	_, err := r.system().ParseConstraint(r.Range)
	return err == nil
}

// Allows is true for a version that the reference names or has in its range. One
// that names no version allows all; a tag says nothing about a version.
func (r Ref) Allows(version string) bool {
	switch {
	case r.Version != "" && r.Ecosystem == PyPI:
		return SamePyPIVersion(r.Version, version)
	case r.Version != "":
		return r.Version == version
	case r.Range == "":
		return true
	}
	c, err := r.system().ParseConstraint(r.Range)
	if err != nil {
		return false
	}
	v, ok := versionOf(r.system(), version)
	return ok && c.MatchVersion(v)
}

func parseNPM(s string) (Ref, error) {
	name, spec := s, ""
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		name, spec = s[:i], s[i+1:]
		if spec == "" {
			return Ref{}, fmt.Errorf("cannot read npm package %q: nothing follows the @", s)
		}
	}
	if err := checkNPMName(name); err != nil {
		return Ref{}, err
	}
	r := Ref{Ecosystem: NPM, Name: name}
	switch {
	case spec == "" || spec == "latest":
	case ExactSemver(spec):
		r.Version = spec
	case npmTag().MatchString(spec) && !isRange(spec):
		r.Tag = spec
	default:
		return Ref{}, fmt.Errorf("cannot use %q as a version of npm:%s: want one exact version (1.2.3) or a tag", spec, name)
	}
	return r, nil
}

var (
	npmTag = lazy.Pattern(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)
	// The characters of new npm names; upper case is left to old packages that
	// appear as dependencies (see checkNPMDependency).
	npmPart = lazy.Pattern(`^[a-z0-9~-][a-z0-9._~-]*$`)
	npmOld  = lazy.Pattern(`^[A-Za-z0-9~_-][A-Za-z0-9._~!'()*-]*$`)
)

// ExactSemver is true for one version in npm's spelling. Build metadata is left
// out: registries drop it, so it could name two things.
func ExactSemver(s string) bool {
	v, ok := NPMVersion(s)
	return ok && !v.IsBuild()
}

// isRange is true for words that npm would read as a range, not as a tag: "x", "v1".
func isRange(s string) bool {
	_, err := semver.NPM.ParseConstraint(s)
	return err == nil
}

// checkNPMName holds the rules for new names (validate-npm-package-name): at
// most 214 bytes, lower case, no leading dot or underscore, URL-safe.
func checkNPMName(name string) error { return npmName(name, npmPart()) }

// IsProgramName is true if npm accepts the name for a program: its last part names a
// file and nothing else.
func IsProgramName(s string) bool { return npmOld().MatchString(s) }

// IsPyPIName is true for the name of a project in any of its spellings (PEP 508).
func IsPyPIName(s string) bool { return pyName().MatchString(s) }

// CheckNPMDependency is checkNPMName with the characters of old names.
func CheckNPMDependency(name string) error { return npmName(name, npmOld()) }

func npmName(name string, part *regexp.Regexp) error {
	bad := func(why string) error { return fmt.Errorf("%q is not the name of an npm package: %s", name, why) }
	if name == "" || len(name) > 214 {
		return bad("want 1 to 214 characters")
	}
	base := name
	if scoped, ok := strings.CutPrefix(name, "@"); ok {
		scope, rest, ok := strings.Cut(scoped, "/")
		if !ok || !part.MatchString(scope) {
			return bad("want @scope/name")
		}
		base = rest
	}
	if !part.MatchString(base) {
		return bad("want lower-case letters, digits and -._~, not starting with a dot or underscore")
	}
	if base == "node_modules" || base == "favicon.ico" {
		return bad("the name is reserved")
	}
	return nil
}

var (
	// PEP 508.
	pyName = lazy.Pattern(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	pySep  = lazy.Pattern(`[-_.]+`)
)

// NormalizePyPI is an index's name for a project (PEP 503).
func NormalizePyPI(name string) string {
	return strings.ToLower(pySep().ReplaceAllString(name, "-"))
}

func parsePyPI(s string) (Ref, error) {
	name, version, exact := strings.Cut(s, "==")
	if strings.ContainsAny(name, "<>=!~;@ ") {
		return Ref{}, fmt.Errorf("cannot use %q: want pypi:NAME or pypi:NAME==VERSION with one exact version", s)
	}
	var extras []string
	if i := strings.IndexByte(name, '['); i >= 0 {
		if !strings.HasSuffix(name, "]") {
			return Ref{}, fmt.Errorf("cannot read extras of %q: no closing bracket", s)
		}
		for _, e := range strings.Split(name[i+1:len(name)-1], ",") {
			e = strings.TrimSpace(e)
			if !IsPyPIName(e) {
				return Ref{}, fmt.Errorf("%q is not the name of an extra", e)
			}
			extras = append(extras, NormalizePyPI(e))
		}
		name = name[:i]
	}
	if len(name) > 214 || !IsPyPIName(name) {
		return Ref{}, fmt.Errorf("%q is not the name of a PyPI project (PEP 508)", name)
	}
	slices.Sort(extras)
	r := Ref{Ecosystem: PyPI, Name: NormalizePyPI(name), Extras: slices.Compact(extras)}
	if !exact {
		return r, nil
	}
	if !ExactPEP440(version) {
		return Ref{}, fmt.Errorf("cannot use %q as a version of pypi:%s: want one exact version (PEP 440)", version, r.Name)
	}
	r.Version = version
	return r, nil
}

// ExactPEP440 is true for one version, with a local part ("2.1.0+cpu") or without.
// A space or quote has no business in a requirement, so the characters are held to
// those of versions.
func ExactPEP440(s string) bool {
	if s == "" || len(s) > 64 || strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz.!+-_ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return false
	}
	_, ok := PyPIVersion(s)
	return ok
}
