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

// redacted replaces text that was left out.
const redacted = "[redacted]"

// SecretName reports whether the name of an option or a variable suggests a secret.
func SecretName(name string) bool { return secretName().MatchString(name) }

// RedactArgs returns a command's arguments without apparent secrets: the value of an
// option whose name suggests a secret, and the password of a URL. In doubt it redacts.
func RedactArgs(args []string) []string {
	out := make([]string, len(args))
	next := false
	for i, arg := range args {
		switch name, _, assigned := strings.Cut(arg, "="); {
		case next && !strings.HasPrefix(arg, "-"):
			out[i], next = redacted, false
		case i > 0 && assigned && secretName().MatchString(name):
			out[i] = name + "=" + redacted
		default:
			out[i] = redactURL(arg)
			next = i > 0 && strings.HasPrefix(arg, "-") && !assigned && secretName().MatchString(arg)
		}
	}
	return out
}

// redactURL removes the user part from a URL.
func redactURL(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return redacted // an unparsable URL cannot be shown in part
	}
	if u.User != nil {
		u.User = url.User(redacted)
	}
	return u.String()
}

// minSecret is the length of the shortest line of a secret to search for, in bytes: a
// shorter one occurs in ordinary words.
const minSecret = 4

// leaveOut returns a replacer for the values: each line of them, plain and as JSON
// escapes it. It returns nil if there are none.
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
	// If two begin alike, the longer one goes first.
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, w := range words {
		pairs = append(pairs, w, redacted)
	}
	return strings.NewReplacer(pairs...)
}

// withoutSecrets returns an event with r applied. The names of the server and of its
// program come from the profile and stay.
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

// replaceJSON applies r to a value. If the result is not valid JSON, it replaces the
// whole value.
func replaceJSON(raw json.RawMessage, r *strings.Replacer) json.RawMessage {
	out := json.RawMessage(r.Replace(string(raw)))
	if len(raw) > 0 && !json.Valid(out) {
		return json.RawMessage(`"` + redacted + `"`)
	}
	return out
}
