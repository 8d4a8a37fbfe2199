package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/grammar"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// everyCommand calls f with each command that a person sees, and the words that name it.
func everyCommand(f func(path []string, c *cli.Command)) {
	var walk func(path []string, all []*cli.Command)
	walk = func(path []string, all []*cli.Command) {
		for _, c := range all {
			if c.Hidden {
				continue
			}
			below := append(path[:len(path):len(path)], c.Name)
			f(below, c)
			walk(below, c.Subcommands)
		}
	}
	walk(nil, (&app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: os.Stderr}}}, out: os.Stdout}).cli([]string{"mcpen", "help"}).Commands)
}

// The help of each command has the meaning of its exit status, and lines to paste that
// are lines of this very command, as mcpen reads them.
func TestHelpPages(t *testing.T) {
	seen := map[string]string{"": ""}
	everyCommand(func(path []string, c *cli.Command) {
		name := strings.Join(path, " ")
		if name == "help" {
			return // that of mcpen itself, below
		}
		seen[name] = name
		help, err := exec.Command("mcpen", append(append([]string{}, path...), "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("%s --help: %v", name, err)
		}
		_, rest, ok := strings.Cut(string(help), "EXAMPLES:\n")
		examples, status, ok2 := strings.Cut(rest, "EXIT STATUS:\n")
		if !ok || !ok2 || !regexp.MustCompile(`(?m)^ +[0-9]+ +\S`).MatchString(status) {
			t.Errorf("the help of %q lacks examples, or its exit status:\n%s", name, help)
			return
		}
		if n := strings.Count(examples, "mcpen "+name); n < 2 {
			t.Errorf("the help of %q has %d examples of it, want two", name, n)
		}
		for line := range strings.Lines(examples) {
			if line = strings.TrimSpace(line); line != "" {
				readsExample(t, path, c, line)
			}
		}
	})
	if help, err := exec.Command("mcpen", "help").Output(); err != nil || !strings.Contains(string(help), "EXIT STATUS:\n") {
		t.Errorf("mcpen's own help lacks its exit status: %v\n%s", err, help)
	}
	for name := range pages {
		if _, ok := seen[name]; !ok {
			t.Errorf("there is a page for %q, and no such command", name)
		}
	}
}

// readsExample wants a line to be one of a command that has each of its flags, and no
// word too many.
func readsExample(t *testing.T, path []string, c *cli.Command, line string) {
	t.Helper()
	_, text, _ := strings.Cut(line, "mcpen ")
	text, _, _ = strings.Cut(text, ")")
	text, _, _ = strings.Cut(text, " > ")
	text, _, _ = strings.Cut(text, " | ")
	words := strings.Fields(text)
	if len(words) < len(path) || strings.Join(words[:len(path)], " ") != strings.Join(path, " ") {
		t.Errorf("%q is in the help of %q", line, path)
		return
	}
	if len(c.Subcommands) > 0 {
		return // the command below has an example of its own
	}
	mine, _, _ := strings.Cut(strings.Join(words[len(path):], " ")+" ", "-- ")
	flags, others, whole := grammar.Sort(c.Flags, strings.Fields(mine))
	known := grammar.FlagWords(c.Flags)
	for _, f := range flags {
		if ok := slices.ContainsFunc(known, func(w grammar.Word) bool { return w.Text == f }); strings.HasPrefix(f, "-") && !ok {
			t.Errorf("%q: there is no flag %q", line, f)
		}
	}
	if err := grammar.FewWords("mcpen "+strings.Join(path, " "), c.ArgsUsage, others); err != nil || !whole {
		t.Errorf("%q: %v", line, err)
	}
}

// typed matches the commands that documents tell a person to type: a command of mcpen,
// or a target.
var typed = regexp.MustCompile("(?:^|[`(])(mcpen|make) ([a-z][a-z-]*)")

// No document, example or help names a command or a target that does not exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	commands, texts := map[string]bool{}, map[string]string{}
	everyCommand(func(path []string, c *cli.Command) {
		commands[path[0]] = true
		texts["the help of "+strings.Join(path, " ")] = c.Usage + "\n" + c.Description
	})
	read := func(file string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	for _, file := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
		read("../../" + file)
	}
	err = filepath.WalkDir("../../examples", func(file string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(file, ".svg") {
			read(file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for from, text := range texts {
		fenced := false
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
			}
			if !fenced && !strings.HasPrefix(line, "   ") {
				line = ". " + line // a sentence begins here, and no command
			}
			for _, m := range typed.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				found++
				target := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(m[2]) + `:`)
				if m[1] == "mcpen" && !commands[m[2]] || m[1] == "make" && !target.Match(makefile) {
					t.Errorf("%s: there is no %q: %s", from, m[1]+" "+m[2], line)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d commands were found in the documents", found)
	}
}
