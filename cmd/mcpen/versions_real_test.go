//go:build integration

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// realPackage is a line of testdata/real/packages.txt.
type realPackage struct {
	ref       string
	env, args []string
}

func realPackages(t *testing.T) []realPackage {
	t.Helper()
	text, err := os.ReadFile("testdata/real/packages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []realPackage
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		p := realPackage{ref: words[0], env: words[1:]}
		if i := slices.Index(p.env, "--"); i >= 0 {
			p.env, p.args = p.env[:i], p.env[i+1:]
		}
		all = append(all, p)
	}
	return all
}

// A person who puts mcpen in place of npx or pip gets the version that npm or pip takes
// on this machine, and the same tools. The test switches off the minimum age, which is
// mcpen's own. REAL_PACKAGES limits the run to references that match it, and the table
// is on stdout.
func TestRealVersions(t *testing.T) {
	bin := realBinary(t)
	only, err := regexp.Compile(os.Getenv("REAL_PACKAGES"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("| package | bare version | mcpen version | tools bare | tools in mcpen | verdict | bare install | mcpen install |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	rows, answered := 0, 0
	defer func() {
		fmt.Printf("%d packages, %d with the same version and the same tools\n", rows, answered)
		if answered*3 < rows*2 { // a registry that is down would make all of them the same
			t.Errorf("only %d of %d servers answered at all", answered, rows)
		}
	}()
	for _, p := range realPackages(t) {
		if !only.MatchString(p.ref) {
			continue
		}
		t.Run(p.ref, func(t *testing.T) {
			dir := realFolder(t)
			t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", dir).Run() })
			given := filepath.Join(dir, "given")
			if err := os.Mkdir(given, 0o755); err != nil {
				t.Fatal(err)
			}
			for i, a := range p.args {
				p.args[i] = strings.ReplaceAll(a, "DIR", given)
			}
			bare := p.bare(t, filepath.Join(dir, "bare"))
			penned := p.penned(t, bin, filepath.Join(dir, "penned"))
			verdict := bare.compare(penned)
			fmt.Printf("| %s | %s | %s | %s | %s | %s | %.1f s | %.1f s |\n", p.ref, bare.version, penned.version, bare.count(), penned.count(), verdict, bare.took.Seconds(), penned.took.Seconds())
			rows++
			if verdict == "same" {
				answered++
			}
			if !strings.HasPrefix(verdict, "same") {
				t.Errorf("%s\n  bare: %s %v\n mcpen: %s %v\n%.2000s", verdict, bare.version, bare.err, penned.version, penned.err, cmp.Diff(bare.tools, penned.tools))
			}
		})
	}
}

// realOutcome is the outcome of one way of installing and starting a package.
type realOutcome struct {
	version string
	tools   []any
	err     error
	took    time.Duration // of the install
}

func (o realOutcome) count() string {
	if o.err != nil {
		return "-"
	}
	return fmt.Sprint(len(o.tools))
}

func (o realOutcome) compare(other realOutcome) string {
	switch {
	case o.version != other.version:
		return "ANOTHER VERSION"
	case o.version == "":
		return "same; neither installs"
	case o.err != nil && other.err != nil:
		return "same; neither answers"
	case o.err != nil:
		return "ONLY MCPEN ANSWERS"
	case other.err != nil:
		return "ONLY BARE ANSWERS"
	case !reflect.DeepEqual(o.tools, other.tools):
		return "OTHER TOOLS"
	}
	return "same"
}

// bare installs with npm or pip, and starts the program that npx or uvx would.
func (p realPackage) bare(t *testing.T, dir string) (o realOutcome) {
	t.Helper()
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	kind, name, _ := strings.Cut(p.ref, ":")
	install := []string{"npm", "install", "--prefix", dir, "--cache", filepath.Join(home, "cache"), "--ignore-scripts", "--no-audit", "--no-fund", name}
	if kind == "pypi" {
		install = []string{"python3", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", dir, name}
	}
	began := time.Now()
	if out, err := exec.Command(install[0], install[1:]...).CombinedOutput(); err != nil {
		o.err = fmt.Errorf("%v: %w: %.400s", install, err, out)
		return o
	}
	o.took = time.Since(began)
	var argv []string
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8"}
	if kind == "npm" {
		var program string
		o.version, program = npmProgram(t, filepath.Join(dir, "node_modules", name), name)
		argv = []string{"node", program}
	} else {
		var program string
		o.version, program = pipProgram(t, dir, name)
		argv = []string{"python3", program}
		env = append(env, "PYTHONPATH="+dir)
	}
	o.tools, o.err = realTools(slices.Concat(argv, p.args), slices.Concat(env, p.env), home)
	return o
}

// npmProgram is the version of an installed package and the program of it that npx
// would start.
func npmProgram(t *testing.T, dir, name string) (version, program string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Version string
		Bin     any
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	switch b := m.Bin.(type) {
	case string:
		program = b
	case map[string]any:
		for bin, file := range b {
			if len(b) == 1 || bin == name[strings.LastIndex(name, "/")+1:] || program == "" {
				program, _ = file.(string)
			}
			if bin == name[strings.LastIndex(name, "/")+1:] {
				break
			}
		}
	}
	return m.Version, filepath.Join(dir, program)
}

// pipProgram is npmProgram for a target directory of pip's.
func pipProgram(t *testing.T, dir, name string) (version, program string) {
	t.Helper()
	same := regexp.MustCompile(`[-_.]+`)
	flat := func(s string) string { return strings.ToLower(same.ReplaceAllString(s, "-")) }
	infos, _ := filepath.Glob(filepath.Join(dir, "*.dist-info"))
	for _, info := range infos {
		project, rest, _ := strings.Cut(strings.TrimSuffix(filepath.Base(info), ".dist-info"), "-")
		if flat(project) != flat(name) {
			continue
		}
		version = rest
		points, _ := os.ReadFile(filepath.Join(info, "entry_points.txt"))
		_, scripts, _ := strings.Cut(string(points), "[console_scripts]")
		scripts, _, _ = strings.Cut(scripts, "\n[")
		for line := range strings.Lines(scripts) {
			bin, _, ok := strings.Cut(line, "=")
			if bin = strings.TrimSpace(bin); ok && (program == "" || flat(bin) == flat(name)) {
				program = bin
			}
		}
	}
	return version, filepath.Join(dir, "bin", program)
}

// penned locks, installs and starts with mcpen, from a profile without a grant.
func (p realPackage) penned(t *testing.T, bin, home string) (o realOutcome) {
	t.Helper()
	text := fmt.Sprintf("version = 1\nname = \"served\"\n[server]\npackage = %q\nargs = [", p.ref)
	for _, a := range p.args {
		text += fmt.Sprintf("%q, ", a)
	}
	text += "]\n[install]\nmin-age = \"0s\"\n[tools]\npins = \"off\"\n[env.set]\n"
	for _, kv := range p.env {
		name, value, _ := strings.Cut(kv, "=")
		text += fmt.Sprintf("%s = %q\n", name, value)
	}
	for _, a := range p.args {
		if filepath.Base(a) == "given" {
			text += fmt.Sprintf("[filesystem]\nread = [%q]\n", a)
		}
	}
	profiles := filepath.Join(home, ".config/mcpen/profiles")
	if err := os.MkdirAll(profiles, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(profiles, "served.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+home)
	add := exec.Command(bin, "add", "--name", "served", p.ref)
	add.Env = env
	began := time.Now()
	if out, err := add.CombinedOutput(); err != nil {
		o.err = fmt.Errorf("add: %w: %.600s", err, out)
		return o
	}
	o.took = time.Since(began)
	lock, err := os.ReadFile(filepath.Join(profiles, "served.lock"))
	if err != nil {
		t.Fatal(err)
	}
	o.version = strings.TrimSuffix(strings.TrimPrefix(string(lockedVersion.Find(lock)), `version = "`), `"`)
	o.tools, o.err = realTools([]string{bin, "run", "--quiet", "served"}, env, home)
	return o
}

// realTools starts a server and asks for its tools.
func realTools(argv, env []string, dir string) ([]any, error) {
	ctx, stop := context.WithTimeout(context.Background(), 90*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var said bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stderr, cmd.WaitDelay = env, dir, &said, 5*time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { in.Close(); cmd.Process.Signal(os.Interrupt); time.AfterFunc(5*time.Second, stop); cmd.Wait() }()
	io.WriteString(in, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`+"\n")
	for lines := bufio.NewReaderSize(out, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("no answer: %w: %.600s", err, said.Bytes())
		}
		var m struct {
			ID     any
			Result *struct{ Tools []any }
			Error  any
		}
		if json.Unmarshal(line, &m) != nil || m.ID == nil {
			continue
		}
		if m.Error != nil {
			return nil, fmt.Errorf("it answers %v", m.Error)
		}
		if m.ID == 0.0 {
			io.WriteString(in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"+`{"jsonrpc":"2.0","id":"tools","method":"tools/list"}`+"\n")
		}
		if m.ID == "tools" && m.Result != nil {
			// Some name the folder that they run in.
			text, err := json.Marshal(m.Result.Tools)
			if err != nil {
				return nil, err
			}
			text = []byte(strings.NewReplacer(dir, "DIR", "/run/home", "DIR").Replace(string(text)))
			return m.Result.Tools, json.Unmarshal(text, &m.Result.Tools)
		}
	}
}
