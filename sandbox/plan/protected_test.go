package plan

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// If a place drops out of the list, a server can plant code there that the person's own
// tools run.
func TestProtectedHoldsWhatTheDesignNames(t *testing.T) {
	for _, want := range []string{
		".git", ".vscode", ".idea", ".cursor", ".claude", ".codex", ".gemini", ".husky", ".mcp.json", ".mcpen", ".envrc",
		".bashrc", ".profile", ".zshrc", "node_modules", ".venv", "venv", "lefthook.yml", ".devcontainer.json", ".Rprofile", ".yarn/releases", ".github/copilot-instructions.md",
	} {
		if !slices.Contains(Protected, want) {
			t.Errorf("%q is not protected", want)
		}
	}
	for _, never := range []string{"src", "Makefile", "package.json", ".github", ".config", ".local"} {
		if slices.Contains(Protected, never) {
			t.Errorf("%q is protected; a server with write access works there", never)
		}
	}
}

func TestProtectedIsPlain(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range Protected {
		if seen[name] {
			t.Errorf("%q is there twice", name)
		}
		seen[name] = true
		if strings.HasPrefix(name, "/") || strings.Count(name, "/") > 2 || strings.Trim(name, "*./") == "" || path.Clean(name) != name {
			t.Errorf("%q is not a base name or a few", name)
		}
	}
}

// The rest of a protected name is a place to look for in a folder; that of a pattern is none.
func TestRestsOfProtectedNames(t *testing.T) {
	for base, want := range map[string]string{".config": "nvim", ".yarn": "plugins", "": "plugins"} {
		got := tails(base)
		if !slices.Contains(got, want) {
			t.Errorf("%q: %q lacks %q", base, got, want)
		}
		for _, rest := range got {
			if strings.Contains(rest, "*") {
				t.Errorf("%q: %q is a pattern", base, rest)
			}
		}
	}
	if got := tails("src"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
