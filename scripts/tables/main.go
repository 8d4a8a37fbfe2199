// Command tables writes the output of the suites and the bench on this machine into
// README.md and SECURITY.md, between their marks, with the machine, the date and the
// commit. "make tables" runs it. With a folder of results of scripts/vm.sh it writes
// the table of machines instead ("make vm-table"). With the word "layers" it leaves out
// the bench, which needs a quiet machine.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const tags = "urfave_cli_no_docs,runc_nocriu,mcpen_launcher"

func main() {
	only := ""
	if len(os.Args) > 1 {
		only = os.Args[1]
	}
	if only != "" && only != "layers" {
		text, err := machines("scripts/vm/machines", only)
		check(err)
		check(between("SECURITY.md", "machines", text))
		return
	}
	where := machine()
	if only == "" {
		bench, err := output("go", "run", "./scripts/bench")
		check(err)
		check(between("README.md", "figures", "What `make bench` printed ("+where+"):\n\n```\n"+short(bench)+"```\n"))
	}

	attacks, err := output("go", "test", "-count=1", "-tags", tags, "-run", "^TestEscape$", "-v", "./sandbox")
	check(err)
	layers, err := held(attacks)
	check(err)
	hosts, err := output("go", "test", "-count=1", "-tags", tags, "-run", "^TestScripts$/^hosts$", "-v", "./cmd/mcpen")
	check(err)
	text := "What ran (" + where + "):\n\n" + layers + "\n" + restricted(hosts)
	check(between("SECURITY.md", "layers", text))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tables:", err)
		os.Exit(1)
	}
}

// machine names the machine, the date and the commit of the measurements.
func machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // it says nothing else where it cannot be read
	commit, err := output("git", "rev-parse", "--short", "HEAD")
	check(err)
	return fmt.Sprintf("%s, %s, %d processors, Linux %s, commit %s", time.Now().UTC().Format(time.DateOnly), runtime.GOARCH,
		runtime.NumCPU(), strings.TrimSpace(string(kernel)), strings.TrimSpace(commit))
}

// output runs a command and returns its stdout; the command's stderr passes through.
func output(argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out.Bytes())
	}
	return out.String(), nil
}

// short removes the lines of the bench that do not interest a reader of the README.
func short(bench string) string {
	var out strings.Builder
	for line := range strings.Lines(bench) {
		if !strings.Contains(line, "not measured") && !strings.HasPrefix(line, "20") {
			out.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
	}
	return out.String()
}

// row is a line of the escape suite's table: the probe, and at the end the layers
// that hold it alone.
var row = regexp.MustCompile(`^\s+([a-z0-9-]+)\s{2,}.*\s{2,}((?:namespaces|landlock|seccomp|limits|nothing)(?:\+[a-z]+)*)$`)

// held counts the attacks that each layer holds alone, for each user that the
// suite ran as.
func held(text string) (string, error) {
	type table struct {
		user   string
		layers map[string]int
		rows   int
	}
	var all []*table
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if _, user, ok := strings.Cut(line, "what holds what, as "); ok {
			all = append(all, &table{user: strings.TrimSuffix(user, ":"), layers: map[string]int{}})
		}
		m := row.FindStringSubmatch(line)
		if m == nil || len(all) == 0 {
			continue
		}
		now := all[len(all)-1]
		now.rows++
		for layer := range strings.SplitSeq(m[2], "+") {
			now.layers[layer]++
		}
	}
	if len(all) == 0 || all[0].rows == 0 {
		return "", fmt.Errorf("the escape suite printed no table")
	}
	var out strings.Builder
	out.WriteString("| attacks, all held | namespaces alone hold | Landlock alone holds | seccomp alone holds | limits alone hold |\n|---|---|---|---|---|\n")
	for _, t := range all {
		fmt.Fprintf(&out, "| %d as %s | %d | %d | %d | %d |\n", t.rows, t.user, t.layers["namespaces"], t.layers["landlock"], t.layers["seccomp"], t.layers["limits"])
	}
	return out.String(), nil
}

// timed matches the end of a script's heading: the duration of the part below it.
var timed = regexp.MustCompile(` \(\d+\.\d+s\)$`)

// restricted lists the machines of the script that restricts mcpen from outside. A
// heading of the script may have several lines, the last of which is timed; a line for
// pasting, from doctor, may look like one. The twin is no machine, and the weaker tier
// does not hold in full.
func restricted(text string) string {
	var out strings.Builder
	out.WriteString("On each of these a server was held in full or not started, and `mcpen doctor` said the same:\n\n")
	seen := map[string]bool{}
	var heading []string
	for line := range strings.Lines(text) {
		part, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !ok {
			heading = nil
			continue
		}
		heading = append(heading, part)
		if !timed.MatchString(part) {
			continue
		}
		name := timed.ReplaceAllString(strings.Join(heading, " "), "")
		heading = nil
		if !strings.Contains(name, "The twin") && !strings.HasPrefix(name, "The weaker tier") && !seen[name] {
			seen[name] = true
			out.WriteString("- " + name + "\n")
		}
	}
	return out.String()
}

// between puts text between two marks of a file.
func between(file, name, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+": written by make "+map[bool]string{true: "vm-table", false: "tables"}[name == "machines"]+" -->\n", "<!-- "+name+": end -->\n"
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no place for %q", file, name)
	}
	return os.WriteFile(file, []byte(head+begin+"\n"+text+"\n"+end+tail), 0o644)
}
