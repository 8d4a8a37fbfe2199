package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack/packtest"
)

// publish is a server without dependencies.
func (w *world) publish(name, version string, published time.Time, manifest map[string]any) *packtest.Release {
	m := map[string]any{"bin": "cli.js"}
	for k, v := range manifest {
		m[k] = v
	}
	script := strings.Replace(serverScript, "require('words')", "'words of a dependency'", 1)
	return w.reg.Publish(name, version, published, m, map[string]string{"cli.js": script})
}

func (w *world) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.home, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A stranger's package does not get the name of a server that is there already,
// and both can be had.
func TestPackagesOfOneNameLiveSideBySide(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"@acme/mcp", "@zeta/mcp", "@stranger/filesystem", "mcp"} {
			w.publish(name, "1.0.0", longAgo(), nil)
		}
		w.want(t, "0", "mcp.toml", "add", "npm:@acme/mcp")
		w.want(t, "0", "install npm:@acme/mcp", "log", "install") // who installs two asks which of them was refused
		w.want(t, "0", "zeta-mcp.toml", "add", "npm:@zeta/mcp")
		w.want(t, "0", "npm-mcp.toml", "add", "npm:mcp")
		for lock, name := range map[string]string{"mcp": "npm:@acme/mcp", "zeta-mcp": "npm:@zeta/mcp", "npm-mcp": "npm:mcp"} {
			if !strings.Contains(w.read(t, configDir+"/"+lock+".lock"), fmt.Sprintf("package = %q", name)) {
				t.Errorf("%s.lock does not lock %s", lock, name)
			}
			c, _ := w.run(t, name)
			leave(t, c)
		}
		w.holds(t, 3)
		// The name of a profile that ships is not to be had, by whatever way.
		w.want(t, "2", "a profile of another server", "add", "--name", "filesystem", "npm:@stranger/filesystem")
		w.want(t, "0", "stranger-filesystem.toml", "add", "npm:@stranger/filesystem")
		c, _ := w.run(t, "npm:@stranger/filesystem")
		leave(t, c)
		w.write(t, "docs/a", "")
		w.want(t, "0", "@modelcontextprotocol/server-filesystem", "explain", "--set", "dirs="+w.home+"/docs", "filesystem")
		for _, name := range []string{"filesystem.toml", "filesystem.lock"} {
			if _, err := os.Lstat(filepath.Join(w.home, configDir, name)); err == nil {
				t.Errorf("a stranger's package wrote %s", name)
			}
		}
	})
}

// nothingNewer is all that outdated says where one package is locked, and as new as may be.
const nothingNewer = "mcpen: note: no newer version of 1 package may be had\n"

// Every command that shows a version, and its start, must report that the registry
// withdrew it. A version that was deprecated when it was locked is no news.
func TestWithdrawnVersionIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("wd", "1.9.0", longAgo(), nil)
		rel := w.publish("wd", "2.0.0", longAgo().Add(time.Hour), nil)
		w.want(t, "0", "locked npm:wd 2.0.0", "add", "npm:wd")
		for name, do := range map[string]func(){
			"deprecated: SECURITY\\x1b": func() { rel.Manifest["deprecated"] = "SECURITY\x1b" },
			"withdrawn":                 func() { delete(w.reg.NPM["wd"], "2.0.0") },
		} {
			w.want(t, "0", "is the newest", "update", "wd")
			if _, said := w.ends(t, "outdated"); said != nothingNewer {
				t.Errorf("before: %q", said)
			}
			do()
			_, said := w.ends(t, "outdated")
			if !strings.HasPrefix(said, "! wd\tnpm:wd 2.0.0 was "+name) || !strings.Contains(said, "1.9.0 (lower)") {
				t.Errorf("outdated says %q", said)
			}
			if _, said := w.ends(t, "update", "wd"); !strings.HasPrefix(said, "! wd: npm:wd 2.0.0 was "+name) || strings.Contains(said, "is the newest") {
				t.Errorf("update says %q", said)
			}
			w.write(t, "osv/a.json", "{}")
			w.want(t, "0", "was "+name, "scan", "--db", filepath.Join(w.home, "osv"))
			c, out := w.run(t, "wd")
			leave(t, c)
			if strings.Count(out.String(), name) != 1 {
				t.Errorf("at the start: %q", out)
			}
			w.reg.NPM["wd"]["2.0.0"] = rel
			delete(rel.Manifest, "deprecated")
			w.want(t, "0", "", "outdated")
			c, out = w.run(t, "wd")
			leave(t, c)
			if strings.Contains(out.String(), "wd 2.0.0: ") {
				t.Errorf("it is told of after it was taken back: %q", out)
			}
		}
		rel.Manifest["deprecated"] = "known"
		w.want(t, "0", "deprecated    known", "add", "--name", "known", "npm:wd@2.0.0")
		if _, said := w.ends(t, "outdated", "known"); said != nothingNewer {
			t.Errorf("what was known when it was locked is told again: %q", said)
		}
	})
}

