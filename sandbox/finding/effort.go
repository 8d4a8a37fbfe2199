package finding

// effort is the work left for a definition, in bytes that a rule is tried on. The
// author of a text chooses how often the rules begin to match, so the work has a bound
// of its own beside the text's length. A negative effort is used up.
type effort int

// Bounds on the effort. Among real servers, the longest definition takes an eleventh of
// its bound, and the longest list an eighth. Using up the bound takes about a second.
const (
	leastEffort = 4 << 20 // for a definition
	perByte     = 16
	mostEffort  = 8 << 20
	pageEffort  = 16 << 20 // for a page of a list
)

// allow is the effort for a definition of n bytes.
func allow(n int) effort {
	return effort(min(leastEffort+perByte*n, mostEffort))
}

// spend takes n bytes and reports whether the effort sufficed.
func (e *effort) spend(n int) bool {
	if *e >= 0 {
		*e -= effort(n)
	}
	return *e >= 0
}

// stop uses up the rest.
func (e *effort) stop() { *e = -1 }

// told adds a finding if the effort was used up: a person must read such a text, and it
// never counts as clean.
func (e effort) told(found []Finding) []Finding {
	if e >= 0 {
		return found
	}
	return append(found, tooMuch)
}

var tooMuch = Finding{Kind: FindEvasion, Severity: Hold, Words: "…", Path: "definition", Why: "there is too much, or too many words of orders, to look through all of it"}
