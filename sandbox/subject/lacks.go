package subject

import (
	"slices"
	"strings"
	"unicode"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/trial"
)

// reading notes the variables that the program's code names.
func (s *Subject) reading(names []string) {
	s.reads = names
	for _, name := range names {
		if audit.IsSecret(name) && !slices.Contains(s.secrets, name) {
			s.secrets = append(s.secrets, name)
		}
	}
}

// Why a variable is needed.
const (
	asked = "which it asked for when it was not set"
	ended = "without which it did not start"
	meant = "which its code reads"
	given = "which it was given in the trial"
)

// learn finds in a program's last words the things that it lacks: variables, or the
// folder that it works in. It reports whether another try makes sense.
func (s *Subject) learn(words string, d *trial.Desk) bool {
	learned := false
	for _, name := range append(trial.VariablesIn(words), s.spelled(words)...) {
		_, known := s.words[name]
		if known || slices.Contains(s.secrets, name) || len(s.words) >= 16 || strings.HasPrefix(name, "ERR_") {
			continue
		}
		learned = true
		if audit.IsSecret(name) {
			s.secrets = append(s.secrets, name)
			s.needs = append(s.needs, trial.Need{Name: name, Why: asked, Secret: true})
			continue
		}
		s.words[name] = trial.GuessVariable(name, d)
		need := trial.Need{Name: name, Why: asked}
		if s.words[name] == "${desk}" {
			need.Value = "${workspace}"
		}
		s.needs = append(s.needs, need)
	}
	lower := strings.ToLower(words)
	if !learned && len(s.args)+len(s.more) == 0 && strings.Contains(lower, "director") && (strings.Contains(lower, "usage") || strings.Contains(lower, "argument")) {
		s.more, learned = []string{"${desk}"}, true
	}
	return learned
}

// spelled are the variables that the code names and that a program asks for in words of
// a person's language, in its last line: CLIENT_ID for "no client ID was provided".
func (s *Subject) spelled(words string) (out []string) {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	last := strings.FieldsFunc(strings.ToLower(lines[len(lines)-1]), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	whole := strings.FieldsFunc(words, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, name := range s.reads {
		parts := strings.Split(strings.ToLower(name), "_")
		if len(parts) == 1 && slices.Contains(whole, name) {
			out = append(out, name)
		}
		if len(parts) > 1 && !slices.ContainsFunc(parts, func(p string) bool { return !slices.Contains(last, p) }) {
			out = append(out, name)
		}
	}
	return out
}

// wanted lists the variables of the profile for a trial: what was found to be needed, what
// the person gave, and secrets in the program's code that are called after it. A thief
// gets only what it cannot start without.
func (s *Subject) wanted(o Options, level trial.Level) []trial.Need {
	out := slices.Clone(s.needs)
	for _, e := range o.Env {
		n := trial.Need{Name: e.Name, Why: given, Secret: audit.IsSecret(e.Name)}
		if !n.Secret {
			n.Value = literal([]string{e.Value})[0]
		}
		out = append(out, n)
	}
	for _, name := range s.reads {
		if audit.IsSecret(name) && level != trial.Red && s.calledAfter(name) {
			out = append(out, trial.Need{Name: name, Why: meant, May: true, Secret: true})
		}
	}
	return out
}

// calledAfter reports whether a variable has a word of the program's name in its own:
// TAVILY_API_KEY of tavily-mcp, and not the STRIPE_API_KEY of a library in it.
func (s *Subject) calledAfter(variable string) bool {
	for word := range strings.SplitSeq(strings.ToLower(variable), "_") {
		if len(word) > 2 && !slices.Contains([]string{"api", "key", "token", "secret", "access", "auth", "mcp", "server", "client", "private", "password"}, word) && strings.Contains(s.name, word) {
			return true
		}
	}
	return false
}

// missed finds which of the variables that a program had in a trial its last words in the
// replay name.
func (s *Subject) missed(had []string, needs []trial.Need, words string) (out []trial.Need) {
	named := append(trial.VariablesIn(words), s.spelled(words)...)
	for _, n := range s.unnamed(had, needs) {
		if n.Why = asked; slices.Contains(named, n.Name) {
			out = append(out, n)
		}
	}
	return out
}

// unnamed are the secrets that a program had in a trial and lacked in the replay, those
// that are called after it last.
func (s *Subject) unnamed(had []string, needs []trial.Need) (out []trial.Need) {
	for _, after := range []bool{false, true} {
		for _, name := range had {
			must := slices.ContainsFunc(needs, func(n trial.Need) bool { return n.Name == name && !n.May })
			if !must && slices.Contains(s.secrets, name) && s.calledAfter(name) == after {
				out = append(out, trial.Need{Name: name, Why: ended, Secret: true})
			}
		}
	}
	return out
}
