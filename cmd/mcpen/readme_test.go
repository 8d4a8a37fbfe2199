package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

const readmeFile = "../../README.md"

// blocks are the fenced blocks of README.md in one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("README.md has no block in %s any more", language)
	}
	return found
}

// readmeRun runs mcpen as somebody who has nothing yet but a server of the name
// that README.md's profile names.
func readmeRun(t *testing.T, dir string, args ...string) (outcomeOf, out string) {
	t.Helper()
	bin, err := exec.LookPath("mcpen")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=" + dir, "PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin"}
	text, err := cmd.CombinedOutput()
	return outcome(err), string(text)
}

func readmeDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"home", "bin", "project"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "notes-server"), []byte("#!/bin/sh\ncat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The profile that people copy is one that works.
func TestReadmeProfile(t *testing.T) {
	for _, text := range blocks(t, "toml") {
		dir := readmeDir(t)
		if err := os.WriteFile(filepath.Join(dir, "profile.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out := readmeRun(t, dir, "check", "profile.toml"); code != "0" || out != "profile.toml: ok\n" {
			t.Errorf("check: %s\n%s", code, out)
		}
		if code, out := readmeRun(t, dir, "explain", "--set", "dir="+filepath.Join(dir, "project"), "./profile.toml"); code != "0" {
			t.Errorf("explain: %s\n%s", code, out)
		}
	}
}

// wrongGrammar matches mcpen's errors about a command line that it cannot read.
var wrongGrammar = regexp.MustCompile(`no command "|flag provided but not defined|stand behind --|no server named|is not name=value|needs a command|cannot read the profile`)

// The entry that people paste into a client is a command line that mcpen reads.
func TestReadmeClientEntry(t *testing.T) {
	for _, text := range blocks(t, "json") {
		var entry struct {
			Servers map[string]struct {
				Command string   `json:"command"`
				Args    []string `json:"args"`
			} `json:"mcpServers"`
		}
		if err := json.Unmarshal([]byte(text), &entry); err != nil {
			t.Fatal(err)
		}
		if len(entry.Servers) == 0 {
			t.Error("an entry without a server")
		}
		for name, s := range entry.Servers {
			if filepath.Base(s.Command) != "mcpen" || len(s.Args) == 0 || s.Args[0] != "run" {
				t.Errorf("%s: %q %q does not run mcpen", name, s.Command, s.Args)
				continue
			}
			args := append([]string{"explain"}, s.Args[1:]...) // the same words, and starts nothing
			if _, out := readmeRun(t, readmeDir(t), args...); wrongGrammar.MatchString(out) {
				t.Errorf("%s: mcpen %q: %s", name, args, out)
			}
		}
	}
}

// Every line that people type names a command, or a target, that there is.
func TestReadmeCommands(t *testing.T) {
	commands := map[string]bool{}
	a := &app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: os.Stderr}}}, out: os.Stdout}
	for _, c := range a.cli([]string{"mcpen", "help"}).Commands {
		commands[c.Name] = true
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	// The test runs commands that need no registry and change nothing, as a user
	// without any files yet.
	run := map[string]string{"mcpen doctor": "0", "mcpen ps": "0", "mcpen profile list": "0", "mcpen log": "1", "mcpen check profile.toml": "2"}
	for _, block := range blocks(t, "sh") {
		for line := range strings.Lines(block) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			switch {
			case len(words) == 0:
			case words[0] == "make" && len(words) == 2:
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).Match(makefile) {
					t.Errorf("there is no target for %q", line)
				}
			case words[0] == "mcpen" && len(words) > 1:
				if !commands[words[1]] {
					t.Errorf("there is no command for %q", line)
				}
				said := strings.Join(words, " ")
				if want, ok := run[said]; ok {
					delete(run, said)
					if code, out := readmeRun(t, readmeDir(t), words[1:]...); code != want {
						t.Errorf("%s ended with %s, want %s\n%s", said, code, want, out)
					}
				}
			default:
				t.Errorf("nobody checks %q", line)
			}
		}
	}
	for said := range run {
		t.Errorf("README.md does not say %q any more", said)
	}
}
