package pack

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed known.txt
var knownList string

// knownRefs are the lines of known.txt for one ecosystem, without its prefix.
func knownRefs(e Ecosystem) []string {
	var names []string
	for _, line := range strings.Split(knownList, "\n") {
		if name, ok := strings.CutPrefix(line, string(e)+":"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Lookalike says which well-known server a package's name could be taken for,
// in a sentence for a person; "" for none. It is a hint: a name one edit away,
// or the same name in another scope, can be honest.
func Lookalike(ref Ref) string {
	known := knownRefs(ref.Ecosystem)
	for _, k := range known {
		if k == ref.Name {
			return ""
		}
	}
	scope, base := SplitScope(ref.Name)
	for _, k := range known {
		kscope, kbase := SplitScope(k)
		switch {
		case oneEdit(ref.Name, k):
			return fmt.Sprintf("%q is one letter away from the well-known %s:%s", ref.Name, ref.Ecosystem, k)
		case kbase == base && scope != kscope && distinctive(kbase):
			return fmt.Sprintf("%q has the name of the well-known %s:%s in another scope", ref.Name, ref.Ecosystem, k)
		case flat(ref.Name) == flat(k):
			return fmt.Sprintf("%q is written almost like the well-known %s:%s", ref.Name, ref.Ecosystem, k)
		}
	}
	return ""
}

func SplitScope(name string) (scope, base string) {
	if s, b, ok := strings.Cut(name, "/"); ok {
		return s, b
	}
	return "", name
}

// distinctive removes words that many scopes use honestly, such as "mcp".
func distinctive(base string) bool {
	switch base {
	case "mcp", "mcp-server", "sdk", "inspector", "server", "dev-mcp":
		return false
	}
	return true
}

// flat removes the marks that the eye skips: scope marks and separators.
func flat(name string) string {
	return strings.NewReplacer("@", "", "/", "", "-", "", "_", "", ".", "").Replace(name)
}

// oneEdit is true if one insertion, deletion, replacement or swap of neighbours leads
// from a to b. It ignores names below five letters.
func oneEdit(a, b string) bool {
	if a == b || min(len(a), len(b)) < 5 {
		return false
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