// Versions are offered by their order: a mirror dates them by when it copied them,
// and a tag that was asked for stays the one that is followed.
func TestUpdateGoesByVersion(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("bp", "2.0.0", longAgo(), nil)
		w.want(t, "0", "", "add", "npm:bp")
		w.publish("bp", "1.9.9", longAgo().Add(time.Hour), nil) // the registry's own choice, and later
		w.want(t, "0", "(lower: the registry prefers it now)", "outdated", "bp")
		w.want(t, "0", "stays", "update", "--yes", "bp")
		w.publish("bp", "2.0.1", longAgo().Add(-time.Hour), nil)
		w.reg.Tags["bp"] = map[string]string{"latest": "2.0.1", "next": "3.0.0-rc.1"}
		w.want(t, "0", "2.0.0 → 2.0.1", "outdated", "bp")
		w.want(t, "0", "2.0.1", "update", "bp", "--yes")
		w.publish("bp", "3.0.0-rc.1", longAgo(), nil)
		w.want(t, "0", "locked npm:bp 3.0.0-rc.1", "add", "--name", "rc", "npm:bp@next")
		if _, said := w.ends(t, "outdated", "rc"); said != nothingNewer {
			t.Errorf("a tag is updated downwards: %q", said)
		}
		w.publish("bp", "3.0.0-rc.2", longAgo().Add(-time.Hour), nil)
		w.reg.Tags["bp"]["next"] = "3.0.0-rc.2"
		w.want(t, "0", "3.0.0-rc.1 → 3.0.0-rc.2", "outdated", "rc")
	})
}

// A fault of one lock, package or tree must not stop the others: mcpen examines, runs
// and repairs them.
func TestOneFaultStopsNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"aa", "bb", "cc"} {
			w.publish(name, "1.0.0", longAgo(), nil)
			w.want(t, "0", "", "add", "npm:"+name)
		}
		w.publish("cc", "1.1.0", longAgo().Add(time.Hour), nil)
		whole := w.read(t, configDir+"/aa.lock")
		w.write(t, configDir+"/aa.lock", "<<<<<<< HEAD\n"+whole)
		w.want(t, "2", "cc: ok", "verify")
		w.want(t, "2", "1.0.0 → 1.1.0", "outdated")
		w.want(t, "2", "nothing was removed", "gc")
		w.holds(t, 3)
		w.write(t, configDir+"/aa.lock", whole)
		gone := w.reg.NPM["aa"]
		delete(w.reg.NPM, "aa")
		w.want(t, "127", "1.0.0 → 1.1.0", "outdated")
		// One tree is damaged, and the tree that the registry no longer has is whole.
		trees, _ := filepath.Glob(filepath.Join(w.home, stateDir, "store/trees/*/tree/node_modules/bb/cli.js"))
		if len(trees) != 1 {
			t.Fatal(trees)
		}
		if err := os.Chmod(trees[0], 0o644); err != nil {
			t.Fatal(err)
		}
		w.want(t, "3", "mcpen verify --repair bb", "run", "bb")
		w.want(t, "0", "bb: fetched again", "verify", "--repair", "bb")
		for _, name := range []string{"aa", "bb"} {
			c, _ := w.run(t, name)
			leave(t, c)
		}
		w.reg.NPM["aa"] = gone

		// Nothing was verified is not verified.
		w.want(t, "0", "", "gc", "--all")
		w.want(t, "1", "nothing to verify", "verify", "aa")
		w.want(t, "0", "aa: ok", "verify", "--repair", "aa")
		var kept []string
		for line := range strings.Lines(whole) {
			if !strings.HasPrefix(line, "linux-") {
				kept = append(kept, line)
			}
		}
		w.write(t, configDir+"/aa.lock", strings.Join(kept, ""))
		w.want(t, "1", "nothing to verify", "verify", "aa")
	})
}

