package launch

import (
	"errors"
	"strings"

	"mcpen/sandbox/audit"
)

// NotStarted is what the log says of a server that did not start: a client shows its
// person an exit code at most.
func NotStarted(err error, hint string) audit.Event {
	var own *Error
	if errors.As(err, &own) && hint == "" {
		hint = own.Hint
	}
	return audit.Event{Kind: audit.KindStart, Verdict: audit.Refused, Detail: oneLine(err.Error()), Hint: oneLine(hint)}
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
