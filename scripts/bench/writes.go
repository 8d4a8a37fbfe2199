package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// work imitates a server in a folder of the user's: much of it makes files. It prints
// its duration, without the start of its sandbox. Each round has its own folder and
// removes nothing: ext4 passes one by one over the inodes of files that were removed in
// the last seconds, which takes longer than the work and slows the next round. npm
// begins with an empty cache, as it does in a sandbox.
const work = `set -e
cd "$0" && round=$(mktemp -d round.XXXXXX) && began=$(date +%s%N)
git clone -q --no-hardlinks repo "$round/clone"
git -C "$round/clone" status --porcelain
cp -r package "$round/app" && cd "$round/app"
npm_config_cache=$(mktemp -d) npm ci --offline --ignore-scripts --no-audit --no-fund --no-update-notifier --silent >/dev/null
echo $(($(date +%s%N) - began))`

// changes measures work in a writable folder: bare, in a sandbox that goes without
// mediation, and in one whose mediator makes the changes.
func changes(bin string, n int) {
	const what = "git clone, npm ci"
	for _, program := range []string{"git", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Printf("%-24s %s is not here, not measured\n", what, program)
			return
		}
	}
	dir := workspace("changes")
	defer os.RemoveAll(dir)
	if err := errors.Join(repository(filepath.Join(dir, "repo"), 1000), project(filepath.Join(dir, "package"), 20, 40)); err != nil {
		fail(err)
	}
	profile := filepath.Join(dir+"-profile", "work.toml")
	defer os.RemoveAll(filepath.Dir(profile))
	text := fmt.Sprintf("version = 1\nname = \"work\"\nextends = [\"node\"]\n[filesystem]\nwrite = [%q]\nunprotect = [%q, %q]\n[limits]\nprocesses = 256\n",
		dir, dir+"/**/.git", dir+"/**/node_modules")
	if err := errors.Join(os.MkdirAll(filepath.Dir(profile), 0o755), os.WriteFile(profile, []byte(text), 0o644)); err != nil {
		fail(err)
	}
	mcpen := func(more ...string) []string {
		return append(append([]string{bin, "run", "--quiet", "--profile", profile}, more...), "--", "sh", "-c", work, dir)
	}
	kinds := []*kind{
		{name: "bare", argv: []string{"sh", "-c", work, dir}},
		{name: "without", argv: mcpen("--without", "mediation")},
		{name: "mcpen", argv: mcpen()},
	}
	for i := range n + 1 {
		for _, k := range kinds {
			if took := timed(k.argv); i > 0 {
				k.took = append(k.took, took)
			}
		}
	}
	ratios(what, kinds)
}

// ratios prints medians, and each one's ratio to the first.
func ratios(what string, kinds []*kind) {
	for _, k := range kinds {
		fmt.Printf("%-24s %-8s %10v   %.2f× %s\n", what, k.name, k.median().Round(time.Microsecond), float64(k.median())/float64(kinds[0].median()), kinds[0].name)
	}
}

// timed runs a command that prints how many nanoseconds its work took. Its input
// stays open to the end: a server ends with it.
func timed(argv []string) time.Duration {
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		fail(err)
	}
	defer in.Close()
	var said, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &wrong
	if err := cmd.Run(); err != nil {
		fail(fmt.Errorf("%q: %w: %s", argv, err, wrong.Bytes()))
	}
	// Lines that are no protocol messages go to stderr.
	var nanoseconds int64
	for _, word := range strings.Fields(said.String() + " " + wrong.String()) {
		if _, err := fmt.Sscan(strings.Trim(word, `"`), &nanoseconds); err == nil && nanoseconds > 1e6 {
			return time.Duration(nanoseconds)
		}
	}
	fail(fmt.Errorf("%q: says no time: %s %s", argv, said.Bytes(), wrong.Bytes()))
	return 0
}

// workspace makes a folder that is not below /tmp, where a server has its own.
func workspace(name string) string {
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o755)
	}
	if err != nil {
		fail(err)
	}
	dir, err := os.MkdirTemp(cache, "mcpen-bench-"+name+"-")
	if err != nil {
		fail(err)
	}
	return dir
}