// mcpen refuses a lock that lies about its package also if the tree is here already,
// and a start reads the advisories once.
func TestLockIsJudgedOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.server("tiny", "1.0.0", longAgo(), nil, nil)
		w.want(t, "0", "", "add", "npm:tiny")
		lock := w.read(t, configDir+"/tiny.lock")
		w.write(t, configDir+"/tiny.lock", strings.Replace(lock, "path = \"node_modules/words\"\n", "path = \"node_modules/words\"\nname = \"harmless\"\n", 1))
		w.want(t, "3", "is locked as harmless", "run", "tiny")
		w.want(t, "3", "is locked as harmless", "verify")
		w.write(t, configDir+"/tiny.lock", lock)

		const record = `{"id":"MAL-2026-1","summary":"steals","affected":[{"package":{"ecosystem":"npm","name":"nobody"},"versions":["1.0.0"]}]}`
		db := filepath.Join(w.home, stateDir, "osv", "a.json")
		w.write(t, stateDir+"/osv/a.json", record)
		c, said := w.run(t, "tiny")
		leave(t, c)
		if strings.Contains(said.String(), "advisories") {
			t.Errorf("it said %q", said)
		}
		info, err := os.Stat(db)
		if err != nil {
			t.Fatal(err)
		}
		// To a program that does not parse it, the file looks the same.
		if err := os.WriteFile(db, []byte("{"+record[1:len(record)-1]+" "), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(db, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		c, said = w.run(t, "tiny")
		leave(t, c)
		if strings.Contains(said.String(), "advisories") {
			t.Errorf("a start read the advisories again: %q", said)
		}
		// mcpen reports an unreadable record and starts all the same; the scan fails.
		if err := os.Chtimes(db, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		c, said = w.run(t, "tiny")
		leave(t, c)
		if !strings.Contains(said.String(), "1 record of the advisories could not be used") {
			t.Errorf("it said %q", said)
		}
		w.want(t, "1", "a.json", "scan")
		w.write(t, stateDir+"/osv/b.json", strings.Replace(record, "nobody", "words", 1))
		w.want(t, "3", "words is malicious: MAL-2026-1: steals", "run", "tiny")
		w.want(t, "3", "words is malicious: MAL-2026-1: steals", "run", "tiny") // kept
		w.want(t, "3", "MALICIOUS", "scan")
	})
}

// A read-only store, such as one in an image, serves its packages.
func TestReadOnlyStoreRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if os.Geteuid() == 0 {
			t.Log("root writes everywhere: tried as the user")
			return
		}
		w.publish("tiny", "1.0.0", longAgo(), nil)
		w.want(t, "0", "", "add", "npm:tiny")
		store := filepath.Join(w.home, stateDir, "store")
		list, _ := filepath.Glob(store + "/trees/*/*")
		list = append(list, store+"/lock", store+"/stage", store+"/made", store+"/trees", store)
		more, _ := filepath.Glob(store + "/trees/*")
		for _, p := range append(more, list...) {
			info, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(p, info.Mode().Perm()&^0o222); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(store+"/x", nil, 0o600); err == nil {
			t.Fatal("the store can be written")
		}
		c, _ := w.run(t, "tiny")
		leave(t, c)
		w.want(t, "0", "tiny: ok", "verify")
	})
}

// add recognises a library before it locks it.
func TestLibraryIsNotAdded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.reg.Publish("onlylib", "1.0.0", longAgo(), nil, nil)
		w.want(t, "2", "it is a library", "add", "npm:onlylib")
		w.want(t, "2", "it is a library", "run", "npm:onlylib")
		if left, _ := os.ReadDir(filepath.Join(w.home, configDir)); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// A client configuration that starts eight servers of one new package at once gets
// all of them, and the archive comes once.
func TestEightAddsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("tiny", "1.0.0", longAgo(), nil)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { w.want(t, "0", "locked npm:tiny 1.0.0", "add", "npm:tiny") })
		}
		all.Wait()
		w.holds(t, 1)
	})
}

