package explain

import (
	"fmt"
	"strings"

	"mcpen/sandbox/audit"
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
		if !v.Allowed {
			w.line("           %s", change(v, server))
		}
	}
}

// change is what would allow a refused thing: a command to paste, or else the line that a
// person writes, or why there is neither.
func change(v plan.Decision, server string) string {
	line := v.Grant
	if name, ok := line.Name(); ok {
		line = audit.AllowHost(name + ":443") // the port that "mcpen allow" proposes
	}
	switch {
	case v.Grant.Command(server) != "":
		return "to allow it: " + v.Grant.Command(server)
	case v.Grant != nil && server == "":
		return "no command does: the server has no profile; in one, this line allows it: " + line.Line()
	case v.Grant != nil:
		return fmt.Sprintf("no command does; this line of %s allows it: %s", server, line.Line())
	case v.Hint != "":
		return "to allow it: " + v.Hint
	case v.Never == "" || v.Never == v.Why:
		return "no grant does: no line of a profile changes that"
	}
	return "no grant does: " + v.Never
}
