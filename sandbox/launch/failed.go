package launch

import (
	"errors"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// NotStarted is the event of a server that did not start, with the remedy. A client
// shows its user an exit code at most.
func NotStarted(err error) audit.Event {
	return audit.Event{Kind: audit.KindStart, Verdict: audit.Refused, Detail: oneLine(err.Error()), Hint: oneLine(mends(err))}
}

// mends is the line to paste that the log gives a person; "" for none. For a lack of
// the machine or a refusal by the plan, the next start by hand prints the whole error.
func mends(err error) string {
	var mistakes policy.Mistakes
	var notFound *program.FindError
	var coded *Error
	switch {
	case errors.As(err, &mistakes):
		return mistakes[0].Hint
	case errors.As(err, &notFound):
		return notFound.Hint
	case errors.As(err, &coded):
		return coded.Hint
	}
	return ""
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
