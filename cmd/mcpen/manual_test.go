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

// A page that is wider than a small terminal breaks in the middle of words there, and one
// with two tables of exit codes leaves a script to guess.
func TestHelpFitsATerminal(t *testing.T) {
	everyCommand(func(path []string, _ *cli.Command) {
		help, err := exec.Command("mcpen", append(append([]string{}, path...), "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("%s --help: %v", path, err)
		}
		for line := range strings.Lines(string(help)) {
			if line = strings.TrimSuffix(line, "\n"); len([]rune(line)) > width && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s --help has a line of %d columns: %s", path, len([]rune(line)), line)
			}
		}
		if strings.Contains(string(help), "CATEGORY:") {
			t.Errorf("%s --help has the overview's heading", path)
		}
		if n := strings.Count(string(help), "EXIT STATUS:"); n != 1 {
			t.Errorf("%s --help has %d tables of exit codes", path, n)
		}
	})
}

// The overview shows each command once, under a heading.
func TestOverviewIsGrouped(t *testing.T) {
	help, err := exec.Command("mcpen", "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	under, heading := map[string]string{}, ""
	for line := range strings.Lines(string(help)) {
		if text, ok := strings.CutSuffix(line, ":\n"); ok {
			heading = strings.TrimSpace(text)
		}
		if m := regexp.MustCompile(`^     (\w+)(, \w+)?  +\S`).FindStringSubmatch(line); m != nil {
			if under[m[1]] != "" {
				t.Errorf("the overview has %q twice", m[1])
			}
			under[m[1]] = heading
		}
	}
	headings := map[string]int{}
	for _, c := range (&app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: os.Stderr}}}, out: os.Stdout}).commands(nil) {
		if under[c.Name] == "" || under[c.Name] != c.Category {
			t.Errorf("the overview has %q under %q, want %q", c.Name, under[c.Name], c.Category)
		}
		headings[c.Category]++
	}
	if len(headings) < 4 {
		t.Errorf("the overview has no more than these headings: %v", headings)
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{"short\n", "short\n"},
		{"", ""},
		{"one two three\n", "one two\nthree\n"},
		{"1234567890\n", "1234567890\n"},           // as long as a line may be
		{"1234567890 1\n", "1234567890\n1\n"},      // broken at its last column
		{"123456789012345\n", "123456789012345\n"}, // nowhere to break it
		{"  one two three\n", "  one two\n  three\n"},
		{"-a  one two three\n", "-a  one\n    two\n    three\n"},
		{"ä ö ü ä ö ü\n", "ä ö ü ä ö\nü\n"}, // columns, not bytes
		{"no end of a line", "no end of\na line\n"},
	} {
		if got := fold(c.page, 10); got != c.want {
			t.Errorf("fold(%q) = %q, want %q", c.page, got, c.want)
		}
	}
}

func TestHang(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", ""},
		{"1234567890", "1234567890"},
		{"one two three four", "one two\n  three\n  four"},
		{"one 345678901 2", "one\n  345678901\n  2"},
		{"12345678901 2", "12345678901\n  2"}, // no space before the end of the line
		{"  12345678901", "  12345678901"},
		{"ä 345678901 ö", "ä\n  345678901\n  ö"}, // columns, not bytes
	} {
		if got := hang(c.line, 10, 2); got != c.want {
			t.Errorf("hang(%q) = %q, want %q", c.line, got, c.want)
		}
	}
}
