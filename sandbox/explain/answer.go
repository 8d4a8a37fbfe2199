package explain

import (
	"strings"

	"mcpen/sandbox/plan"
)

// Answer is an answer in words. Nothing in it is taken on trust.
func Answer(answer plan.Answer, server string) string {
	var b strings.Builder
	w := writer{&b}
	w.line("%s %s", answer.Kind, answer.Subject)
	w.verdicts(answer, server)
	for _, u := range answer.Unknown {
		w.line("  not known %s", u)
	}
	return b.String()
}

// Verdicts are an answer's verdicts in words, each with the line that decides and what
// would change it.
func Verdicts(answer plan.Answer, server string) string {
	var b strings.Builder
	writer{&b}.verdicts(answer, server)
	return b.String()
}

func (w writer) verdicts(answer plan.Answer, server string) {
	for _, v := range answer.Verdicts {
		word, at := "refused", ""
		if v.Allowed {
			word = "allowed"
		}
		if v.Rule != "" {
			at = "  (" + v.Rule + ")"
		}
		w.line("  %-8s %s: %s%s", v.Do, word, v.Why, at)
		switch {
		case v.Allowed:
		case v.Grant != nil:
			w.line("           to allow it: %s", v.Grant.Advice(server))
		case v.Never != "" && v.Never != v.Why:
			w.line("           no grant does: %s", v.Never)
		}
	}
}
