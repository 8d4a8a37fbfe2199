package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/policy"
)

// If mcpen itself writes a file at the person's word, the new state is trusted if the
// old one was. Another program's write in between is not.
func TestTrustGoesOnWhatMcpenWrites(t *testing.T) {
	a, at, file := repository(t)
	pins := strings.TrimSuffix(file, ".toml") + ".lock"
	e := gathered(t, a, at, file)
	if _, err := a.gate(at, false, Words{}, Resolved{profile: e.Profile}); err == nil {
		t.Fatal("not trusted, and let through")
	}
	if err := Trust(at, e); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, Words{}, Resolved{profile: e.Profile}); err != nil {
		t.Fatalf("trusted, and not let through: %v", err)
	}
	write := func() error { return os.WriteFile(pins, []byte("lock = 1\n"), 0o600) }
	if err := a.KeepTrustBeside(at, pins, write); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, Words{}, Resolved{profile: e.Profile}); err != nil {
		t.Errorf("what mcpen wrote is not trusted: %v", err)
	}
	if err := os.WriteFile(pins, []byte("lock = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.KeepTrustBeside(at, pins, write); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, Words{}, Resolved{profile: e.Profile}); err != nil {
		t.Errorf("the same as before is not trusted: %v", err)
	}
	if err := os.WriteFile(pins, []byte("lock = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	more := func() error { return os.WriteFile(pins, []byte("lock = 4\n"), 0o600) }
	if err := a.KeepTrustBeside(at, pins, more); err != nil {
		t.Fatal(err)
	}
	if _, err := a.gate(at, false, Words{}, Resolved{profile: e.Profile}); err == nil {
		t.Error("what was changed by somebody else became trusted with a change of mcpen's")
	}
}

// repository is a home and, beside it, a repository with a profile.
func repository(t *testing.T) (*Caller, Dirs, string) {
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
	a := &Caller{Env: []string{"HOME=" + filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=" + dir}, Passwd: "/nonexistent", Machine: "/nonexistent"}
	at, err := a.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	a.Err = null
	return a, at, file
}

func gathered(t *testing.T, a *Caller, at Dirs, file string) Evidence {
	t.Helper()
	data, err := ReadProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := a.Gather(at, p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A machine's minimum age also holds for a package without any profile.
func TestBaselineHoldsWhereThereIsNoProfile(t *testing.T) {
	a, at, _ := repository(t)
	for text, want := range map[string]time.Duration{"": policy.DefaultMinAge, "[install]\nmin-age = \"14d\"\n": 14 * 24 * time.Hour} {
		a.Machine = t.TempDir()
		if err := os.WriteFile(a.baselineFile(), []byte("version = 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		rules, err := a.InstallRules(at, "demo")
		if err != nil || rules.MinAge != want {
			t.Errorf("with %q: %v, %v", text, rules.MinAge, err)
		}
	}
}
