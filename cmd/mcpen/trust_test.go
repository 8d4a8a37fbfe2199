package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
)

// A pull request can lock a package that is an hour old: who is asked to trust it sees
// that before anything else of the lock.
func TestTrustShowsAYoungLock(t *testing.T) {
	for age, want := range map[time.Duration]string{
		time.Hour:           "locks      npm:demo 1.0.0, published 1h ago",
		40 * 24 * time.Hour: "locks      npm:demo 1.0.0, published 40d ago",
	} {
		a, at, file := repository(t)
		lock := pack.Lock{Form: pack.LockVersion, Package: "npm:demo", Version: "1.0.0", Registry: "https://registry.example/", Integrity: integrity,
			Published: time.Now().Add(-age).UTC().Truncate(time.Second), Locked: time.Now().UTC().Truncate(time.Second),
			Dependencies: []pack.Dependency{{Path: "node_modules/demo", Name: "demo", Version: "1.0.0", Integrity: integrity}}}
		data, err := lock.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(strings.TrimSuffix(file, ".toml")+".lock", data, 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		a.showEvidence(&out, at, gathered(t, a, at, file))
		if !strings.Contains(out.String(), want) {
			t.Errorf("not shown: %q\n%s", want, out.String())
		}
	}
}

const integrity = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="

// What mcpen itself writes at the person's word is trusted when what was there before
// is; what anybody else writes meanwhile is not.
func TestTrustGoesOnWhatMcpenWrites(t *testing.T) {
	a, at, file := repository(t)
	pins := strings.TrimSuffix(file, ".toml") + ".lock"
	e := gathered(t, a, at, file)
	if _, err := a.gate(at, false, choice{}, resolved{profile: e.profile}); err == nil {
		t.Fatal("not trusted, and let through")
	}
	if err := trust(at, e); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, choice{}, resolved{profile: e.profile}); err != nil {
		t.Fatalf("trusted, and not let through: %v", err)
	}
	write := func() error { return os.WriteFile(pins, []byte("lock = 1\n"), 0o600) }
	if err := a.keepTrustBeside(at, pins, write); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, choice{}, resolved{profile: e.profile}); err != nil {
		t.Errorf("what mcpen wrote is not trusted: %v", err)
	}
	if err := os.WriteFile(pins, []byte("lock = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.keepTrustBeside(at, pins, write); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, choice{}, resolved{profile: e.profile}); err != nil {
		t.Errorf("the same as before is not trusted: %v", err)
	}
	if err := os.WriteFile(pins, []byte("lock = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	more := func() error { return os.WriteFile(pins, []byte("lock = 4\n"), 0o600) }
	if err := a.keepTrustBeside(at, pins, more); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, choice{}, resolved{profile: e.profile}); err == nil {
		t.Error("what was changed by somebody else became trusted with a change of mcpen's")
	}
}

// repository is a home and, beside it, a repository with a profile.
func repository(t *testing.T) (*app, place, string) {
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
	a := &app{env: []string{"HOME=" + filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=" + dir}}
	at, err := a.place()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	a.in, a.out, a.err = null, null, null
	return a, at, file
}

func gathered(t *testing.T, a *app, at place, file string) evidence {
	t.Helper()
	data, err := readProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := a.gather(at, p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A machine's minimum age holds for a package that nobody wrote a profile for.
func TestBaselineHoldsWhereThereIsNoProfile(t *testing.T) {
	a, at, _ := repository(t)
	was := machine
	t.Cleanup(func() { machine = was })
	for text, want := range map[string]time.Duration{"": policy.DefaultMinAge, "[install]\nmin-age = \"14d\"\n": 14 * 24 * time.Hour} {
		machine = t.TempDir()
		if err := os.WriteFile(baselineFile(), []byte("version = 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		rules, err := a.installRules(at, "demo")
		if err != nil || rules.MinAge != want {
			t.Errorf("with %q: %v, %v", text, rules.MinAge, err)
		}
	}
}

// Whoever writes a thousand harmless things must not move the one that counts out of
// sight.
func TestTrustShowsTheWorstAmongMany(t *testing.T) {
	a, at, file := repository(t)
	var reads []string
	for i := range 1000 {
		reads = append(reads, fmt.Sprintf("%q", fmt.Sprintf("/srv/%d", i)))
	}
	text := "version = 1\n[filesystem]\nread = [" + strings.Join(reads, ", ") + "]\n[env]\nsecret = { X = \"command:steal\\u001b[2J\" }\n[require]\nwithout = [\"seccomp\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	a.showEvidence(&out, at, gathered(t, a, at, file))
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
