package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A package without a wheel runs its own code when it is installed: the refusal says
// how to allow that, and the build then reaches nothing of the user's.
func TestBuildReachesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip("no python3 on this machine")
		}
		w.reg.Token = ""
		w.write(t, ".config/pip/pip.conf", "[global]\nindex-url = "+w.reg.URL+"/simple/\n")
		w.write(t, "secret.txt", "of the user")
		address, _ := url.Parse(w.reg.URL)
		hook := fmt.Sprintf(`import os, socket
found = []
for what, f in (("file", lambda: open(%q)), ("network", lambda: socket.create_connection((%q, %s), 2)), ("token", lambda: os.environ["TOKEN"])):
    try:
        f()
        found.append(what)
    except (OSError, KeyError):
        pass
open("module.py", "a").write("\nfound = %%r\n" %% found)
`, filepath.Join(w.home, "secret.txt"), address.Hostname(), address.Port())
		w.reg.Source("only-source", "1.0", longAgo(), nil, map[string]string{"hook.py": hook, "module.py": "def main(): print('hello')\n", "entry_points.txt": "[console_scripts]\nonly-source = only_source:main\n"})
		const hint = "mcpen: hint: [install]\nmcpen: hint: build = [\"only-source\"]"
		w.want(t, "3", hint, "add", "pypi:only-source")
		w.holds(t, 0)
		w.write(t, configDir+"/only-source.toml", "version = 1\nname = \"only-source\"\n[server]\npackage = \"pypi:only-source\"\n[install]\nbuild = [\"only-source\"]\n")
		w.want(t, "0", "locked pypi:only-source 1.0", "add", "pypi:only-source")
		built, _ := filepath.Glob(filepath.Join(w.home, stateDir, "store/trees/*/tree/lib/only_source.py"))
		if len(built) != 1 {
			t.Fatal(built)
		}
		if text, err := os.ReadFile(built[0]); err != nil || !strings.Contains(string(text), "found = []") {
			t.Errorf("the build reached: %s, %v", text, err)
		}
		w.want(t, "0", "", "run", "only-source")
		// Outside it would have.
		dir := t.TempDir()
		script := filepath.Join(dir, "hook.py")
		if err := os.WriteFile(script, []byte(hook), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("python3", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TOKEN=x")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if text, _ := os.ReadFile(filepath.Join(dir, "module.py")); !strings.Contains(string(text), "found = ['file', 'network', 'token']") {
			t.Errorf("outside: %s", text)
		}
	})
}

// What an install does is told in a log now and then, not step by step, and strangers'
// names in it end no line.
func TestProgressIsSparse(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	a := &app{err: out}
	tell := a.progress(func() time.Time { return at })
	for range 12 {
		tell("fetch", "x\n\x1b[2J")
		tell("", "")
		at = at.Add(time.Second)
	}
	out.Close()
	said, err := io.ReadAll(r)
	if err != nil || string(said) != strings.Repeat("mcpen: fetch: x\\x0a\\x1b[2J\n", 2) {
		t.Errorf("it said %q, %v", said, err)
	}
}

// A server that wants another Python than the machine's gets it from where uv and
// pyenv keep theirs, and never a wrong one.
func TestPythonOfAProfile(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import os, sys; print(os.path.realpath(sys.executable), '%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	real, version, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	home := t.TempDir()
	a := &app{env: []string{"HOME=" + home, "PATH=" + t.TempDir()}}
	at := place{home: home}
	link := func(version string) {
		file := filepath.Join(home, ".pyenv/versions", version+".1", "bin", "python"+version)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, file); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := a.python(at, "3.98"); err == nil || !strings.Contains(err.Error(), "asks for Python 3.98") {
		t.Errorf("one that is not there: %v", err)
	}
	for _, v := range []string{"", version} {
		path, tag, _, err := a.python(at, v)
		if err != nil || path == "" || tag != "cp"+strings.ReplaceAll(version, ".", "") {
			t.Errorf("%q: %q %q, %v", v, path, tag, err)
		}
	}
	link("3.99")
	if _, _, _, err := a.python(at, "3.99"); err == nil || !strings.Contains(err.Error(), "it is "+version) {
		t.Errorf("another under its name: %v", err)
	}
}
