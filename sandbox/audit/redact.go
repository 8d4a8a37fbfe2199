package audit

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// secretName matches the names of options and variables that hold secrets.
var secretName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(key|token|secret|passw|pwd|credential|auth|cookie|session|pat$|dsn)`)
})

// Redacted stands where something was left out.
const Redacted = "[redacted]"

// RedactArgs returns a command's arguments with what looks like a secret left
// out: the value of an option whose name says so, and the password of a URL. It
// errs on the side of leaving out.
func RedactArgs(args []string) []string {
	out := make([]string, len(args))
	next := false
	for i, arg := range args {
		switch name, _, assigned := strings.Cut(arg, "="); {
		case next && !strings.HasPrefix(arg, "-"):
			out[i], next = Redacted, false
		case i > 0 && assigned && secretName().MatchString(name):
			out[i] = name + "=" + Redacted
		default:
			out[i] = redactURL(arg)
			next = i > 0 && strings.HasPrefix(arg, "-") && !assigned && secretName().MatchString(arg)
		}
	}
	return out
}

// redactURL leaves the user part out of a URL.
func redactURL(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return Redacted // what cannot be read cannot be shown in part
	}
	if u.User != nil {
		u.User = url.User(Redacted)
	}
	return u.String()
}
