package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
