package audit

import (
	"regexp"
	"strings"
	"sync"
)

// secretKey is the key of [env] whose values are secrets.
const secretKey = "secret"

var holdsSecret = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|_PAT)S?(_|$)`)
})

// IsSecret reports whether a variable of this name holds a secret itself, and not where
// one is, or how many.
func IsSecret(name string) bool {
	for _, other := range []string{"_FILE", "_PATH", "_DIR", "_URL", "_URI", "_HOST", "_ENDPOINT", "_TIMEOUT", "_TTL", "_LIMIT", "_EXPIRY", "_COUNT"} {
		if strings.HasSuffix(name, other) {
			return false
		}
	}
	return holdsSecret().MatchString(name) && !strings.HasPrefix(name, "MAX_") && !strings.Contains(name, "_MAX_")
}

// Secret returns the variable that the grant gives as a secret; "" for any other grant.
func (g *Grant) Secret() string {
	if g.Table != "env" || g.Key != secretKey || len(g.Values) != 1 {
		return ""
	}
	return g.Values[0].Text
}

// SecretPair is the pair of [env.secret] that takes a variable from the one of the same
// name where mcpen is started.
func SecretPair(variable string) string {
	key := TOMLString(variable)
	if strings.Trim(variable, "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == "" {
		key = variable
	}
	return key + " = " + TOMLString("env:"+variable)
}
