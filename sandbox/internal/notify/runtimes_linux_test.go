package notify

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/internal/seccomp/seccomptest"
	"mcpen/sandbox/plan"
)

// runtimes are the runtimes of servers. Each program uses files, threads, subprocesses,
// sockets and timers, and prints ok.
var runtimes = []struct {
	name  string
	here  []string // succeeds if the runtime is installed
	build []string // runs before the program, from $SRC to $OUT
	run   []string
}{
	{name: "bash", here: []string{"bash", "--version"}, run: []string{"bash", "demo.sh"}},
	{name: "python3", here: []string{"python3", "--version"}, run: []string{"python3", "demo.py"}},
	{name: "python3.12", here: []string{"python3.12", "--version"}, run: []string{"python3.12", "demo.py"}},
	{name: "python3.13", here: []string{"python3.13", "--version"}, run: []string{"python3.13", "demo.py"}},
	{name: "python3.14", here: []string{"python3.14", "--version"}, run: []string{"python3.14", "demo.py"}},
	{name: "node", here: []string{"node", "--version"}, run: []string{"node", "demo.cjs"}},
	{name: "bun", here: []string{"bun", "--version"}, run: []string{"bun", "demo.cjs"}},
	{name: "deno", here: []string{"deno", "--version"}, run: []string{"deno", "run", "-A", "demo.cjs"}},
	{name: "go", here: []string{"go", "version"}, build: []string{"go", "build", "-o", "$OUT", "demo.go"}, run: []string{"$OUT"}},
	{name: "java", here: []string{"javac", "-version"}, build: []string{"javac", "-d", "$OUT", "Demo.java"}, run: []string{"java", "-cp", "$OUT", "Demo"}},
	{name: "rust", here: []string{"rustc", "--version"}, build: []string{"rustc", "-o", "$OUT", "demo.rs"}, run: []string{"$OUT"}},
}

func TestRuntimesWorkUnderTheFilter(t *testing.T) {
	if testing.Short() {
		t.Skip("starts every runtime three times")
	}
	for _, r := range runtimes {
		t.Run(r.name, func(t *testing.T) {
			if err := exec.Command(r.here[0], r.here[1:]...).Run(); err != nil {
				t.Skipf("no %s: %v", r.name, err)
			}
			out := filepath.Join(t.TempDir(), "demo")
			made := func(words []string) []string {
				return strings.Split(strings.ReplaceAll(strings.Join(words, "\n"), "$OUT", out), "\n")
			}
			run := made(r.run)
			if r.build != nil { // once, and not in each of the runs
				build := made(r.build)
				cmd := exec.Command(build[0], build[1:]...)
				cmd.Dir = filepath.Join("testdata", "runtimes")
				if text, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("cannot build: %v\n%s", err, text)
				}
			}
			underTheFilter(t, run)
		})
	}
}

func underTheFilter(t *testing.T, run []string) {
	t.Helper()
	works(t, "without the filter", exec.Command(run[0], run[1:]...))
	works(t, "under the filter", seccomptest.Command(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Exec: run}))
	worksWatched(t, run)
}

func works(t *testing.T, how string, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir = filepath.Join("testdata", "runtimes")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "ok\n") {
		t.Fatalf("%s: %v\n%s", how, err, out)
	}
}

// worksWatched runs the program with a listener, which must report nothing about an
// ordinary program: nobody reads a log that complains at every start.
func worksWatched(t *testing.T, run []string) {
	dir, err := filepath.Abs(filepath.Join("testdata", "runtimes"))
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Seccomp{On: true, Notify: true, Opens: true}
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: run, Dir: dir})
	outside := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	var told []string
	err = Serve(context.Background(), int(listener.Fd()), p, Judge{Path: outside}, func(c Call) {
		what := strings.TrimSpace(c.Name+" "+c.Path) + ": " + c.Errno.Error()
		if !slices.Contains(told, what) {
			told = append(told, what)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil || !strings.HasSuffix(cmd.Stdout.(*strings.Builder).String(), "ok\n") {
		t.Errorf("under the filter, watched: %v\n%s", err, cmd.Stdout)
	}
	for _, what := range told {
		t.Errorf("told of an ordinary program: %s", what)
	}
}
