package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/trial"
)

// Most packages that steal do so in an install script: mcpen runs none. With --scripts
// the trial shows the deeds of each script, on the desk and not in a home.
func TestTryRunsInstallScripts(t *testing.T) {
	w := triedWorld(t)
	w.server("honest-server", "1.0.0", time.Now().AddDate(-1, 0, 0), map[string]any{"scripts": map[string]string{"postinstall": "node -e 'require(\"fs\").readFileSync(require(\"os\").homedir() + \"/.ssh/id_ed25519\")'"}}, nil)
	for _, flags := range [][]string{nil, {"--scripts"}} {
		out, errs, exit := w.trying(t, slices.Concat([]string{"--json", "--call", "none"}, flags, []string{"npm:honest-server"})...)
		var r trial.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("exit status %d, %v: %s", exit, err, errs)
		}
		i := slices.IndexFunc(r.Verdict.Reasons, func(one trial.Reason) bool {
			return one.Code == "decoy-read" && one.When == trial.InScript+"honest-server"
		})
		ran := len(flags) > 0
		if r.Subject.ScriptsRan != ran || (i >= 0) != ran || (exit == 3) != ran || !r.Conversation.Opened {
			t.Errorf("with %q: exit status %d, %+v", flags, exit, r.Verdict.Reasons)
		}
		if !slices.Equal(r.Subject.Scripts, []string{"honest-server"}) {
			t.Errorf("with %q: the scripts are those of %q", flags, r.Subject.Scripts)
		}
	}
	w.nothingLeft(t)
}

// A person with a server.json, as registries of servers give it, tries the package that
// it names with the variables and arguments that it describes.
func TestTryServerJSON(t *testing.T) {
	w := triedWorld(t)
	w.server("described-server", "1.2.0", time.Now().AddDate(-1, 0, 0), nil, nil)
	w.write(t, "server.json", `{"$schema": "https://static.modelcontextprotocol.io/schemas/2025-09-29/server.schema.json", "name": "io.github.somebody/described", "description": "Looks things up.", "version": "1.2.0",
		"packages": [{"registryType": "npm", "identifier": "described-server", "version": "1.2.0", "transport": {"type": "stdio"},
			"packageArguments": [{"type": "positional", "value": "--quiet"}],
			"environmentVariables": [{"name": "DESCRIBED_KEY", "isRequired": true, "isSecret": true}, {"name": "DESCRIBED_LEVEL", "default": "high"}]}]}`)
	out, errs, exit := w.trying(t, "--json", filepath.Join(w.home, "server.json"))
	var r trial.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("exit status %d, %v: %s", exit, err, errs)
	}
	if s := r.Subject; !r.Conversation.Opened || s.Version != "1.2.0" || !slices.Equal(s.Variables, []string{"DESCRIBED_KEY", "DESCRIBED_LEVEL"}) || s.Command[len(s.Command)-1] != "--quiet" {
		t.Errorf("exit status %d: %+v", exit, s)
	}
	for name, text := range map[string]string{"other.json": `{"name": "io.github.x/y", "packages": [{"registryType": "oci", "identifier": "x/y"}]}`, "none.json": `{"a": 1}`, "unversioned.json": `{"name": "io.github.x/y", "packages": [{"registryType": "npm", "identifier": "described-server", "transport": {"type": "stdio"}}]}`, "broken.json": `{`} {
		w.write(t, name, text)
		if out, errs, exit := w.trying(t, filepath.Join(w.home, name)); exit != 2 || out != "" || strings.Count(errs, "error:") != 1 || strings.HasPrefix(name, "unversioned") && !strings.Contains(errs, "npm:described-server is its newest") {
			t.Errorf("%s: exit status %d: %s%s", name, exit, out, errs)
		}
	}
}

// A person's first command line has a small mistake, and the hint is the right one.
func TestTryHints(t *testing.T) {
	w := triedWorld(t)
	for typed, hint := range map[string]string{
		"@modelcontextprotocol/server-memory": "mcpen try npm:@modelcontextprotocol/server-memory\n",
		"mcp-server-time":                     "mcpen try npm:mcp-server-time, or pypi:mcp-server-time",
		"python3 server.py":                   "mcpen try -- python3 server.py",
		"--scripts -- python3 server.py":      "mcpen try --scripts npm:NAME",
		"https://example.com/a/b":             "mcpen try npm:NAME",
		"filesystm":                           `did you mean "filesystem"?`,
	} {
		if out, errs, exit := w.trying(t, strings.Fields(typed)...); exit != 2 || out != "" || !strings.Contains(errs, "hint: "+hint) {
			t.Errorf("%s: exit status %d: %s%s", typed, exit, out, errs)
		}
	}
}

// A package that cannot be installed is one clear error: nothing of it is tried or kept,
// and it is installed once it can be.
func TestTryDoesNotInstall(t *testing.T) {
	w := triedWorld(t)
	long := time.Now().AddDate(-1, 0, 0)
	w.reg.Publish("broken-server", "1.0.0", long, map[string]any{"bin": "cli.js", "dependencies": map[string]string{"not-there": "^1.0.0", "words": "^1.0.0"}}, map[string]string{"cli.js": serverScript})
	for _, what := range []string{"npm:broken-server", "npm:nobody-published-this"} {
		out, errs, exit := w.trying(t, what)
		if exit == 0 || exit == 3 || out != "" || strings.Count(errs, "error:") != 1 {
			t.Errorf("%s: exit status %d: %s%s", what, exit, out, errs)
		}
	}
	if locks, err := filepath.Glob(filepath.Join(w.home, ".local/state/mcpen/try/*")); err != nil || len(locks) > 0 {
		t.Errorf("locks are left: %v, %v", locks, err)
	}
	w.reg.Publish("not-there", "1.0.0", long, map[string]any{"main": "a.js"}, map[string]string{"a.js": ""})
	w.reg.Publish("words", "1.0.0", long, map[string]any{"main": "words.js"}, map[string]string{"words.js": "module.exports = 'words'\n"})
	if out, errs, exit := w.trying(t, "npm:broken-server"); exit != 0 || !strings.Contains(out, "1 tool") {
		t.Errorf("mended: exit status %d: %s%s", exit, out, errs)
	}
	w.nothingLeft(t)
}