// A run does not change the lock that somebody reviewed: the tree of a platform that
// it does not name is kept elsewhere, and found again.
func TestRunLeavesTheLockAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("tiny", "1.0.0", longAgo(), nil)
		w.want(t, "0", "", "add", "npm:tiny")
		var other strings.Builder
		for line := range strings.Lines(w.read(t, configDir+"/tiny.lock")) {
			other.WriteString(strings.Replace(line, "linux-", "plan9-", 1))
		}
		w.write(t, configDir+"/tiny.lock", other.String())
		w.write(t, configDir+"/tiny.toml", "version = 1\nname = \"tiny\"\n[server]\npackage = \"npm:tiny\"\n[tools]\npins = \"off\"\n")
		c, _ := w.run(t, "tiny")
		leave(t, c)
		w.reg.Close()
		c, _ = w.run(t, "tiny")
		leave(t, c)
		w.want(t, "0", "", "gc")
		w.holds(t, 1)
		w.want(t, "0", "tiny: ok", "verify")
		if w.read(t, configDir+"/tiny.lock") != other.String() {
			t.Error("a run changed the lock")
		}
	})
}

// A server that cannot do without an install script says why it ends, and the way
// out that is offered works.
func TestServerThatNeedsItsInstallScript(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		needs := "#!/usr/bin/env node\nif (!require('fs').existsSync(__dirname + '/built')) process.exit(7)\n"
		w.reg.Publish("native", "1.0.0", longAgo(), map[string]any{"bin": "cli.js", "scripts": map[string]string{"install": "touch built"}, "hasInstallScript": true},
			map[string]string{"cli.js": needs})
		const hint = "hint: the install scripts of native were not run; if the server needs them: [install] scripts = [\"native\"], then mcpen remove native"
		w.want(t, "7", hint, "run", "npm:native")
		w.want(t, "7", hint, "run", "npm:native")
		w.write(t, configDir+"/native.toml", "version = 1\nname = \"native\"\n[server]\npackage = \"npm:native\"\n[install]\nscripts = [\"native\"]\n")
		w.want(t, "0", "removed", "remove", "native")
		w.want(t, "0", "", "run", "native")
	})
}

// A profile that bounds the version of its package is held to wherever a version
// is chosen, and a lock that is outside of it does not run.
func TestProfileBoundsTheVersion(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, v := range []string{"1.0.0", "1.2.0", "2.0.0"} {
			w.publish("bounded", v, longAgo(), nil)
		}
		w.reg.Tags["bounded"] = map[string]string{"latest": "2.0.0"}
		w.want(t, "0", "locked npm:bounded 1.2.0", "add", "npm:bounded@^1")
		if text := w.read(t, configDir+"/bounded.toml"); !strings.Contains(text, `package = "npm:bounded@^1"`) {
			t.Errorf("the profile does not say what was asked for:\n%s", text)
		}
		if said := w.read(t, configDir+"/bounded.lock"); !strings.Contains(said, "package = \"npm:bounded\"\nversion = \"1.2.0\"") {
			t.Errorf("lock:\n%s", said)
		}
		w.want(t, "0", "is the newest", "update", "bounded")
		if _, said := w.ends(t, "outdated"); said != nothingNewer {
			t.Errorf("outdated offers what the profile does not ask for: %q", said)
		}
		c, _ := w.run(t, "bounded")
		leave(t, c)
		w.publish("bounded", "1.3.0", longAgo(), nil)
		w.want(t, "0", "1.2.0 → 1.3.0", "outdated")
		w.want(t, "0", "1.2.0 -> 1.3.0", "update", "--yes", "bounded")

		// The profile changed: a version outside of its range does not run.
		w.write(t, configDir+"/bounded.toml", "version = 1\nname = \"bounded\"\n[server]\npackage = \"npm:bounded@1.0.x\"\n")
		w.want(t, "2", "locks version 1.3.0, and 1.0.x was asked for", "run", "bounded")
		w.want(t, "0", "1.3.0 → 1.0.0 (the profile asks for another version)", "outdated")
		w.want(t, "0", "1.3.0 -> 1.0.0", "update", "--yes", "bounded")
		c, _ = w.run(t, "bounded")
		leave(t, c)
		w.write(t, configDir+"/bounded.toml", "version = 1\nname = \"bounded\"\n[server]\npackage = \"npm:bounded@^7\"\n")
		w.want(t, "127", "no version in that range", "update", "--yes", "bounded")

		// Without a lock the first run chooses within the range, and add's profile goes
		// with the lock.
		w.want(t, "0", "locked npm:bounded 2.0.0", "add", "--name", "two", "npm:bounded@>=2")
		w.want(t, "0", "two.toml", "remove", "two")
		w.want(t, "2", "names no range of versions", "check", writeProfile(t, w, "bad", "npm:bounded@latest"))
		c, said := w.run(t, writeProfile(t, w, "first", "npm:bounded@1.2"))
		leave(t, c)
		if !strings.Contains(said.String(), "locked npm:bounded 1.2.0") {
			t.Errorf("the first run said %q", said)
		}
	})
}

