package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"mcpen/sandbox/internal/lazy"
)

// noLimit is the word that switches a limit off.
const noLimit = "unlimited"

// sizeUnits are the suffixes of a size, the longer ones first.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// parseSize parses a whole number of bytes with its unit, such as "512MiB".
func parseSize(s string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || n == 0 || n > uint64(math.MaxInt64/u.bytes) {
			break
		}
		return Size(int64(n) * u.bytes), nil
	}
	return 0, faultf("", `%s is not a size (want a number and a unit, as in "512MiB")`, quote(s))
}

// String formats the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if strings.HasSuffix(u.suffix, "iB") && int64(s) >= u.bytes && int64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.suffix)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// parseDuration is time.ParseDuration extended by whole days: "3d".
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, faultf("", `%s is not a duration (want a number and a unit, as in "2s", "90m" or "3d")`, quote(s))
	}
	return d, nil
}

// The readers below turn one decoded TOML value into one setting.

func asString(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", faultf("", "%s is not a string", describe(v))
}

// asLine reads a short text without control characters.
func asLine(v any) (string, error) {
	s, err := asString(v)
	if err == nil && (len(s) > 1000 || strings.ContainsFunc(s, unicode.IsControl)) {
		return "", faultf("", "%s is longer than 1000 bytes or has a control character in it", quote(s))
	}
	return s, err
}

func asBool(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return false, faultf("", "%s is neither true nor false", describe(v))
}

// oneOf reads one of the words.
func oneOf[T ~string](words ...T) func(any) (T, error) {
	return func(v any) (T, error) {
		s, ok := v.(string)
		var names []string
		for _, w := range words {
			if ok && T(s) == w {
				return w, nil
			}
			names = append(names, string(w))
		}
		return "", faultf(didYouMean(s, names), "%s is none of %s", describe(v), strings.Join(names, ", "))
	}
}

// sizeFrom reads a size within bounds; if unlimited is set, "unlimited" is 0.
func sizeFrom(least, most Size, unlimited bool) func(any) (Size, error) {
	return func(v any) (Size, error) {
		s, ok := v.(string)
		if !ok {
			return 0, faultf("", `%s is not a size (want a string with a unit, as in "512MiB")`, describe(v))
		}
		if s == noLimit && unlimited {
			return 0, nil
		}
		n, err := parseSize(s)
		if err == nil && (n < least || n > most) {
			err = faultf("", "%s is out of range (want %v to %v)", quote(s), least, most)
		}
		return n, err
	}
}

// countFrom reads a whole number within bounds; if unlimited is set, "unlimited" is 0.
func countFrom(least, most int, unlimited bool) func(any) (int, error) {
	return func(v any) (int, error) {
		if v == noLimit && unlimited {
			return 0, nil
		}
		n, ok := v.(int64)
		if !ok || n < int64(least) || n > int64(most) {
			or := ""
			if unlimited {
				or = `, or "unlimited"`
			}
			return 0, faultf("", "%s is not a number from %d to %d%s", describe(v), least, most, or)
		}
		return int(n), nil
	}
}

func asCores(v any) (float64, error) {
	n := 0.0
	switch x := v.(type) {
	case string:
		if x == noLimit {
			return 0, nil
		}
	case int64:
		n = float64(x)
	case float64:
		n = x
	}
	if !(n >= 0.01 && n <= 4096) { // NaN included
		return 0, faultf("", `%s is not a number of cores (want 0.01 to 4096, or "unlimited")`, describe(v))
	}
	return n, nil
}

// durationFrom reads a duration within bounds; if unlimited is set, "unlimited" is 0.
func durationFrom(least, most time.Duration, unlimited bool) func(any) (time.Duration, error) {
	return func(v any) (time.Duration, error) {
		s, ok := v.(string)
		if !ok {
			return 0, faultf("", `%s is not a duration (want a string with a unit, as in "2s")`, describe(v))
		}
		if s == noLimit && unlimited {
			return 0, nil
		}
		d, err := parseDuration(s)
		if err == nil && (d < least || d > most) {
			err = faultf("", "%s is out of range (want %v to %v)", quote(s), least, most)
		}
		return d, err
	}
}

func asPort(v any) (uint16, error) {
	n, ok := v.(int64)
	if !ok || n < 1 || n > 65535 {
		return 0, faultf("", "%s is not a port (want 1-65535)", describe(v))
	}
	return uint16(n), nil
}

