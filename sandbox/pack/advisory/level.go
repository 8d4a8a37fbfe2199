package advisory

import (
	"slices"
	"strings"
)

// Levels are the severities of advisories, the mildest first. A malicious
// package is above all of them.
var Levels = []string{"low", "moderate", "high", "critical"}

// Counts reports whether the finding is at or above a level. One whose severity
// nobody rated counts at every level but "malicious".
func (f Finding) Counts(level string) bool {
	if f.Malicious {
		return true
	}
	if level == "malicious" {
		return false
	}
	have := slices.Index(Levels, strings.ToLower(f.Severity))
	return have < 0 || have >= slices.Index(Levels, level)
}
