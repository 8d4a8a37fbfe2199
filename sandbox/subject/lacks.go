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
			continue
		}
		s.words[name] = trial.GuessVariable(name, d)
	}
	lower := strings.ToLower(words)
	if !learned && len(s.more) == 0 && strings.Contains(lower, "director") && (strings.Contains(lower, "usage") || strings.Contains(lower, "argument")) {
		s.more, learned = []string{"${desk}"}, true
	}
	return learned
}

// spelled are the variables that the code names and that a program asks for in words of
// a person's language, in its last line: CLIENT_ID for "no client ID was provided".
func (s *Subject) spelled(words string) (out []string) {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	last := strings.FieldsFunc(strings.ToLower(lines[len(lines)-1]), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, name := range s.reads {
		parts := strings.Split(strings.ToLower(name), "_")
		if len(parts) > 1 && !slices.ContainsFunc(parts, func(p string) bool { return !slices.Contains(last, p) }) {
			out = append(out, name)
		}
	}
	return out
}
