package pack

import (
	"strings"
)

// Wheel is the name of a wheel taken apart (PEP 427).
type Wheel struct {
	Name, Version string
	Tags          string // python-abi-platform
}

// ParseWheel reads a wheel's file name: name-version[-build]-python-abi-platform.
func ParseWheel(file string) (Wheel, bool) {
	stem, ok := strings.CutSuffix(file, ".whl")
	if !ok || strings.ContainsAny(file, "/\\\x00 ") {
		return Wheel{}, false
	}
	part := strings.Split(stem, "-")
	if len(part) != 5 && len(part) != 6 {
		return Wheel{}, false
	}
	if !IsPyPIName(part[0]) || len(part) == 6 && (part[2] == "" || part[2][0] < '0' || part[2][0] > '9') {
		return Wheel{}, false
	}
	if _, ok := PyPIVersion(part[1]); !ok {
		return Wheel{}, false
	}
	return Wheel{NormalizePyPI(part[0]), part[1], strings.Join(part[len(part)-3:], "-")}, true
}

// Anywhere is true for a wheel without compiled code.
func (w Wheel) Anywhere() bool { return strings.HasSuffix(w.Tags, "-none-any") }

// SamePyPIVersion compares as PEP 440 does: 1.0 is 1.0.0.
func SamePyPIVersion(a, b string) bool {
	x, ok1 := PyPIVersion(a)
	y, ok2 := PyPIVersion(b)
	return ok1 && ok2 && x.Compare(y) == 0
}

// ParseSdist reads the file name of a source distribution of a project (PEP 625, and
// the older spellings of its name).
func ParseSdist(file, project string) (version string, ok bool) {
	stem, ok := strings.CutSuffix(file, ".tar.gz")
	name, version, found := cutLast(stem, "-")
	if !ok || !found || strings.ContainsAny(file, "/\\\x00 ") || NormalizePyPI(name) != project || !ExactPEP440(version) {
		return "", false
	}
	return version, true
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
