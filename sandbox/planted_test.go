package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/audit"
)

// What appears in a writable folder in the place of something that code outside
// trusts is executed by the next git command, editor or client (CVE-2026-25725).
// It has to be gone when the server is, wherever in the folder it was made.
func TestPlantedPlacesAreTakenAway(t *testing.T) {
	s := everybody(t)
	project := s.World.Project
	p := hostilePlan(t, s)
	p.Process.Path, p.Process.Dir = "/bin/sh", project
	p.Process.Args = []string{"sh", "-c", `
		echo '{}' > .mcp.json
		mkdir .idea && echo x > .idea/workspace.xml
		mkdir -p deep/.git/hooks && echo x > deep/.git/hooks/pre-commit
		mv sub moved && mkdir -p sub/.git/hooks && echo x > sub/.git/hooks/pre-commit
		mkdir stash && mv stash .cursor
		ln -s /etc/passwd .envrc
		mkdir -p node_modules/.bin stash/.git && mv stash away
		echo kept > result`}
	planted := map[string]bool{}
	for _, e := range runBox(t, s, p) {
		if e.Kind == audit.KindPlanted {
			planted[strings.TrimPrefix(e.Subject, project+"/")] = true
		}
	}
	for _, name := range []string{".mcp.json", ".idea", "deep/.git", "sub/.git", ".cursor", ".envrc", "node_modules/.bin"} {
		if _, err := os.Lstat(filepath.Join(project, name)); err == nil {
			t.Errorf("%s was planted and is there", name)
		}
		if !planted[name] {
			t.Errorf("%s was planted and nobody was told: %v", name, planted)
		}
	}
	// Where the folder around it moves meanwhile, it is told under either name.
	for _, name := range []string{"stash/.git", "away/.git"} {
		if _, err := os.Lstat(filepath.Join(project, name)); err == nil {
			t.Errorf("%s was planted and is there", name)
		}
	}
	if !planted["stash/.git"] && !planted["away/.git"] {
		t.Errorf("stash/.git was planted and nobody was told: %v", planted)
	}
	// What was there before stays, and what is no such place too.
	for _, name := range []string{".git/config", ".vscode/tasks.json", "moved/.git/config", "result"} {
		if _, err := os.Lstat(filepath.Join(project, name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}
