package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
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
	if s := r.Subject; !r.Conversation.Opened || s.Version != "1.2.0" || !slices.Equal(s.Variables, []string{"DESCRIBED_KEY", "DESCRIBED_LEVEL"}) || strings.Count(strings.Join(s.Command, " "), "--quiet") != 1 {
		t.Errorf("exit status %d: %+v", exit, s)
	}
	// Arguments stand as in a run, once, and in the profile: those of the description or of
	// a profile, and then the person's.
	w.write(t, configDir+"/described.toml", "version = 1\nname = \"described\"\n[server]\npackage = \"npm:described-server\"\nargs = [\"--quiet\"]\n")
	for i, what := range []string{filepath.Join(w.home, "server.json"), "described"} {
		file := filepath.Join(w.home, fmt.Sprintf("written%d.toml", i))
		out, errs, exit := w.trying(t, "--json", "--write", file, what, "--", "more")
		var r trial.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("exit status %d, %v: %s", exit, err, errs)
		}
		if c := r.Subject.Command; !strings.HasSuffix(strings.Join(c, " "), ".js --quiet more") || !strings.Contains(r.Profile, `args = ["--quiet", "more"]`) {
			t.Errorf("%s: it was called %q, and its profile is\n%s", what, c, r.Profile)
		}
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

// notInstalled is the report of a package that did not install.
func (w *world) notInstalled(t *testing.T, args ...string) (r trial.Report, errs string) {
	t.Helper()
	out, errs, exit := w.trying(t, append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%q: exit status %d, %v: %s", args, exit, err, errs)
	}
	if want := map[trial.Level]int{trial.Amber: 0, trial.Red: 3}[r.Verdict.Level]; exit != want || r.Install == nil || strings.Contains(errs, "error:") || len(r.Processes) > 0 {
		t.Fatalf("%q: exit status %d, %s: %+v, %+v: %s", args, exit, r.Verdict.Level, r.Verdict.Reasons, r.Install, errs)
	}
	return r, errs
}

// broken are packages that the registry has and that do not install, with a word of why.
func (w *world) broken() map[string]string {
	long := time.Now().AddDate(-1, 0, 0)
	cli := map[string]string{"cli.js": serverScript}
	w.reg.Publish("lacks-a-dependency", "1.2.0", long, map[string]any{"bin": "cli.js", "license": "MIT", "dependencies": map[string]string{"not-there": "^1.0.0"}}, cli)
	w.reg.Publish("has-a-torn-archive", "1.2.0", long, map[string]any{"bin": "cli.js"}, nil).Tarball = []byte("no archive")
	w.reg.Publish("for-another-system", "1.2.0", long, map[string]any{"bin": "cli.js", "os": []string{"win32"}}, cli)
	w.reg.Publish("for-another-runtime", "1.2.0", long, map[string]any{"bin": "cli.ts"}, map[string]string{"cli.ts": "#!/usr/bin/env -S deno run\n"})
	return map[string]string{"lacks-a-dependency": "not-there", "has-a-torn-archive": "archive", "for-another-system": "latform",
		"for-another-runtime": "deno"}
}

// A package that does not install has a report, with the reason and the installer's words.
// The trial keeps nothing of it, and the next one tries again.
func TestTryDoesNotInstall(t *testing.T) {
	w := triedWorld(t)
	for name, why := range w.broken() {
		r, errs := w.notInstalled(t, "npm:"+name)
		first := r.Verdict.Reasons[0]
		if first.Level != trial.Amber || first.Code != "no-install" || !strings.Contains(first.Text, "it did not install: ") || !strings.Contains(first.Text, why) {
			t.Errorf("%s: the first reason is %+v", name, first)
		}
		if s := r.Subject; s.Name != "npm:"+name || s.Version != "1.2.0" || s.Published == "" || r.Conversation.Opened {
			t.Errorf("%s: %+v: %s", name, s, errs)
		}
	}
	r, _ := w.notInstalled(t, "npm:lacks-a-dependency")
	if in := r.Install; !slices.Contains(in.Asked, "not-there") || strings.Contains(in.Words, "Log files") || !strings.Contains(in.Words, "404") || strings.Contains(in.Words, w.home) || r.Subject.License != "MIT" {
		t.Errorf("%+v, %+v", in, r.Subject)
	}
	if locks, err := filepath.Glob(filepath.Join(w.home, ".local/state/mcpen/try/*lacks-a-dep*")); err != nil || len(locks) > 0 {
		t.Errorf("locks are left: %v, %v", locks, err)
	}
	w.reg.Publish("not-there", "1.0.0", time.Now().AddDate(-1, 0, 0), map[string]any{"main": "a.js"}, map[string]string{"a.js": ""})
	w.reg.Publish("words", "1.0.0", time.Now().AddDate(-1, 0, 0), map[string]any{"main": "words.js"}, map[string]string{"words.js": "module.exports = 'words'\n"})
	w.reg.Publish("lacks-a-dependency", "1.2.1", time.Now().AddDate(-1, 0, 0), map[string]any{"bin": "cli.js", "dependencies": map[string]string{"not-there": "^1.0.0", "words": "^1.0.0"}}, map[string]string{"cli.js": serverScript})
	if out, errs, exit := w.trying(t, "npm:lacks-a-dependency"); exit != 0 || !strings.Contains(out, "1 tool") {
		t.Errorf("mended: exit status %d: %s%s", exit, out, errs)
	}
	w.nothingLeft(t)
}

