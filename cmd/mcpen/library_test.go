package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/profiles"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/explain"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// Somebody who writes npx in front of a package means its server, with the rights that
// the library has for it; a stranger's package of the same name has none of them.
func TestAPackageRunsByTheProfileThatShipsForIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"@modelcontextprotocol/server-filesystem", "@stranger/server-filesystem", "filesystem"} {
			w.server(name, "1.0.0", longAgo(), nil, nil)
		}
		for _, dir := range []string{"docs", "work"} {
			w.write(t, dir+"/notes.md", "notes")
		}
		docs, work := filepath.Join(w.home, "docs"), filepath.Join(w.home, "work")
		const says = `runs by the profile "filesystem"`
		w.want(t, "0", "changes   "+docs, "explain", "npm:@modelcontextprotocol/server-filesystem", "--", docs)
		w.want(t, "0", "changes   "+work, "explain", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem@latest", docs, work)
		w.want(t, "0", says, "explain", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", docs)
		w.want(t, "0", "changes   "+docs, "explain", "--profile", "filesystem", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", docs)
		w.want(t, "0", "changes   "+work, "explain", "--set", "dirs="+work, "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", docs)
		w.want(t, "2", "params.dirs: is not given", "explain", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem")
		for _, stranger := range []string{"@stranger/server-filesystem", "filesystem"} {
			_, out := w.ends(t, "explain", "--", "npx", "-y", stranger, docs)
			if !strings.Contains(out, "no file of yours") || strings.Contains(out, "profiles/filesystem.toml") || strings.Contains(out, says) {
				t.Errorf("%s has the profile of another package:\n%s", stranger, out)
			}
		}

		// It is locked under the profile's name, whichever way it was named.
		w.want(t, "0", "locked npm:@modelcontextprotocol/server-filesystem 1.0.0", "add", "npm:@modelcontextprotocol/server-filesystem")
		if _, err := os.Stat(filepath.Join(w.home, configDir, "filesystem.lock")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(w.home, configDir, "filesystem.toml")); err == nil {
			t.Error("add wrote a profile over the one that ships")
		}
		w.want(t, "0", docs, "explain", "filesystem", "--set", "dirs="+docs)
		c, said := w.run(t, "npm:@modelcontextprotocol/server-filesystem", "--", docs)
		if c.cmd.Process.Kill(); !strings.Contains(said.String(), says) {
			t.Errorf("run does not say whose profile it is: %s", said)
		}

		// The person's own profile of that name goes first, and mcpen reports its
		// mistakes.
		w.write(t, configDir+"/filesystem.toml", "version = 1\nname = \"filesystem\"\nextends = [\"filesystem\"]\n[filesystem]\nread = [\""+work+"\"]\n")
		w.want(t, "0", "reads     "+work, "explain", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", docs)
		w.write(t, configDir+"/filesystem.toml", "version = 1\nname = \"filesystem\"\nextend = [\"filesystem\"]\n")
		w.want(t, "2", "extend: unknown key", "explain", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", docs)
		w.write(t, configDir+"/filesystem.toml", "version = 1\nname = \"filesystem\"\n[server]\npackage = \"npm:@stranger/server-filesystem\"\n[filesystem]\nread = [\""+work+"\"]\n")
		_, out := w.ends(t, "explain", "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", docs)
		if !strings.Contains(out, "no file of yours") || strings.Contains(out, "reads     "+work) {
			t.Errorf("it has the rights of another package:\n%s", out)
		}
	})
}

// The library is read before it is run: explain has words for each profile.
func TestExplainHasWordsForTheWholeLibrary(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "work")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a := &app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Env: []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, Passwd: passwd, Machine: machine}}}}
	at, err := a.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range profiles.Names() {
		p, err := catalog.Profile(at, name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Package() == "" {
			continue
		}
		params := map[string][]string{}
		for _, q := range p.Params {
			switch {
			case q.Optional:
			case q.Type == policy.ParamFile:
				params[q.Name] = []string{file}
			case q.Type == policy.ParamDirectory:
				params[q.Name] = []string{dir}
			default:
				params[q.Name] = []string{"example.com:443"}
			}
		}
		prepared, err := a.Prepare(t.Context(), server.Words{Profile: name, Params: params, Workspace: dir, Look: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b strings.Builder
		if err := explain.Text(&b, prepared.Plan, prepared.Program, prepared.Policy.Description, p.Package()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text := b.String(); !strings.HasPrefix(text, name+"\n") || !strings.Contains(text, p.Description) || !strings.Contains(text, p.Package()) {
			t.Errorf("%s is explained as\n%s", name, text)
		}
		prepared.Close()
	}
}