// writeProfile writes a profile of a package, and gives its path.
func writeProfile(t *testing.T, w *world, name, pkg string) string {
	t.Helper()
	w.write(t, configDir+"/"+name+".toml", fmt.Sprintf("version = 1\nname = %q\n[server]\npackage = %q\n", name, pkg))
	return filepath.Join(w.home, configDir, name+".toml")
}

// An update's changes for the worse stand first and in red, whatever strangers wrote
// into names and licences.
func TestUpdateAlarmsInRed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("taken", "1.0.0", longAgo(), map[string]any{"_npmUser": map[string]string{"name": "alice"}})
		w.want(t, "0", "", "add", "npm:taken")
		w.publish("taken", "1.1.0", longAgo(), map[string]any{"_npmUser": map[string]string{"name": "mallory"}, "license": "MIT\n  nothing else changed",
			"hasInstallScript": true, "scripts": map[string]string{"postinstall": "true"}, "bin": map[string]string{"taken": "cli.js", "more": "cli.js"}})
		terminal, screen := pseudoTerminal(t)
		cmd := w.mcpen(t, "update", "--yes", "taken")
		cmd.Env = append(cmd.Env, "TERM=xterm")
		cmd.Stdout = terminal
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		terminal.Close()
		said, _ := io.ReadAll(screen) // ends with EIO, as a terminal does
		lines := strings.Split(strings.ReplaceAll(string(said), "\r\n", "\n"), "\n")
		red := 0
		for red < len(lines) && strings.HasPrefix(lines[red], "\x1b[1;31m! ") && strings.HasSuffix(lines[red], "\x1b[0m") {
			red++
		}
		if red != 3 || !strings.Contains(lines[0], "alice -> mallory") || strings.Count(string(said), "\x1b[1;31m") != red {
			t.Errorf("%d lines are red at the beginning of %q", red, said)
		}
		for _, line := range lines {
			if strings.HasPrefix(line, "  nothing else changed") {
				t.Error("a licence wrote a line")
			}
		}
		w.want(t, "0", "is the newest", "update", "taken")
	})
}

// pseudoTerminal is a terminal for a program, and the program's output on it (pts(4)).
func pseudoTerminal(t *testing.T) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return terminal, screen
}

// The JSON holds for every lock the facts that the text shows for some.
func TestLocksAsJSON(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("words", "1.0.0", longAgo(), nil)
		w.publish("quiet", "1.0.0", longAgo(), nil)
		w.want(t, "0", "", "add", "--name", "loud", "npm:words")
		w.want(t, "0", "", "add", "npm:quiet")
		w.publish("words", "1.1.0", longAgo(), nil)
		_, said := w.ends(t, "outdated", "--json")
		want := `[
  {
    "name": "loud",
    "package": "npm:words",
    "version": "1.0.0",
    "available": "1.1.0",
    "state": "newer"
  },
  {
    "name": "quiet",
    "package": "npm:quiet",
    "version": "1.0.0",
    "available": "1.0.0",
    "state": "current"
  }
]
`
		if said != want {
			t.Errorf("outdated: %s\nwant %s", said, want)
		}
		if _, said := w.ends(t, "verify", "--json", "quiet"); said != `[
  {
    "name": "quiet",
    "package": "npm:quiet",
    "version": "1.0.0",
    "ok": true
  }
]
` {
			t.Errorf("verify: %s", said)
		}
		w.want(t, "2", "two formats", "scan", "--json", "--format", "sarif")
	})
}

