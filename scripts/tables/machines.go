package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// columns are those of the table of machines, with the checks of scripts/vm/guest.sh
// that each sums up.
var columns = []struct {
	title  string
	checks []string
}{
	{"doctor and run", []string{"doctor is of one mind", "doctor and run agree", "stdout is the protocol's"}},
	{"its fix, pasted", []string{"what doctor prints, pasted", "doctor --fix, answered no", "doctor --fix", "profile taken away"}},
	{"limits", []string{"memory limit", "process limit", "cpu limit"}},
	{"sessions", []string{"no bus address", "no runtime directory", "ben without a session", "root without a session", "a bus that never answers", "a user manager that is stopped"}},
	{"network", []string{"egress"}},
	{"attacks", []string{"escape"}},
	{"life", []string{"life"}},
	{"real servers", []string{"npm server", "PyPI server"}},
	{"demo", []string{"demo"}},
	{"writable folders", []string{"folder to write to", "without mediation"}},
	{"without namespaces", []string{"without namespaces", "escape without namespaces"}},
}

// machines returns the table of the virtual machines' results (scripts/vm.sh), in the
// order of the list of machines. A machine without results did not run; the table names
// it.
func machines(list, dir string) (string, error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString("| machine | is |")
	for _, c := range columns {
		out.WriteString(" " + c.title + " |")
	}
	out.WriteString("\n|" + strings.Repeat("---|", len(columns)+2) + "\n")
	var missing []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] == "#" {
			continue
		}
		results, err := os.ReadFile(filepath.Join(dir, f[0]+".results"))
		if err != nil {
			missing = append(missing, f[0])
			continue
		}
		out.WriteString(rows(f[0], string(results)))
	}
	if len(missing) > 0 {
		fmt.Fprintf(&out, "\nNot run: %s.\n", strings.Join(missing, ", "))
	}
	return out.String(), nil
}

// result is one line of a machine's: a check, with its setting if there are several,
// and the outcome.
type result struct{ part, check, what string }

// rows are a machine's rows, one for each setting.
func rows(name, results string) string {
	var all []result
	var parts []string
	for line := range strings.Lines(results) {
		check, what, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || strings.Contains(check, "| ") {
			continue // a program's output
		}
		r := result{check: check, what: what}
		if part, check, ok := strings.Cut(check, ": "); ok {
			r.part, r.check = part, check
		}
		all = append(all, r)
		if !slices.Contains(parts, r.part) {
			parts = append(parts, r.part)
		}
	}
	is := strings.Join(slices.DeleteFunc([]string{fact(all, "machine"), fact(all, "commit")}, func(s string) bool { return s == "" }), "; ")
	var out strings.Builder
	for _, part := range parts {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = cell(all, part, c.checks)
		}
		if !slices.ContainsFunc(cells, func(s string) bool { return s != "–" }) {
			continue // facts alone
		}
		title := name
		if part != "" {
			title += ", " + part
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", title, is, strings.Join(cells, " | "))
		is = "as above"
	}
	return out.String()
}

// fact is a machine's answer about itself.
func fact(all []result, check string) string {
	for _, r := range all {
		if text, ok := strings.CutPrefix(r.what, "facts: "); ok && r.check == check {
			return text
		}
	}
	return ""
}

// cell sums up the results of some checks: "held" if all of them are held, else each
// other outcome; a dash if none was made.
func cell(all []result, part string, checks []string) string {
	var held int
	var rest []string
	for _, r := range all {
		if r.part != part || !slices.Contains(checks, r.check) {
			continue
		}
		kind, why, _ := strings.Cut(r.what, ": ")
		if kind == "held" {
			held++
			if why != "" && len(checks) == 1 {
				rest = append(rest, "held, "+why)
			}
			continue
		}
		text := kind
		if len(checks) > 1 {
			text = r.check + " " + kind
		}
		if why != "" {
			text += " (" + strings.NewReplacer("|", "/", "\n", " ").Replace(strings.TrimSpace(why)) + ")"
		}
		rest = append(rest, text)
	}
	switch {
	case len(rest) > 0:
		return strings.Join(rest, "; ")
	case held > 0:
		return "held"
	}
	return "–"
}
