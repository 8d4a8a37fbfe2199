package server

import (
	"os"
	"path/filepath"
	"testing"

	"mcpen/sandbox/locked"
	"mcpen/sandbox/user"
)

// A path or a package names the log, the lock and the pins of that server and of no
// other.
func TestNamed(t *testing.T) {
	home := t.TempDir()
	c := &Caller{Packages: locked.Packages{Person: user.Person{Env: []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home}, Passwd: "/nonexistent", Machine: "/nonexistent"}}}
	at, err := c.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	profiles := filepath.Join(at.Config, "profiles")
	repo := filepath.Join(home, "repo", ".mcpen")
	for file, text := range map[string]string{
		filepath.Join(profiles, "notes.toml"):       "version = 1\n[server]\ncommand = [\"true\"]\n",
		filepath.Join(profiles, "demo.toml"):        "version = 1\n[server]\npackage = \"npm:@scope/demo\"\n",
		filepath.Join(repo, "notes.toml"):           "version = 1\n[server]\ncommand = [\"true\"]\n",
		filepath.Join(repo, "broken.toml"):          "version = 1\nnonsense\n",
		filepath.Join(home, "repo", ".git", "HEAD"): "ref: refs/heads/main\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	apart := func(name string) string {
		return identityOf(t, c, at, name, filepath.Join(repo, name+".toml"))
	}
	for word, want := range map[string]Named{
		"notes":                                {Name: "notes", Profile: "notes", Lock: filepath.Join(profiles, "notes.lock")},
		"nobody":                               {Name: "nobody", Lock: filepath.Join(profiles, "nobody.lock")},
		"npm:@scope/demo":                      {Name: "demo", Profile: "demo", Lock: filepath.Join(profiles, "demo.lock")},
		"npm:@scope/demo@^1.2":                 {Name: "demo", Profile: "demo", Lock: filepath.Join(profiles, "demo.lock")},
		"npm:@other/demo":                      {Name: "other-demo", Lock: filepath.Join(profiles, "other-demo.lock")},
		filepath.Join(profiles, "notes.toml"):  {Name: "notes", ByFile: true, Profile: filepath.Join(profiles, "notes.toml"), Lock: filepath.Join(profiles, "notes.lock")},
		filepath.Join(repo, "notes.toml"):      {Name: apart("notes"), ByFile: true, Profile: filepath.Join(repo, "notes.toml"), Lock: filepath.Join(repo, "notes.lock")},
		filepath.Join(repo, "notes.lock"):      {Name: apart("notes"), ByFile: true, Profile: filepath.Join(repo, "notes.toml"), Lock: filepath.Join(repo, "notes.lock")},
		filepath.Join(repo, "notes.pins"):      {Name: apart("notes"), ByFile: true, Profile: filepath.Join(repo, "notes.toml"), Lock: filepath.Join(repo, "notes.lock")},
		filepath.Join(repo, "broken.toml"):     {Name: apart("broken"), ByFile: true, Profile: filepath.Join(repo, "broken.toml"), Lock: filepath.Join(repo, "broken.lock")},
		filepath.Join(repo, "absent.lock"):     {Name: "absent", ByFile: true, Lock: filepath.Join(repo, "absent.lock")},
		filepath.Join(profiles, "nobody.pins"): {Name: "nobody", ByFile: true, Lock: filepath.Join(profiles, "nobody.lock")},
	} {
		if got, err := c.Named(at, word); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", word, got, err, want)
		}
	}
	if _, err := c.Named(at, "npm:"); err == nil {
		t.Error("a reference to no package names a server")
	}
}

// identityOf is the mark of a repository's server against the person's of the same
// name.
func identityOf(t *testing.T, c *Caller, at user.Dirs, name, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil || len(data) == 0 {
		t.Fatal(err)
	}
	n, err := c.Named(at, file)
	if err != nil || n.Name == name || len(n.Name) != len(name)+len("@1f8e2a07") {
		t.Fatalf("%s is called %q, %v", file, n.Name, err)
	}
	return n.Name
}
