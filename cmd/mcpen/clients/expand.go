package clients

import (
	"regexp"
	"strings"
)

var reference = regexp.MustCompile(`\$\{(env:)?([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// Expand puts the values in that clients put in before they start a server: ${NAME},
// ${NAME:-default}, ${env:NAME}, ${userHome} and a "~/" in front. What is not known
// stays as it is. It is for a look at what a server will be given; nothing of it is
// written.
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