// repository makes a repository of git's with so many files.
func repository(dir string, files int) error {
	for i := range files {
		name := filepath.Join(dir, fmt.Sprintf("d%02d/e%d/file%d.txt", i%20, i%3, i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, bytes.Repeat(fmt.Appendf(nil, "line of file %d\n", i), 40), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "all"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %q: %w: %s", args, err, out)
		}
	}
	return nil
}

// project makes a project of npm's that depends on so many local packages, with so
// many files each, and locks them.
func project(dir string, packages, files int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var depends []string
	for i := range packages {
		name := fmt.Sprintf("p%d", i)
		if err := tarball(filepath.Join(dir, name+".tgz"), name, files); err != nil {
			return err
		}
		depends = append(depends, fmt.Sprintf("%q: \"file:%s.tgz\"", name, name))
	}
	manifest := fmt.Sprintf("{\"name\": \"app\", \"version\": \"1.0.0\", \"dependencies\": {%s}}\n", strings.Join(depends, ", "))
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(manifest), 0o644); err != nil {
		return err
	}
	cmd := exec.Command("npm", "install", "--offline", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install: %w: %s", err, out)
	}
	return nil
}

func tarball(file, name string, files int) error {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	add := func(name, text string) error {
		err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(text))})
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		return err
	}
	err := add("package.json", fmt.Sprintf("{\"name\": %q, \"version\": \"1.0.0\"}", name))
	for i := range files {
		err = errors.Join(err, add(fmt.Sprintf("lib/%d/m%d.js", i%5, i), strings.Repeat(fmt.Sprintf("exports.f%d = () => %d\n", i, i), 50)))
	}
	if err = errors.Join(err, w.Close(), zip.Close()); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// trees compares the start in large folders with that in an empty one, and measures how
// long the first change in one waits for the search of the folder.
func trees(bin string, n int) {
	const what = "start in a folder"
	dir := workspace("trees")
	defer os.RemoveAll(dir)
	kinds := []*kind{{name: "empty"}, {name: "100,000 directories"}, {name: "700,000 links"}, {name: "odd names"}}
	makers := []func(string) error{func(string) error { return nil }, directories, links, odd}
	for i, k := range kinds {
		folder, profile := filepath.Join(dir, fmt.Sprint(i)), filepath.Join(dir, fmt.Sprint(i, ".toml"))
		text := fmt.Sprintf("version = 1\nname = \"tree\"\n[filesystem]\nwrite = [%q]\n", folder)
		if err := errors.Join(os.Mkdir(folder, 0o755), makers[i](folder), os.WriteFile(profile, []byte(text), 0o644)); err != nil {
			fail(err)
		}
		k.argv = []string{bin, "run", "--quiet", "--profile", profile, "--", "/bin/true"}
	}
	for i := range n + 1 {
		for _, k := range kinds {
			began := time.Now()
			if out, err := exec.Command(k.argv[0], k.argv[1:]...).CombinedOutput(); err != nil {
				fail(fmt.Errorf("%q: %w: %s", k.argv, err, out))
			}
			if i > 0 {
				k.took = append(k.took, time.Since(began))
			}
		}
	}
	ratios(what, kinds)
	for i, k := range kinds {
		script := `began=$(date +%s%N); : > "$0/first"; echo $(($(date +%s%N) - began))`
		took := timed(append(k.argv[:len(k.argv)-1], "sh", "-c", script, filepath.Join(dir, fmt.Sprint(i))))
		fmt.Printf("%-24s %-8s %10v\n", "first change", k.name, took.Round(time.Microsecond))
	}
}

func directories(dir string) error {
	for i := range 100_000 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(i%100), fmt.Sprint(i/100%100), fmt.Sprint(i)), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// links makes names of few files: a file has at most 65,000 on ext4.
func links(dir string) error {
	for i := range 700_000 {
		at, file := filepath.Join(dir, fmt.Sprint(i%700)), filepath.Join(dir, fmt.Sprint("file", i%20))
		if i < 20 {
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				return err
			}
		}
		if i < 700 {
			if err := os.Mkdir(at, 0o755); err != nil {
				return err
			}
		}
		if err := os.Link(file, filepath.Join(at, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

// odd makes names that are not UTF-8, and paths longer than a system call takes.
func odd(dir string) error {
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { unix.Close(at) }()
	for i := range 40 {
		name := fmt.Sprintf("\xff\xfe%d\n%s", i, strings.Repeat("n", 200))
		if err := unix.Mkdirat(at, name, 0o755); err != nil {
			return err
		}
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		unix.Close(at)
		at = next
	}
	return nil
}
