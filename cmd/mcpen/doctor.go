package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
)

// doctorOptions is the input of "doctor".
type doctorOptions struct {
	JSON   bool
	Binary string   // absolute path of this binary, for an AppArmor profile
	Ask    host.Ask // only Bus counts
	// Recipe starts a tiny program in the whole sandbox and waits for it. It is the
	// judge: the other lines only give remedies. If it started without the planned
	// control group, ungrouped says why. nil leaves it out.
	Recipe func(context.Context) (ungrouped string, err error)
	// Fix repairs the checks that it can, and reports whether it repaired any. doctor then
	// calls Again. A nil Fix repairs nothing.
	Fix   func([]host.Check) (bool, error)
	Again func() error
}

// runDoctor lists the protections that this machine can enforce, and remedies for the
// others. Its error ends in exit code 125 if "run" would refuse to start.
func runDoctor(ctx context.Context, opts doctorOptions, out io.Writer) error {
	if err := host.Descriptors(); err != nil {
		return untried(err) // run says the same, and every check below would say something else
	}
	facts := host.Facts{Around: opts.Ask.Survey(), Binary: opts.Binary}
	var err error
	if facts.Host, err = host.Probe(ctx, opts.Ask); err != nil {
		return err
	}
	if facts.Depths, err = host.Deep(ctx); err != nil {
		return untried(err)
	}
	facts.Depths.Into(&facts.Host)
	if opts.Recipe != nil {
		facts.Tried = true
		facts.Ungrouped, facts.Recipe = opts.Recipe(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		if launch.Limited(facts.Recipe) != "" {
			return untried(facts.Recipe)
		}
	}
	checks := host.Checks(facts)
	write := writeChecks
	if opts.JSON {
		write = writeChecksJSON
	}
	if err := write(out, checks); err != nil {
		return err
	}
	if opts.Fix != nil {
		mended, err := opts.Fix(checks)
		if err != nil {
			return err
		}
		if mended {
			return opts.Again()
		}
	}
	if blocking := host.Blocking(checks); len(blocking) > 0 {
		return &launch.Error{
			Code: exitSandbox,
			Err:  fmt.Errorf("this machine cannot hold a server: %s", strings.Join(blocking, ", ")),
			Hint: "each line above that says missing has its fix below it",
		}
	}
	return nil
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
