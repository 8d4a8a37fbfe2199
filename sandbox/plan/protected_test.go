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

// VFAT opens a long name by a short one too, whatever makes it long: then a server that may
// not write "docker-compose.yml" may not write "DOCKER~1.YML". A name that fits has no other.
func TestShortNamesOfAllLengths(t *testing.T) {
	for _, c := range []struct{ element, short, want string }{
		{"docker-compose.yml", "docker~1.yml", "docker-compose.yml"}, // long before the dot alone
		{"abcdefghi.yml", "abcdef~1.yml", "abcdefghi.yml"},           // by one
		{"a.json", "a~1.jso", "a.json"},                              // long behind the dot alone
		{".vscode", "vscode~1", ".vscode"},                           // short, and begins with a dot
		{"abcdefgh.yml", "abcdef~1.yml", "abcdef~1.yml"},             // fits
		{"docker-compose.yml", "dock12~1.yml", "dock12~1.yml"},
		{"docker-compose.yml", "do1a2b~5.yml", "docker-compose.yml"}, // the fifth of its kind
		{"docker-compose.yml", "docker~.yml", "docker~.yml"},
		{"docker-compose.yml", "docker~x.yml", "docker~x.yml"},
	} {
		s := shorts{}
		s.add(c.element)
		if got := s.long(c.short); got != c.want {
			t.Errorf("with %q, %q is %q, want %q", c.element, c.short, got, c.want)
		}
	}
}
