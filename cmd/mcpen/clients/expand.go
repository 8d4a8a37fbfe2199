package clients

import (
	"regexp"
	"strings"
)

var reference = regexp.MustCompile(`\$\{(env:)?([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// Expand replaces the variables that clients replace before they start a server:
// ${NAME}, ${NAME:-default}, ${env:NAME}, ${userHome} and a leading "~/". Unknown ones
// stay as they are. It only previews a server's words; mcpen writes none of the result.
func Expand(words []string, home string, lookup func(string) (string, bool)) []string {
	out := make([]string, len(words))
	for i, w := range words {
		w = reference.ReplaceAllStringFunc(w, func(ref string) string {
			m := reference.FindStringSubmatch(ref)
			if v, ok := lookup(m[2]); ok {
				return v
			}
			switch {
			case m[2] == "userHome" && home != "":
				return home
			case m[3] != "":
				return m[4]
			}
			return ref
		})
		if rest, ok := strings.CutPrefix(w, "~/"); ok && home != "" {
			w = home + "/" + rest
		}
		out[i] = w
	}
	return out
}
