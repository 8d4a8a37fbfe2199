package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"mcpen/sandbox/audit"
)

// paste sets PASTED to the one command of mcpen's in the last output that a regular
// expression matches, as a person would copy it.
//
//	paste REGEXP
func paste(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: paste REGEXP")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	var found []string
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		i := strings.Index(line, "mcpen allow ")
		if i < 0 {
			continue
		}
		if command := strings.TrimSpace(line[i:]); want.MatchString(command) && !slices.Contains(found, command) {
			found = append(found, command)
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d commands to paste match %s: %q", len(found), args[0], found)
	}
	ts.Setenv("PASTED", found[0])
}

// agrees wants the last session's refusals to be told by "log --last" as "explain --why"
// tells of the same things, line by line. Besides those of Go's runtime in /sys there are
// to be so many.
//
//	agrees SERVER COUNT
func agrees(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: agrees SERVER COUNT")
	}
	ts.Check(ts.Exec("mcpen", "log", args[0], "--last"))
	blocks := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n\n")[1:]
	ts.Check(ts.Exec("mcpen", "log", "--json", args[0], "--last"))
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	runtimes := 0
	if len(blocks) != len(lines) {
		ts.Fatalf("%d refusals in words, and as JSON\n%s", len(blocks), strings.Join(lines, "\n"))
	}
	for i, line := range lines {
		var one struct {
			Event audit.Event
			Why   json.RawMessage
		}
		ts.Check(json.Unmarshal([]byte(line), &one))
		if strings.HasPrefix(one.Event.Subject, "/sys/") {
			runtimes++
		}
		word := map[audit.Kind]string{audit.KindVariable: "env:", audit.KindTool: "tool:"}[one.Event.Kind] + one.Event.Subject
		ts.Check(ts.Exec("mcpen", "explain", "--why", word, args[0]))
		says := strings.Split(ts.ReadFile("stdout"), "\n")
		block := strings.Split(blocks[i], "\n")
		if !strings.Contains(block[0], one.Event.Subject) || len(block) < 2 {
			ts.Fatalf("block %d is not of %s:\n%s", i, one.Event.Subject, blocks[i])
		}
		for _, l := range block[1:] {
			if !slices.Contains(says, l) {
				ts.Fatalf("log --last says of %s\n%s\nand explain --why\n%s", word, l, strings.Join(says, "\n"))
			}
		}
	}
	if got := fmt.Sprint(len(lines) - runtimes); got != args[1] {
		ts.Fatalf("%s refusals, want %s:\n%s", got, args[1], strings.Join(lines, "\n"))
	}
}
