package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mcpen/cmd/mcpen/clients"
)

const exampleClients = "../../examples/clients"

// exampleRows are the rows of the table in README of the examples: where the client has
// its file, and the example's name.
var exampleRows = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `([^`]+)`[^|]* \\| \\[([^]]+)\\]\\(([^)]+)\\) \\|$")

// Who pastes an example into a client's file has servers in their pens: the client's
// own format is met, the words are a command line, and the profile is there.
func TestClientExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(exampleClients, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"README.md": true}
	for _, row := range exampleRows.FindAllStringSubmatch(string(text), -1) {
		title, where, file := row[1], row[2], row[3]
		if file != row[4] {
			t.Errorf("%s leads to %s", file, row[4])
		}
		listed[file] = true
		t.Run(file, func(t *testing.T) { pasted(t, title, where, file) })
	}
	files, err := os.ReadDir(exampleClients)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("README.md does not say where %s goes", f.Name())
		}
	}
	if len(files) < 9 {
		t.Errorf("only %d files", len(files))
	}
}

// pasted puts an example where it belongs and reads it as the client's.
func pasted(t *testing.T, title, where, file string) {
	dir := readmeDir(t)
	home, project := filepath.Join(dir, "home"), filepath.Join(dir, "project")
	at := filepath.Join(project, where)
	if rest, ok := strings.CutPrefix(where, "~/"); ok {
		at = filepath.Join(home, rest)
	}
	data, err := os.ReadFile(filepath.Join(exampleClients, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var found []clients.Entry
	for _, p := range clients.Places(clients.Roots{Home: home, Config: filepath.Join(home, ".config"), Project: project, Env: func(string) string { return "" }}, nil) {
		if p.Client.Title != title || p.Path != at {
			continue
		}
		if found, err = p.Servers(); err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 2 {
		t.Fatalf("%s finds %d servers in %s", title, len(found), at)
	}
	for _, e := range found {
		if e.State != clients.Own && e.State != clients.Wrapped || len(e.Command) < 3 || e.Command[1] != "run" {
			t.Errorf("%s is %s (%s), and is not run by mcpen: %q", e.Server, e.State, e.Why, e.Command)
			continue
		}
		args := []string{"explain"} // the same words, and starts nothing
		for _, w := range e.Command[2:] {
			args = append(args, strings.ReplaceAll(strings.ReplaceAll(w, "${workspaceFolder}", project), "/home/you", home))
		}
		if _, out := readmeRun(t, dir, args...); wrongGrammar.MatchString(out) && e.State == clients.Own {
			t.Errorf("%s: mcpen %q: %s", e.Server, args, out)
		}
		if e.State == clients.Own {
			name := e.Command[len(e.Command)-1]
			if code, out := readmeRun(t, dir, "profile", "show", name); code != "0" {
				t.Errorf("%s: no profile %q ships: %s", e.Server, name, out)
			}
		}
	}
}
