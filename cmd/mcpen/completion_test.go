package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/cmd/mcpen/grammar"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// completionCases are lines with words that TAB must offer at their end, and one that
// it must not.
var completionCases = []struct{ line, want, not string }{
	{"mcpen lo", "log", "run"},
	{"mcpen ", "run", "words"},
	{"mcpen run files", "filesystem", "git"},
	{"mcpen run --set a=b files", "filesystem", "git"},
	{"mcpen run filesystem ", "", "git"},
	{"mcpen run --prof", "--profile", "--set"},
	{"mcpen run filesystem --s", "--set", "--profile"},
	{"mcpen run --profile mi", "mine", "git"},
	{"mcpen log --", "--json", "--all"},
	{"mcpen profile sh", "show", "list"},
	{"mcpen profile show mi", "mine", "git"},
	{"mcpen profile diff git mi", "mine", "git"},
	{"mcpen wrap --client cur", "cursor", "zed"},
	{"mcpen completion ", "fish", "words"},
	{"mcpen run -- fi", "", "filesystem"},
	{"mcpen run '$(touch ran)' fi", "", "filesystem"},
}

// completionWorld is a folder with a home that has a profile called mine, and with
// the script for a shell.
func completionWorld(t *testing.T, shell string) (dir, script string) {
	t.Helper()
	dir = t.TempDir()
	mine := filepath.Join(dir, ".config", "mcpen", "profiles", "mine.toml")
	if err := os.MkdirAll(filepath.Dir(mine), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("version = 1\nname = \"mine\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("mcpen", "completion", shell).Output()
	if err != nil {
		t.Fatal(err)
	}
	script = filepath.Join(dir, "script")
	if err := os.WriteFile(script, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, script
}

// Each script is valid in its shell, and TAB offers commands, flags and profiles. No
// shell executes the typed words.
func TestCompletion(t *testing.T) {
	offers := map[string]string{
		"bash": `source "$1"; line=$2; eval "COMP_WORDS=($3)"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _mcpen; printf '%s\n' "${COMPREPLY[@]}"`,
		"zsh": `compdef() { :; }; _files() { :; }; _describe() { print -rl -- "${(@)found%%:*}"; }; source "$1"
eval "words=($3)"; CURRENT=$#words; _mcpen`,
		"fish": `source $argv[1]; complete -C $argv[2] | string replace -r '\t.*' ''; true`,
	}
	for shell, offer := range offers {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				if shell == "bash" {
					t.Fatal(err)
				}
				t.Skipf("%s is not installed", shell)
			}
			dir, script := completionWorld(t, shell)
			if out, err := exec.Command(shell, "-n", script).CombinedOutput(); err != nil {
				t.Fatalf("it does not read the script: %v\n%s", err, out)
			}
			for _, c := range completionCases {
				args := []string{"-c", offer, script, c.line}
				if shell != "fish" {
					words := c.line
					if strings.HasSuffix(words, " ") {
						words += "''"
					}
					args = []string{"-c", offer, shell, script, c.line, words}
				}
				cmd := exec.Command(shell, args...)
				cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=dumb"}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%q: %v\n%s", c.line, err, out)
				}
				offered := strings.Split(strings.TrimSpace(string(out)), "\n")
				if c.want != "" && !slices.Contains(offered, c.want) || slices.Contains(offered, c.not) {
					t.Errorf("%q offers %q, want %q and not %q", c.line, offered, c.want, c.not)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				t.Error("a word that was typed was executed")
			}
		})
	}
}

// A flag's value is completed in one word with it, too; bash has "=" as a word of
// its own.
func TestCompletedValues(t *testing.T) {
	known := (&app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: os.Stderr}}}, out: os.Stdout}).cli([]string{"mcpen", "completion"})
	for line, want := range map[string]string{
		"run --profile=no":    "--profile=notes",
		"run --profile = no":  "notes",
		"run --profile =":     "notes",
		"run -profile no":     "notes",
		"scan --format sa":    "sarif",
		"try --fail-on a":     "amber",
		"run --without land":  "landlock",
		"run --workspace no":  "",
		"run --set no":        "",
		"nothing no":          "",
		"run -- --profile no": "",
		"ps no":               "",
		"check no":            "",
		"log no":              "notes",
		"log notes no":        "",
		"stop notes no":       "notes",
	} {
		var got []string
		for _, w := range grammar.Complete(known, values([]string{"notes"}), []string{"notes"}, strings.Fields(line)) {
			got = append(got, w.Text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q offers %q, want %q", line, got, want)
		}
	}
}

// A flag is the same before and behind a command's words; behind "--" nothing is
// mcpen's, and nothing moves.
func TestFlagsFirst(t *testing.T) {
	commands := (&app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: os.Stderr}}}, out: os.Stdout}).cli([]string{"mcpen", "help"}).Commands
	for line, want := range map[string]string{
		"mcpen":                           "mcpen",
		"mcpen --version":                 "mcpen --version",
		"mcpen nothing a --b":             "mcpen nothing a --b",
		"mcpen log everything --json":     "mcpen log --json everything",
		"mcpen log a --since 2h -f":       "mcpen log --since 2h -f a",
		"mcpen review x --approve-all":    "mcpen review --approve-all x",
		"mcpen review x --approve y":      "mcpen review --approve y x",
		"mcpen allow n h:1 --yes":         "mcpen allow --yes n h:1",
		"mcpen trust p --yes":             "mcpen trust --yes p",
		"mcpen add npm:a --name b":        "mcpen add --name b npm:a",
		"mcpen profile new n --package":   "mcpen profile new --package",
		"mcpen profile new n --extends a": "mcpen profile new --extends a n",
		"mcpen run s --set a=b -- --set":  "mcpen run --set a=b s -- --set",
		"mcpen run s -- x --quiet":        "mcpen run s -- x --quiet",
		"mcpen run -- x --quiet -- y":     "mcpen run -- x --quiet -- y",
		"mcpen run s --set=a -set b=c":    "mcpen run --set=a -set b=c s",
		"mcpen run s --set -- x":          "mcpen run --set",
		"mcpen check - --json":            "mcpen check --json -",
		"mcpen run fetch --help":          "mcpen run --help",
		"mcpen profile show git -h":       "mcpen profile show --help",
		"mcpen allow n --write --help":    "mcpen allow --help",
		"mcpen run s --set --help":        "mcpen run --set --help s",
		"mcpen run s -- x --help":         "mcpen run s -- x --help",
	} {
		if got := strings.Join(grammar.FlagsFirst(commands, strings.Fields(line)), " "); got != want {
			t.Errorf("%q is read as %q, want %q", line, got, want)
		}
	}
}