// answers runs a command line with --json, and reads its output.
func (w *world) answers(t *testing.T, into any, args ...string) {
	t.Helper()
	cmd := w.mcpen(t, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mcpen %v: %v: %s", args, err, &errs)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || d.More() {
		t.Fatalf("mcpen %v said %q on stdout: %v", args, out, err)
	}
}

// A script that adds, updates and explains reads one document on stdout, whatever
// messages people get beside it; and mcpen asks nobody.
func TestAddAndUpdateAsJSON(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("words", "1.0.0", longAgo(), map[string]any{"license": "MIT", "scripts": map[string]string{"postinstall": "true"}})
		var did map[string]any
		w.answers(t, &did, "add", "--json", "--name", "loud", "npm:words")
		dir := filepath.Join(w.home, configDir)
		for key, want := range map[string]any{"name": "loud", "package": "npm:words", "version": "1.0.0", "licence": "MIT",
			"lock": filepath.Join(dir, "loud.lock"), "profile": filepath.Join(dir, "loud.toml"), "scripts": []any{"postinstall: true"}} {
			if !reflect.DeepEqual(did[key], want) {
				t.Errorf("add: %s is %v, want %v", key, did[key], want)
			}
		}
		if n, _ := did["bytes"].(float64); n <= 0 {
			t.Errorf("add: bytes is %v", did["bytes"])
		}
		w.want(t, "2", "--json is for a package alone", "add", "--json", "--client", "claude", "npm:words")

		type change struct {
			Name, Package, Version, Available, State string
			Changes                                  map[string]any
			Locked                                   bool
		}
		var same, next []change
		w.answers(t, &same, "update", "--json")
		if !reflect.DeepEqual(same, []change{{Name: "loud", Package: "npm:words", Version: "1.0.0", Available: "1.0.0", State: "current"}}) {
			t.Errorf("update: %+v", same)
		}
		w.publish("words", "1.1.0", longAgo(), nil)
		w.want(t, "2", `"locked": false`, "update", "--json") // nobody to ask, and nothing is done
		w.answers(t, &next, "update", "--json", "--yes", "loud")
		if len(next) != 1 || !next[0].Locked || next[0].Available != "1.1.0" || next[0].Changes["old"] != "1.0.0" || next[0].Changes["new"] != "1.1.0" {
			t.Errorf("update: %+v", next)
		}
		w.answers(t, &same, "update", "--json")
		if len(same) != 1 || same[0].Version != "1.1.0" || same[0].Locked {
			t.Errorf("update again: %+v", same)
		}
	})
}

// A plan before the first run is the same document, and names its missing parts.
func TestExplainAsJSONBeforeAnInstall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("words", "1.0.0", longAgo(), nil)
		var before, after map[string]any
		w.answers(t, &before, "explain", "--json", "npm:words")
		w.want(t, "0", "", "add", "npm:words")
		w.answers(t, &after, "explain", "--json", "npm:words")
		if before["absent"] != "npm:words" || after["absent"] != nil {
			t.Errorf("absent is %v before and %v after", before["absent"], after["absent"])
		}
		for _, key := range []string{"version", "name", "process", "root", "network", "seccomp", "limits"} {
			if _, here := before[key]; here != (after[key] != nil) || !here {
				t.Errorf("before an install there is no %q", key)
			}
		}
	})
}

// After add, the person reads the profile's required values and the command that starts
// the server, before the first start fails for want of them.
func TestAddSaysWhatTheProfileNeeds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.publish("@modelcontextprotocol/server-filesystem", "1.0.0", longAgo(), nil)
		w.publish("quiet", "1.0.0", longAgo(), nil)
		w.want(t, "0", "start it with: mcpen run --set dirs=VALUE filesystem\n", "add", "npm:@modelcontextprotocol/server-filesystem")
		if _, said := w.ends(t, "add", "npm:quiet"); strings.Contains(said, "needs") {
			t.Errorf("of a server that asks for nothing it says %q", said)
		}
	})
}
