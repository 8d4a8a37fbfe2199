package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
)

// writeChecks writes one line a check, and below it the consequence and the line to
// paste. Names from the machine cannot take over the terminal.
func writeChecks(out io.Writer, checks []host.Check) error {
	wide := 0
	for _, c := range checks {
		wide = max(wide, len(c.Name))
	}
	var b strings.Builder
	for _, c := range checks {
		line := fmt.Sprintf("%-7s  %-*s  %s", c.State, wide, c.Name, audit.Visible(c.Detail))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if c.Consequence != "" {
			fmt.Fprintf(&b, "%9s%s\n", "", audit.Visible(c.Consequence))
		}
		if len(c.Fix) > 0 {
			b.WriteString("\n")
			for _, fix := range c.Fix { // at the margin, so that a here-document can be pasted
				b.WriteString(audit.Visible(fix) + "\n")
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeChecksJSON writes the checks as one JSON array.
func writeChecksJSON(out io.Writer, checks []host.Check) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(checks)
}

// untried is the error of a machine on which nothing could be tried. Where that
// is for a limit on the user's processes, run stops too.
func untried(err error) error {
	err = fmt.Errorf("cannot try this machine: %w", err)
	if hint := launch.Limited(err); hint != "" {
		return &launch.Error{Code: exitSandbox, Err: err, Hint: hint}
	}
	return err
}
