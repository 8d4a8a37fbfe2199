package origin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/user"
)

// A file from another author never counts as the person's own because of its place, and
// the person's own files do not ask for trust at every turn.
func TestForeign(t *testing.T) {
	world := []string{
		"home/.config/mcpen/profiles/mine.toml",
		"home/notes/mine.toml",
		"home/deep/er/mine.toml",
		"home/README.md", // a home in version control is no project
		"home/.gitignore",
		"home/project/.git/HEAD", "home/project/tools/x.toml",
		"home/archive/.mcpen/x.toml",
		"home/.mcpen/x.toml",
		"home/unpacked-main/LICENSE", "home/unpacked-main/profiles/x.toml",
		"home/nodejs/package.json", "home/nodejs/x.toml",
		"home/Downloads/x.toml", "home/Downloads/zip/sub/x.toml",
		"home/Empfangen/x.toml",
		"home/.local/state/mcpen/servers/other/x.toml",
		"home/given/x.toml",
		"shared/mine.toml", "shared/.mcpen/x.toml", "shared/box/.mcp.json", "shared/box/x.toml",
	}
	for name, want := range map[string]string{
		"home/.config/mcpen/profiles/mine.toml":        "",
		"home/notes/mine.toml":                         "",
		"home/deep/er/mine.toml":                       "",
		"home/project/tools/x.toml":                    "it is in the repository ROOT/home/project",
		"home/archive/.mcpen/x.toml":                   "it is in the repository ROOT/home/archive",
		"home/.mcpen/x.toml":                           "it is in the repository ROOT/home/.mcpen",
		"home/unpacked-main/profiles/x.toml":           "it is in a project that may be somebody else's, ROOT/home/unpacked-main",
		"home/nodejs/x.toml":                           "it is in a project that may be somebody else's, ROOT/home/nodejs",
		"home/Downloads/x.toml":                        "it was downloaded to ROOT/home/Downloads",
		"home/Downloads/zip/sub/x.toml":                "it was downloaded to ROOT/home/Downloads",
		"home/Empfangen/x.toml":                        "",
		"home/.local/state/mcpen/servers/other/x.toml": "it is in ROOT/home/.local/state/mcpen/servers, which a server was given to write",
		"home/given/x.toml":                            "it is in ROOT/home/given, which a server was given to write",
		"shared/mine.toml":                             "",
		"shared/.mcpen/x.toml":                         "it is in the repository ROOT/shared/.mcpen",
		"shared/box/x.toml":                            "it is in the repository ROOT/shared/box",
	} {
		t.Run(name, func(t *testing.T) {
			root, at := foreignWorld(t, world)
			if got := strings.ReplaceAll(Foreign(at, filepath.Join(root, name)), root, "ROOT"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			link := filepath.Join(root, "home/notes/link.toml")
			if err := os.Symlink(filepath.Join(root, name), link); err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(Foreign(at, link), root, "ROOT"); got != want {
				t.Errorf("by a symlink: %q, want %q", got, want)
			}
		})
	}
	t.Run("another folder for downloads", func(t *testing.T) {
		root, at := foreignWorld(t, append(world, "home/.config/user-dirs.dirs"))
		text := "# written by xdg-user-dirs-update\nXDG_DOWNLOAD_DIR=\"$HOME/Empfangen\"\n"
		if err := os.WriteFile(filepath.Join(root, "home/.config/user-dirs.dirs"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"home/Empfangen/x.toml": "it was downloaded to ROOT/home/Empfangen", "home/Downloads/x.toml": ""} {
			if got := strings.ReplaceAll(Foreign(at, filepath.Join(root, name)), root, "ROOT"); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

// foreignWorld is a home and a folder that all may write to, with files.
func foreignWorld(t *testing.T, files []string) (string, user.Dirs) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		f = filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "shared"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	a := &user.Person{Env: []string{"HOME=" + filepath.Join(root, "home"), "XDG_RUNTIME_DIR=" + root}, Passwd: "/nonexistent", Machine: "/nonexistent"}
	at, err := a.Dirs()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(writtenFile(at), listed([]string{filepath.Join(root, "home/given")}), 0o600); err != nil {
		t.Fatal(err)
	}
	return root, at
}
