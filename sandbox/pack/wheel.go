package pack

import (
	"strings"

	"mcpen/sandbox/internal/lazy"
)

var sha256Hex = lazy.Pattern(`^[0-9a-f]{64}$`)

// wheel is the name of a wheel taken apart (PEP 427).
type wheel struct {
	name, version string
	tags          string // python-abi-platform
}

// parseWheel reads a wheel's file name: name-version[-build]-python-abi-platform.
func parseWheel(file string) (wheel, bool) {
	stem, ok := strings.CutSuffix(file, ".whl")
	if !ok || strings.ContainsAny(file, "/\\\x00 ") {
		return wheel{}, false
	}
	part := strings.Split(stem, "-")
	if len(part) != 5 && len(part) != 6 {
		return wheel{}, false
	}
	if !pyName().MatchString(part[0]) || len(part) == 6 && (part[2] == "" || part[2][0] < '0' || part[2][0] > '9') {
		return wheel{}, false
	}
	if _, ok := pypiVersionOf(part[1]); !ok {
		return wheel{}, false
	}
	return wheel{normalizePyPI(part[0]), part[1], strings.Join(part[len(part)-3:], "-")}, true
}

// anywhere is true for a wheel without compiled code.
func (w wheel) anywhere() bool { return strings.HasSuffix(w.tags, "-none-any") }

// sameVersion compares as PEP 440 does: 1.0 is 1.0.0.
func sameVersion(a, b string) bool {
	x, ok1 := pypiVersionOf(a)
	y, ok2 := pypiVersionOf(b)
	return ok1 && ok2 && x.Compare(y) == 0
}

// parseSdist reads the file name of a source distribution of a project (PEP 625, and
// the older spellings of its name).
func parseSdist(file, project string) (version string, ok bool) {
	stem, ok := strings.CutSuffix(file, ".tar.gz")
	name, version, found := cutLast(stem, "-")
	if !ok || !found || strings.ContainsAny(file, "/\\\x00 ") || normalizePyPI(name) != project || !exactPEP440(version) {
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
