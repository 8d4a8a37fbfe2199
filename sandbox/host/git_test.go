package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mcpen/sandbox/plan"
)

// A repository's own settings must not count: its author would choose which of the
// user's other folders git trusts inside.
func TestGitSettingsAreTheUsers(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	home := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".gitconfig", "[safe]\n\tdirectory = /srv/a\n\tdirectory = /srv/b\n[user]\n\tname = A \xe9\n\temail = a@x\n[core]\n\tpager = less\n[alias]\n\tx = !touch "+home+"/ran\n")
	write("repo/.git/config", "[safe]\n\tdirectory = *\n")
	write("repo/.git/HEAD", "ref: refs/heads/main\n")
	t.Chdir(filepath.Join(home, "repo"))
	vars := []string{"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1"}
	set := func(name, value string) plan.Env { return plan.Env{Name: name, Value: value, At: "git config"} }
	want := []plan.Env{set("safe.directory", "/srv/a"), set("safe.directory", "/srv/b"), set("user.name", "A \xe9"), set("user.email", "a@x")}
	if got := Git(t.Context(), git, vars); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if err := os.Remove(filepath.Join(home, ".gitconfig")); err != nil {
		t.Fatal(err)
	}
	if got := Git(t.Context(), git, vars); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := Git(t.Context(), "/no/git", vars); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
