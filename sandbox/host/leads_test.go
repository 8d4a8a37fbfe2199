package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// If the files of a home are links into a repository, a server that may write to the
// repository writes the code that the next shell, editor or git runs.
func TestLeadsOfAHome(t *testing.T) {
	home := t.TempDir()
	for _, line := range []string{
		".bashrc -> dot/bashrc", "dot/bashrc", ".zshrc -> dot/absent", ".bash_local -> dot/local", "dot/local", ".config/fish -> ../dot/fish", "dot/fish/config.fish",
		".config/nvim/init.lua -> ../../dot/init.lua", "dot/init.lua", ".vim -> way/vim", "way -> dot", "dot/vim/vimrc", ".config/systemd/user/a.service -> HOME/dot/a.service", "dot/a.service",
		".local/bin/tool -> ../../dot/tool", "dot/tool", "notes -> dot/notes", "dot/notes", ".profile",
		".gitconfig -> dot/gitconfig",
		"dot/gitconfig: [core]|hooksPath = .githooks|attributesFile = ~/dot/attributes|[include]|path = dot/more|[includeIf \"gitdir:~/x/\"]|path = HOME/dot/work|[alias]|a = !./tools/a.sh x|b = diff origin/main src/app|c = !git diff src/app|[diff \"x\"]|textconv = HOME/dot/conv",
		"dot/more: [core]|fsmonitor = tools/watch src/app", "dot/work: [core]|editor = vim", "xdg/git/config: [filter \"f\"]|clean = sh HOME/dot/clean.sh",
	} {
		name, text, _ := strings.Cut(line, ": ")
		name, to, link := strings.Cut(name, " -> ")
		p := filepath.Join(home, name)
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(strings.ReplaceAll(to, "HOME", home), p)
		default:
			err = os.WriteFile(p, []byte(strings.NewReplacer("HOME", home, "|", "\n").Replace(text)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	found, names := leads(Ask{Home: home, Config: filepath.Join(home, "xdg/mcpen"), Root: t.TempDir()})
	got := map[string]bool{}
	for _, h := range found {
		if rel, ok := strings.CutPrefix(h.Place, home+"/"); ok {
			got[rel] = true
		}
	}
	for _, want := range []string{
		"dot/bashrc", "dot/absent", "dot/local", "dot/fish", "dot/init.lua", "dot/vim", "way", "dot/a.service",
		"dot/gitconfig", "dot/attributes", "dot/more", "dot/work", "dot/conv", "dot/clean.sh", "xdg/git/config",
	} {
		if !got[want] {
			t.Errorf("%s is not known: %v", want, got)
		}
	}
	for _, free := range []string{"dot/tool", "dot/notes", ".profile", "dot"} {
		if got[free] {
			t.Errorf("%s is held, and nothing acts on it unasked", free)
		}
	}
	if want := []string{".githooks", "tools/a.sh", "tools/watch"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}