// asGlob reads a pattern over names of tools, prompts or resources.
func asGlob(v any) (string, error) {
	s, err := asString(v)
	switch {
	case err != nil:
		return "", err
	case s == "" || len(s) > 512:
		return "", faultf("", "%s is not a pattern (want 1 to 512 bytes)", quote(s))
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", faultf("", "%s has a control character in it", quote(s))
	}
	return s, nil
}

var (
	envName     = lazy.Pattern(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)
	profileName = lazy.Pattern(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	npmName     = lazy.Pattern(`^(@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	pypiName    = lazy.Pattern(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
)

// The text that may follow a package's name: a range of npm's (node-semver), or the
// version specifiers of PEP 440.
var (
	npmSpec  = lazy.Pattern(`^(@?[^@]+)@(.*)$`)
	npmRange = lazy.Pattern(`^` + npmComparator + `(?:(?: | - | ?\|\| ?)` + npmComparator + `)*$`)
	pypiSpec = lazy.Pattern(`^([A-Za-z0-9._-]+(?:\[[^\]]*\])?) ?([=<>~!@;].*)$`)
	pypiSpan = lazy.Pattern(`^` + pypiSpecifier + `(?:, ?` + pypiSpecifier + `)*$`)
)

const (
	npmComparator = `(?:[<>]=?|[~^=])? ?(?:\*|[0-9]{1,9}(?:\.(?:[0-9]{1,9}|[xX*])){0,2}(?:-[0-9A-Za-z.-]{1,64})?)`
	pypiSpecifier = `(?:(?:===?|!=) ?[0-9][0-9A-Za-z.!+]{0,63}(?:\.\*)?|(?:~=|[<>]=?) ?[0-9][0-9A-Za-z.!+]{0,63})`
)

var pypiSeparator = lazy.Pattern(`[-_.]+`)

var pythonVersion = lazy.Pattern(`^3\.[0-9]{1,2}$`)

// pypiExtras is a name followed by extras (PEP 508).
var pypiExtras = lazy.Pattern(`^([A-Za-z0-9._-]+)\[[A-Za-z0-9._-]+(?:, ?[A-Za-z0-9._-]+)*\]$`)

func asEnvName(v any) (string, error) {
	s, err := asString(v)
	if err == nil && !envName().MatchString(s) {
		return "", faultf("", "%s is not the name of a variable", quote(s))
	}
	return s, err
}

func asProfileName(v any) (string, error) {
	s, err := asString(v)
	if err == nil && (!profileName().MatchString(s) || strings.Contains(s, "..")) {
		return "", faultf("", "%s is not a name (want lower-case letters, digits, \".\", \"-\" and \"_\", 64 at most)", quote(s))
	}
	return s, err
}

// asPackage reads "npm:NAME[@RANGE]" or "pypi:NAME[EXTRAS][SPECIFIERS]". The lock
// decides which version runs; a range bounds the versions that may be locked.
func asPackage(v any) (string, error) {
	s, err := asString(v)
	if err != nil {
		return "", err
	}
	kind, name, _ := strings.Cut(s, ":")
	names, specs, spans, like := npmName, npmSpec, npmRange, "@^1.2"
	switch kind {
	case "npm":
	case "pypi":
		names, specs, spans, like = pypiName, pypiSpec, pypiSpan, ">=1.2,<2"
	default:
		return "", faultf("", "%s is not a package (want npm:NAME or pypi:NAME)", quote(s))
	}
	span := ""
	m := specs().FindStringSubmatch(name)
	if m != nil {
		name, span = m[1], m[2]
	}
	bare := name
	if m := pypiExtras().FindStringSubmatch(name); m != nil && kind == "pypi" {
		bare = m[1]
	}
	switch {
	case !names().MatchString(bare) || len(name) > 214 || len(span) > 256:
		return "", faultf("", "%s is not a package (want npm:NAME or pypi:NAME)", quote(s))
	case m != nil && !spans().MatchString(span):
		return "", faultf(kind+":"+name, "%s names no range of versions (want %s:%s%s or the like; a tag is for mcpen add)", quote(s), kind, name, like)
	}
	return s, nil
}

// describe formats a decoded value for a mistake.
func describe(v any) string {
	switch x := v.(type) {
	case string:
		return quote(x)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date"
	case float64:
		return strconv.FormatFloat(x, 'g', 10, 64)
	}
	return fmt.Sprint(v)
}
