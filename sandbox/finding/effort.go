package finding

// effort is what may still be spent on looking through a definition, in bytes
// that a rule is tried on. Whoever chooses the text chooses how often the rules
// begin to match, so the work is bounded and not only the text. Below zero it is
// used up.
type effort int

// Bounds of what is spent: of the servers in use the longest definition takes an
// eleventh of its part, the longest list an eighth. All of it takes about a
// second.
const (
	leastEffort = 4 << 20 // on a definition
	perByte     = 16
	mostEffort  = 8 << 20
	pageEffort  = 16 << 20 // on a page of a list
)

// allow is what may be spent on n bytes.
func allow(n int) effort {
	return effort(min(leastEffort+perByte*n, mostEffort))
}

// spend takes n bytes and reports whether there were so many.
func (e *effort) spend(n int) bool {
	if *e >= 0 {
		*e -= effort(n)
	}
	return *e >= 0
}

// stop gives up the rest.
func (e *effort) stop() { *e = -1 }

// told adds what was not looked through: a text that hides behind others is one
// to read, and never one without findings.
func (e effort) told(found []Finding) []Finding {
	if e >= 0 {
		return found
	}
	return append(found, tooMuch)
}

var tooMuch = Finding{Kind: FindEvasion, Severity: Hold, Words: "…", Path: "definition", Why: "there is too much, or too many words of orders, to look through all of it"}