// An archive that would write outside of its package, if a careless tool unpacked it, is
// red by its name: nobody makes one by accident. What an archive that is only broken is, is
// amber (TestTryDoesNotInstall).
func TestTryHostileArchive(t *testing.T) {
	w := triedWorld(t)
	cli := tarEntry{"package/cli.js", tar.TypeReg, "", serverScript}
	for name, c := range map[string]struct {
		entries []tarEntry
		why     string
	}{
		"climbs-out":      {[]tarEntry{cli, {"package/../../.bashrc", tar.TypeReg, "", "id"}}, ".bashrc"},
		"names-a-place":   {[]tarEntry{cli, {w.home + "/.bashrc", tar.TypeReg, "", "id"}}, "is absolute"},
		"links-out":       {[]tarEntry{cli, {"package/keys", tar.TypeSymlink, "../../.ssh", ""}}, "keys"},
		"links-to-a-file": {[]tarEntry{cli, {"package/keys", tar.TypeLink, "../../../etc/passwd", ""}}, "/etc/passwd"},
	} {
		w.reg.Publish(name, "1.2.0", longAgo(), map[string]any{"bin": "cli.js"}, nil).Tarball = tarball(t, c.entries)
		r, _ := w.notInstalled(t, "npm:"+name)
		first := r.Verdict.Reasons[0]
		if first.Level != trial.Red || first.Code != "hostile-archive" || !strings.Contains(first.Text, "its archive would write outside of its package: ") || !strings.Contains(first.Text, c.why) || !r.Install.Hostile {
			t.Errorf("%s: the first reason is %+v", name, first)
		}
	}
	w.reg.Publish("words", "1.0.0", longAgo(), map[string]any{"main": "words.js"}, map[string]string{"words.js": "module.exports = 'words'\n"})
	w.reg.Publish("stays-inside", "1.2.0", longAgo(), map[string]any{"bin": "cli.js", "dependencies": map[string]string{"words": "^1.0.0"}}, nil).Tarball = tarball(t, []tarEntry{{"package/package.json", tar.TypeReg, "", `{"name":"stays-inside","version":"1.2.0","bin":"cli.js","dependencies":{"words":"^1.0.0"}}`}, cli})
	if out, errs, exit := w.trying(t, "npm:stays-inside"); exit != 0 || !strings.Contains(out, "1 tool") {
		t.Errorf("the twin: exit status %d: %s%s", exit, out, errs)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("../../.bashrc")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "id")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w.write(t, "sent.mcpb", b.String())
	if r, _ := w.notInstalled(t, "sent.mcpb"); r.Verdict.Reasons[0].Code != "hostile-archive" || r.Subject.Name != "sent.mcpb" {
		t.Errorf("the bundle: %+v, %+v", r.Subject, r.Verdict)
	}
	if _, err := os.Lstat(filepath.Join(w.home, ".bashrc")); err == nil {
		t.Error("it was written")
	}
	w.nothingLeft(t)
}

type tarEntry struct {
	name    string
	kind    byte
	to, has string
}

