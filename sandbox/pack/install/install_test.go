package install

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/plan"
)

// The whole way: the installed package starts, the lock restores the very same tree
// elsewhere, and a run with a lock asks nobody.
func TestInstallNPM(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, run := newInstaller(t, f)
	l, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if l.Version != "1.0.0" || l.License != "MIT" || !strings.HasPrefix(l.Integrity, "sha512-") || l.Registry != f.URL+"/npm/" {
		t.Errorf("lock: %+v", l)
	}
	var places []string
	for _, d := range l.Dependencies {
		places = append(places, d.Path+"@"+d.Version)
	}
	want := []string{"node_modules/@demo/server@1.0.0", "node_modules/left@1.0.0", "node_modules/never@1.0.0", "node_modules/right@2.0.0", "node_modules/right/node_modules/left@2.0.0"}
	if d := cmp.Diff(want, places); d != "" {
		t.Error(d)
	}
	for _, job := range run.jobs {
		if strings.Contains(strings.Join(job.Argv, " "), "http") {
			t.Errorf("every user of the machine can read the proxy's address: %v", job.Argv)
		}
		if len(job.Network) != 1 || job.Network[0].Name != "localhost" {
			t.Errorf("job %s has the network %v", job.Name, job.Network)
		}
	}
	e, err := EntryOf(tree, l)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Program(tree, l, plan.Program{Path: in.Tools.Node}, []string{"you"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(p.Path, p.Args[1:]...).CombinedOutput()
	if err != nil || string(out) != "hello left1 right+left2 you\n" {
		t.Errorf("the server says %q, %v", out, err)
	}
	if p.Args[1] != "--no-warnings" || p.Tree != tree.Hash {
		t.Errorf("program %+v", p)
	}
	if target, _ := os.Readlink(filepath.Join(tree.Dir, "node_modules/.bin/left")); target != "../left/i.js" {
		t.Errorf("node_modules/.bin/left is %q", target)
	}

	before := f.Asks()
	if _, again, err := in.Restore(context.Background(), l); err != nil {
		t.Error(err)
	} else {
		again.Close()
	}
	if f.Asks() != before {
		t.Error("a run with a lock asked the registry")
	}

	restoresTo(t, f, l, tree.Hash)
}

// reread is a lock as another machine reads it.
func reread(t *testing.T, l pack.Lock) pack.Lock {
	t.Helper()
	text, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := pack.ParseLock(text)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// restoresTo fails the test unless another machine, with nothing but the lock, installs
// the tree of that hash.
func restoresTo(t *testing.T, f *packtest.Registry, l pack.Lock, hash string) {
	t.Helper()
	read := reread(t, l)
	other, _ := newInstaller(t, f)
	_, same, err := other.Restore(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	if same.Hash != hash {
		t.Errorf("restored %s, locked %s", same.Hash, hash)
	}
}

// Two clients that start the same server for the first time install it twice at
// once, and both get it.
func TestTwoInstallsAtOnce(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, _ := newInstaller(t, f)
	var wg sync.WaitGroup
	hashes := make([]string, 2)
	for i := range hashes {
		wg.Go(func() {
			_, tree, err := add(in, mustRef(t, "npm:@demo/server"))
			if err != nil {
				t.Error(err)
				return
			}
			defer tree.Close()
			hashes[i] = tree.Hash
			if err := in.Store.Verify(tree.Hash); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, _ := in.Store.List(); len(list) != 1 || hashes[0] != hashes[1] {
		t.Errorf("store holds %v, installs gave %v", list, hashes)
	}
}

// A user who gives up gets the prompt back, and nothing of the package stays.
func TestInstallCancelled(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, _ := newInstaller(t, f)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.Mu.Lock()
	f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/-/") {
			return false
		}
		cancel() // with the archive half way
		<-r.Context().Done()
		return true
	}
	f.Mu.Unlock()
	rel, err := in.Resolve(ctx, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := in.Install(ctx, rel); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	storeIsEmpty(t, in.Store)
}

// The postinstall script of a package runs only where the caller names it.
func TestInstallScriptsOnlyWhenNamed(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	f.Publish("@demo/server", "1.0.0", now.Add(-30*day), map[string]any{"bin": "cli.js", "scripts": map[string]string{"postinstall": "echo ran > ran.txt"}, "hasInstallScript": true},
		map[string]string{"cli.js": "#!/usr/bin/env node\n"})
	for _, named := range []bool{false, true} {
		in, _ := newInstaller(t, f)
		if named {
			in.Scripts = []string{"@demo/server"}
		}
		rel, err := in.Resolve(context.Background(), mustRef(t, "npm:@demo/server"))
		if err != nil || len(rel.Scripts) != 1 {
			t.Fatalf("scripts %v, %v", rel.Scripts, err)
		}
		l, tree, err := in.Install(context.Background(), rel)
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(tree.Dir, "node_modules/@demo/server/ran.txt"))
		if named != (err == nil) || named != (len(l.Scripts) == 1) {
			t.Errorf("named %v: %v, lock says %v", named, err, l.Scripts)
		}
		// Another person's lock must not make scripts run here.
		in.Scripts = nil
		if _, again, err := in.Repair(context.Background(), l); named != (err != nil) {
			t.Errorf("named %v: repaired without the name: %v", named, err)
		} else if err == nil {
			again.Close()
		}
		tree.Close()
	}
}

func TestInstallPyPI(t *testing.T) {
	f := packtest.New(t, false)
	packtest.PyPIWorld(f)
	in, run := newInstaller(t, f)
	l, tree, err := add(in, mustRef(t, "pypi:Demo_Server"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if l.Version != "1.0" || l.License != "MIT" || len(l.Dependencies) != 2 {
		t.Errorf("lock: %+v", l)
	}
	for _, job := range run.jobs {
		if strings.Contains(strings.Join(job.Argv, " "), "http") {
			t.Errorf("every user of the machine can read the proxy's address: %v", job.Argv)
		}
		if want := job.Name != "compileall"; (len(job.Network) == 1) != want {
			t.Errorf("job %s has the network %v", job.Name, job.Network)
		}
	}
	e, err := EntryOf(tree, l)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Program(tree, l, plan.Program{Path: in.Tools.Python}, []string{"you"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.Path, p.Args[1:]...)
	cmd.Env = []string{}
	for _, v := range p.Env {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "hello dep1 you\n" {
		t.Errorf("the server says %q, %v", out, err)
	}
	if m, _ := filepath.Glob(filepath.Join(tree.Dir, "lib/demo_server/__pycache__/*.pyc")); len(m) == 0 {
		t.Error("nothing was compiled: every start would compile it")
	}
	if err := in.Store.Verify(tree.Hash); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(tree.Dir, "lib/bin/a-tool")); err != nil || string(data) != "#!/usr/bin/env python3\nprint('tool')\n" {
		t.Errorf("a wheel's own script names this machine's Python: %q, %v", data, err)
	}
	restoresTo(t, f, l, tree.Hash)
}

// uv and pip make the same tree of the same wheels, so that a team may use both.
func TestInstallPyPIWithUV(t *testing.T) {
	uv, err := exec.LookPath("uv")
	if err != nil {
		t.Skip("no uv on this machine")
	}
	f := packtest.New(t, false)
	packtest.PyPIWorld(f)
	in, run := newInstaller(t, f)
	in.Tools.UV = uv
	l, tree, err := add(in, mustRef(t, "pypi:demo-server"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if l.With != "uv" || len(l.Dependencies) != 2 || l.Dependencies[0].Version != "1.0" {
		t.Errorf("lock: %+v", l)
	}
	for _, job := range run.jobs {
		if argv := strings.Join(job.Argv, " "); strings.Contains(argv, "-m pip") || strings.Contains(argv, "http") {
			t.Errorf("pip ran, or the address shows: %v", job.Argv)
		}
	}
	pip, _ := newInstaller(t, f)
	_, same, err := pip.Restore(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	same.Close()
	if err := swapDependency(f, in, l); err == nil {
		t.Error("uv installed a dependency that was swapped")
	}
}

// swapDependency restores with the same tools after demo-dep was replaced.
func swapDependency(f *packtest.Registry, in *Installer, l pack.Lock) error {
	f.Mu.Lock()
	f.PyPI["demo-dep"] = nil
	f.Mu.Unlock()
	f.Upload("demo-dep", "1.0", now.Add(-30*day), nil, map[string]string{"demo_dep.py": "evil"})
	_, tree, err := in.Repair(context.Background(), l)
	if err == nil {
		tree.Close()
	}
	return err
}

// Credentials and certificates stay with the launcher: the job sees neither.
func TestInstallKeepsTokenFromJobs(t *testing.T) {
	f := packtest.New(t, true)
	f.Token = "s3cr3t-token"
	packtest.NPMWorld(f)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}), 0o600)
	host := strings.TrimPrefix(f.URL, "https:")
	npmrc := filepath.Join(dir, ".npmrc")
	os.WriteFile(npmrc, []byte("registry="+f.URL+"/npm/\ncafile="+ca+"\n"+host+"/npm/:_authToken=${TOKEN}\n"), 0o600)
	reg, err := registry.ReadNPM(registry.NPMPlaces{Env: []string{"TOKEN=" + f.Token, "npm_config_userconfig=" + npmrc}})
	if err != nil {
		t.Fatal(err)
	}
	in, run := newInstaller(t, nil)
	in.NPM = reg
	l, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	text, _ := l.Encode()
	for _, job := range run.jobs {
		for _, s := range append(append(job.Argv, job.Env...), string(text)) {
			if strings.Contains(s, f.Token) || strings.Contains(s, f.URL) && s != string(text) {
				t.Errorf("job %s is told %q", job.Name, s)
			}
		}
	}
	bad, _ := newInstaller(t, nil)
	bad.NPM = reg
	bad.NPM.Credentials = nil
	if _, _, err := add(bad, mustRef(t, "npm:@demo/server")); err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("without the token: %v", err)
	}
	bad.NPM = reg
	bad.NPM.CA = nil
	if _, _, err := add(bad, mustRef(t, "npm:@demo/server")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
}

func TestResolveMinAge(t *testing.T) {
	f := packtest.New(t, false)
	old := map[string]any{"_npmUser": map[string]string{"name": "alice"}}
	f.Publish("a", "1.0.0", now.Add(-90*day), old, nil)
	f.Publish("a", "1.1.0", now.Add(-10*day), old, nil)
	f.Publish("a", "2.0.0", now.Add(-day), old, nil)
	f.Publish("a", "3.0.0-rc.1", now.Add(-20*day), old, nil)
	f.Tags["a"] = map[string]string{"latest": "2.0.0", "next": "3.0.0-rc.1", "hot": "2.0.0"}
	f.Upload("b", "1.0", now.Add(-90*day), nil, nil)
	f.Upload("b", "1.1", now.Add(-day), nil, nil)
	in, _ := newInstaller(t, f)
	for _, tc := range []struct{ ref, want, note string }{
		{"npm:a", "1.1.0", "2.0.0"},
		{"npm:a@1.0.0", "1.0.0", ""},
		{"npm:a@next", "3.0.0-rc.1", ""},
		{"pypi:b", "1.0", "1.1"},
		{"pypi:b==1.0", "1.0", ""},
		{"pypi:b==1", "1.0", ""},
	} {
		rel, err := in.Resolve(context.Background(), mustRef(t, tc.ref))
		if err != nil || rel.Ref.Version != tc.want || strings.Contains(strings.Join(rel.Notes, ""), tc.note) != true || tc.note == "" && len(rel.Notes) > 0 {
			t.Errorf("%s: %s %q, %v", tc.ref, rel.Ref.Version, rel.Notes, err)
		}
	}
	for _, ref := range []string{"npm:a@2.0.0", "npm:a@hot", "pypi:b==1.1"} {
		_, err := in.Resolve(context.Background(), mustRef(t, ref))
		var young *registry.TooYoungError
		if !errors.As(err, &young) || young.OldEnough == "" || !strings.Contains(err.Error(), young.OldEnough) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	in.MinAge = 0
	if rel, err := in.Resolve(context.Background(), mustRef(t, "npm:a")); err != nil || rel.Ref.Version != "2.0.0" || rel.Publisher != "alice" {
		t.Errorf("without an age: %+v, %v", rel, err)
	}
	in.MinAge = 3650 * day
	if _, err := in.Resolve(context.Background(), mustRef(t, "npm:a")); err == nil || !strings.Contains(err.Error(), "no version is older") {
		t.Errorf("with a great age: %v", err)
	}
	in.MinAge = 3 * day
	f.Publish("undated", "1.0.0", time.Time{}, nil, nil)
	f.NPM["undated"]["1.0.0"].Date = time.Time{}
	f.Answer = nil
	if _, err := in.Resolve(context.Background(), mustRef(t, "npm:a@9.9.9")); err == nil || !strings.Contains(err.Error(), "no such version") {
		t.Errorf("an unknown version: %v", err)
	}
}

// A dependency whose only fitting version is too young must not slip in below a
// package that is old enough, and the error must say why it was not found.
func TestYoungDependencyIsWithheld(t *testing.T) {
	f := packtest.New(t, false)
	f.Publish("top", "1.0.0", now.Add(-30*day), map[string]any{"bin": "x.js", "dependencies": map[string]string{"fresh": "^1.0.0"}}, map[string]string{"x.js": ""})
	f.Publish("fresh", "1.0.0", now.Add(-day), nil, nil)
	f.Upload("top", "1.0", now.Add(-30*day), []string{"fresh"}, nil)
	f.Upload("fresh", "1.0", now.Add(-day), nil, nil)
	for _, ref := range []string{"npm:top", "pypi:top"} {
		in, _ := newInstaller(t, f)
		if _, _, err := add(in, mustRef(t, ref)); err == nil || !strings.Contains(err.Error(), "of fresh is younger") || strings.Contains(err.Error(), "/file/") {
			t.Errorf("%s: %v", ref, err)
		}
		storeIsEmpty(t, in.Store)
		in.MinAge = 0
		_, tree, err := add(in, mustRef(t, ref))
		if err != nil {
			t.Errorf("%s without an age: %v", ref, err)
			continue
		}
		tree.Close()
	}
}

func TestLockKeepsPinsAndRefusesTampering(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, _ := newInstaller(t, f)
	l, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	l.Published = time.Time{}
	l.Pins = "[pins.tools.\"a\"] # kept as it is\nhash =   \"sha256:1\"\n[[pins.more]]\nx = \"\"\"\n[not a table]\n\"\"\"\n"
	text, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := pack.ParseLock(text)
	if strings.Contains(string(text), "0001-01-01") {
		t.Errorf("a date that is not known is written:\n%s", text)
	}
	if err != nil || again.Pins != l.Pins {
		t.Fatalf("pins %q, %v", again.Pins, err)
	}
	second, err := again.Encode()
	if err != nil || !bytes.Equal(text, second) {
		t.Errorf("the second writing differs: %s", cmp.Diff(string(text), string(second)))
	}
	for name, change := range map[string]func(s string) string{
		"unknown key":     func(s string) string { return strings.Replace(s, "version =", "verison =", 1) },
		"path out":        func(s string) string { return strings.Replace(s, "node_modules/left", "node_modules/../left", 1) },
		"absolute path":   func(s string) string { return strings.Replace(s, `"node_modules/left"`, `"/etc"`, 1) },
		"sha1":            func(s string) string { return strings.Replace(s, "sha512-", "sha1-", -1) },
		"range":           func(s string) string { return strings.Replace(s, `version = "1.0.0"`, `version = "^1.0.0"`, 1) },
		"tree":            func(s string) string { return strings.Replace(s, "sha256:", "sha256:../", 1) },
		"behind the pins": func(s string) string { return s + "\n[[dependency]]\npath = \"node_modules/x\"\n" },
		"own integrity": func(s string) string {
			return strings.Replace(s, l.Integrity, "sha512-"+strings.Repeat("A", 86)+"==", 1)
		},
		"form": func(s string) string { return strings.Replace(s, "lock = 2", "lock = 3", 1) },
		"torn": func(s string) string { return s[:len(s)/2] },
	} {
		changed := change(string(text))
		if changed == string(text) {
			t.Errorf("%s: nothing changed", name)
		}
		if _, err := pack.ParseLock([]byte(changed)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestDefaultRegistry(t *testing.T) {
	in, run := newInstaller(t, nil)
	for _, e := range []pack.Ecosystem{pack.NPM, pack.PyPI} {
		got, err := in.DefaultRegistry(context.Background(), e)
		if err != nil || !strings.HasPrefix(got, "http") {
			t.Errorf("%s: %q, %v", e, got, err)
		}
		// The sooner way gives the same, or none.
		in.Tools.Interpreter = registry.Interpreter{}
		if err := in.AskInterpreter(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		if sooner := in.Tools.Interpreter.Registry; sooner != got {
			t.Errorf("%s: the package manager itself says %q, its parts %q", e, got, sooner)
		}
	}
	for _, job := range run.jobs {
		if len(job.Network) > 0 {
			t.Errorf("%s has network", job.Name)
		}
	}
}
