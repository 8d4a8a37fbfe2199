package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// If mcpen itself writes a file at the person's word, the new state is trusted if the
// old one was. Another program's write in between is not.
func TestTrustGoesOnWhatMcpenWrites(t *testing.T) {
	at, file := repository(t)
	pins := strings.TrimSuffix(file, ".toml") + ".lock"
	e := gathered(t, at, file)
	if _, err := Gate(at, nil, Start{}, e.Profile); err == nil {
		t.Fatal("not trusted, and let through")
	}
	if err := Keep(at, e); err != nil {
		t.Fatal(err)
	}
	if _, err := Gate(at, nil, Start{}, e.Profile); err != nil {
		t.Fatalf("trusted, and not let through: %v", err)
	}
	write := func() error { return os.WriteFile(pins, []byte("lock = 1\n"), 0o600) }
	if err := ChangeBeside(at, pins, write); err != nil {
		t.Fatal(err)
	}
	if _, err := Gate(at, nil, Start{}, e.Profile); err != nil {
		t.Errorf("what mcpen wrote is not trusted: %v", err)
	}
	if err := os.WriteFile(pins, []byte("lock = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ChangeBeside(at, pins, write); err != nil {
		t.Fatal(err)
	}
	if _, err := Gate(at, nil, Start{}, e.Profile); err != nil {
		t.Errorf("the same as before is not trusted: %v", err)
	}
	if err := os.WriteFile(pins, []byte("lock = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	more := func() error { return os.WriteFile(pins, []byte("lock = 4\n"), 0o600) }
	if err := ChangeBeside(at, pins, more); err != nil {
		t.Fatal(err)
	}
	if _, err := Gate(at, nil, Start{}, e.Profile); err == nil {
		t.Error("what was changed by somebody else became trusted with a change of mcpen's")
	}
}

// repository is a home and, beside it, a repository with a profile.
func repository(t *testing.T) (user.Dirs, string) {
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
	a := &user.Person{Env: []string{"HOME=" + filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=" + dir}, Passwd: "/nonexistent", Machine: "/nonexistent"}
	at, err := a.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	return at, file
}

func gathered(t *testing.T, at user.Dirs, file string) Evidence {
	t.Helper()
	data, err := catalog.ReadProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(file, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Gather(at, p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
