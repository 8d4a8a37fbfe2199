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
	w.decisions(answer, server)
	for _, u := range answer.Unknown {
		w.line("  not known %s", u)
	}
	return b.String()
}

// Decisions are an answer's decisions in words, each with the line that decides and what
// would change it.
func Decisions(answer plan.Answer, server string) string {
	var b strings.Builder
	writer{&b}.decisions(answer, server)
	return b.String()
}

func (w writer) decisions(answer plan.Answer, server string) {
	for _, v := range answer.Decisions {
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