// tarball is an npm archive.
func tarball(t *testing.T, entries []tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	a := tar.NewWriter(z)
	for _, e := range entries {
		if err := a.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.to, Mode: 0o755, Size: int64(len(e.has))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(a, e.has)
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The report of a package that did not install is whole in each form, and a profile is
// not written for it.
func TestTryDoesNotInstallInEachForm(t *testing.T) {
	w := triedWorld(t)
	w.broken()
	out, errs, exit := w.trying(t, "--html", "r.html", "--write", "p.toml", "npm:lacks-a-dependency")
	for _, words := range []string{"npm:lacks-a-dependency 1.2.0", "AMBER\n", "! it did not install: ", "installer ", "reached   its registry, for 2 packages", "p.toml: nothing to write"} {
		if exit != 0 || !strings.Contains(out, words) {
			t.Errorf("exit status %d, without %q:\n%s%s", exit, words, out, errs)
		}
	}
	for _, words := range []string{"says", "starts", "decoys"} {
		if strings.Contains(out, "\n"+words+" ") {
			t.Errorf("nothing of it ran, and the report says what it %s:\n%s", words, out)
		}
	}
	if _, err := os.Lstat(filepath.Join(w.home, "p.toml")); err == nil {
		t.Error("a profile was written")
	}
	if page := w.read(t, "r.html"); !strings.Contains(page, "it did not install: ") || !strings.Contains(page, "404") || strings.Contains(page, "What it says") {
		t.Errorf("the page: %s", page)
	}
	if out, _, exit := w.trying(t, "--sarif", "--fail-on", "amber", "npm:lacks-a-dependency"); exit != 3 || !strings.Contains(out, `"try/no-install"`) {
		t.Errorf("exit status %d: %s", exit, out)
	}
	if out, errs, exit := w.trying(t, "npm:nobody-published-this"); exit != 127 || out != "" || strings.Count(errs, "error:") != 1 {
		t.Errorf("nobody has it: exit status %d: %s%s", exit, out, errs)
	}
}

// An install that hangs, floods or escapes its time ends, and the report says so.
func TestTryInstallWithoutEnd(t *testing.T) {
	w := triedWorld(t)
	w.server("hangs", "1.0.0", longAgo(), nil, nil)
	w.reg.Mu.Lock()
	w.reg.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/-/") {
			return false
		}
		<-r.Context().Done() // an archive that never comes
		return true
	}
	w.reg.Mu.Unlock()
	r, _ := w.notInstalled(t, "--limit", "8s", "npm:hangs")
	if first := r.Verdict.Reasons[0]; !strings.Contains(first.Text, "it did not end within 8s") {
		t.Errorf("%+v", first)
	}
	w.reg.Mu.Lock()
	w.reg.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done() // a registry that does not answer at all
		return true
	}
	w.reg.Mu.Unlock()
	if out, errs, exit := w.trying(t, "--limit", "3s", "npm:hangs"); exit != 125 || out != "" || !strings.Contains(errs, "within 3s") {
		t.Errorf("no registry: exit status %d: %s%s", exit, out, errs)
	}
	w.nothingLeft(t)
}

// A package of which an advisory says that it is malicious is red, and is not installed.
func TestTryMalicious(t *testing.T) {
	w := triedWorld(t)
	w.server("honest-server", "1.0.0", longAgo(), nil, nil)
	w.write(t, ".local/state/mcpen/osv/MAL-2026-1.json", `{"id": "MAL-2026-1", "summary": "steals keys", "affected": [{"package": {"ecosystem": "npm", "name": "words"}, "versions": ["1.0.0"]}]}`)
	r, _ := w.notInstalled(t, "npm:honest-server")
	if first := r.Verdict.Reasons[0]; r.Verdict.Level != trial.Red || first.Code != "malicious" || !strings.Contains(first.Text, "MAL-2026-1") {
		t.Errorf("%+v", r.Verdict)
	}
	if !slices.Contains(r.Subject.Dependencies, "words") {
		t.Errorf("%+v", r.Subject)
	}
}

// An install script that crashes, floods, hangs or forks away is reported with the rest,
// and ends with the trial.
func TestTryBrokenScripts(t *testing.T) {
	w := triedWorld(t)
	trials(t, map[string][2]string{ // the script, and a code of a reason
		"crashes": {"process.abort()", "script-failed"},
		"floods":  {"for (;;) require('fs').writeSync(1, Buffer.alloc(1 << 20))", "flood"},
		"hangs":   {"setInterval(() => {}, 1000)", "script-cut"},
		"away":    {"require('child_process').spawn('sleep', ['600'], {detached: true, stdio: 'ignore'}).unref()", "orphan"},
	}, func(t *testing.T, name string, want [2]string) {
		w.server(name, "1.0.0", longAgo(), map[string]any{"scripts": map[string]string{"install": "node script.js"}}, map[string]string{"script.js": want[0]})
		out, errs, exit := w.trying(t, "--json", "--call", "none", "--scripts", "--limit", "40s", "npm:"+name)
		var r trial.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("exit status %d, %v: %s", exit, err, errs)
		}
		if all := append(codes(r, trial.Red), codes(r, trial.Amber)...); !slices.Contains(all, want[1]) || !r.Conversation.Opened {
			t.Errorf("%+v, %+v", r.Verdict.Reasons, r.Conversation)
		}
	})
	w.nothingLeft(t)
}
