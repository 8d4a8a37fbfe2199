package audit

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// secretName matches the names of options and variables that hold secrets.
var secretName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(key|token|secret|passw|pwd|credential|auth|cookie|session|pat$|dsn)`)
})

// Redacted stands where something was left out.
const Redacted = "[redacted]"

// SecretName reports whether the name of an option or a variable says that it holds a
// secret.
func SecretName(name string) bool { return secretName().MatchString(name) }

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

// minSecret is the shortest line of a secret that is looked for: a shorter one
// is in every other word.
const minSecret = 4

// leaveOut replaces values, each line of them alone and as JSON writes it, or is
// nil where there are none.
func leaveOut(values []string) *strings.Replacer {
	var words []string
	for _, v := range values {
		for line := range strings.Lines(v) {
			line = strings.TrimRight(line, "\r\n")
			if len(line) < minSecret {
				continue
			}
			words = append(words, line)
			if quoted, err := json.Marshal(line); err == nil {
				words = append(words, string(quoted[1:len(quoted)-1]))
			}
		}
	}
	if len(words) == 0 {
		return nil
	}
	// Of two that begin alike the longer one is left out.
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, w := range words {
		pairs = append(pairs, w, Redacted)
	}
	return strings.NewReplacer(pairs...)
}

// withoutSecrets is an event without what r replaces. The names of the server and
// of its program are the profile's.
func withoutSecrets(e Event, r *strings.Replacer) Event {
	if r == nil {
		return e
	}
	e.Subject, e.Detail, e.Hint, e.Address = r.Replace(e.Subject), r.Replace(e.Detail), r.Replace(e.Hint), r.Replace(e.Address)
	e.Grant = e.Grant.replace(r)
	if e.Request != nil {
		req := *e.Request
		req.Method, req.Name = r.Replace(req.Method), r.Replace(req.Name)
		req.ID, req.Args = replaceJSON(req.ID, r), replaceJSON(req.Args, r)
		e.Request = &req
	}
	return e
}

// replaceJSON replaces in a value, or the whole of it where what is left would
// be none.
func replaceJSON(raw json.RawMessage, r *strings.Replacer) json.RawMessage {
	out := json.RawMessage(r.Replace(string(raw)))
	if len(raw) > 0 && !json.Valid(out) {
		return json.RawMessage(`"` + Redacted + `"`)
	}
	return out
}
