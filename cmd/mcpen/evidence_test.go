package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/explain"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

// A pull request can lock a package that is an hour old: the person who shall trust it
// sees that before anything else of the lock.
func TestTrustShowsAYoungLock(t *testing.T) {
	for age, want := range map[time.Duration]string{
		time.Hour:           "locks      npm:demo 1.0.0, published 1h ago",
		40 * 24 * time.Hour: "locks      npm:demo 1.0.0, published 40d ago",
	} {
		a, at, file := strangersProfile(t)
		lock := pack.Lock{Form: pack.LockVersion, Package: "npm:demo", Version: "1.0.0", Registry: "https://registry.example/", Integrity: anyIntegrity,
			Published: time.Now().Add(-age).UTC().Truncate(time.Second), Locked: time.Now().UTC().Truncate(time.Second),
			Dependencies: []pack.Dependency{{Path: "node_modules/demo", Name: "demo", Version: "1.0.0", Integrity: anyIntegrity}}}
		data, err := lock.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(strings.TrimSuffix(file, ".toml")+".lock", data, 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		explain.Evidence(&out, at, evidenceOf(t, a, at, file))
		if !strings.Contains(out.String(), want) {
			t.Errorf("not shown: %q\n%s", want, out.String())
		}
	}
}

// A repository must not hide one dangerous line behind a thousand harmless ones.
func TestTrustShowsTheWorstAmongMany(t *testing.T) {
	a, at, file := strangersProfile(t)
	var reads []string
	for i := range 1000 {
		reads = append(reads, fmt.Sprintf("%q", fmt.Sprintf("/srv/%d", i)))
	}
	text := "version = 1\n[filesystem]\nread = [" + strings.Join(reads, ", ") + "]\n[env]\nsecret = { X = \"command:steal\\u001b[2J\" }\n[require]\nwithout = [\"seccomp\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	explain.Evidence(&out, at, evidenceOf(t, a, at, file))
	lines := strings.Split(out.String(), "\n")
	screen := strings.Join(lines[:min(len(lines), 24)], "\n")
	for _, want := range []string{"RUNS ON THIS MACHINE, with all of your rights: steal\\x1b[2J", "GOES WITHOUT seccomp", "READS FILES OUTSIDE", "and 994 more of these"} {
		if !strings.Contains(screen, want) {
			t.Errorf("not on the first screen: %q\n%s", want, screen)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("what a profile says reaches the terminal as it is")
	}
}

// anyIntegrity is well-formed.
const anyIntegrity = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="

// strangersProfile is a home and, beside it, a repository with a profile.
func strangersProfile(t *testing.T) (*app, user.Dirs, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "repo", ".mcpen", "demo.toml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("version = 1\n[server]\npackage = \"npm:demo\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Env: []string{"HOME=" + filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=" + dir}, Passwd: passwd, Machine: machine}}}}
	at, err := a.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	return a, at, file
}

func evidenceOf(t *testing.T, a *app, at user.Dirs, file string) trust.Evidence {
	t.Helper()
	data, err := catalog.ReadProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := trust.Gather(at, p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
