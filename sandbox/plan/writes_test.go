package plan

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// If the Judge misses a protected name, a server can plant code there that runs
// outside.
func TestJudgeKeepsProtectedPlaces(t *testing.T) {
	j := NewJudge(Writes{
		Folders: []string{"/ws", "/home/ada/.config", "/ws/.vscode"},
		Free:    []string{"/tmp", "/ws/build", "/dev/null"},
		Names:   []string{"deploy.sh", "ops/*.sh"},
		Except:  []string{"/ws", "/ws/.idea", "/ws/**/node_modules", "/ws/one/*/.git", "/ws/.vscode"},
	})
	known := NewKnown([]ProtectedPlace{{"/ws/team", "git"}, {"/ws/a/b/hooks", "git"}, {"/ws/Lib.git", "a repository"}})
	for p, want := range map[string]Standing{
		"/ws/main.go": Changing, "/ws": Changing, "/ws/.gitignore": Changing, "/ws/.github/workflows/ci.yml": Changing,
		"/ws/package.json": Changing, "/ws/Makefile": Changing, "/ws/config/fish/x": Changing, "/ws/x.git": Changing, "/ws/gitx": Changing,
		"/ws/.git": Kept, "/ws/.git/config": Kept, "/ws/a/b/c/d/e/.git/hooks/x": Kept, "/ws/.GIT/config": Kept, "/ws/.Git": Kept,
		"/ws/.g\u200cit/config": Kept, "/ws/.git /config": Kept, "/ws/.git./x": Kept, "/ws/git~1/config": Kept, "/ws/VSCODE~1/tasks.json": Kept, "/ws/MCP~1.JSO": Kept, "/ws/a/ENVRC~2": Kept, "/ws/VS12AF~1/x": Kept, "/ws/.config/x": Changing,
		"/ws/CONFIG~1/fish/x": Kept, "/ws/vscode~x": Changing, "/ws/vscode~": Changing, "/ws/vscodes~1": Changing, "/ws/vsxyzw~1": Changing, "/ws/MCP~1.TXT": Changing, "/ws/claude~1.bak": Changing, "/ws/main~1.go": Changing, "/ws/~1": Changing,
		"/ws/DEVCON~1.JSO": Kept, "/ws/DE12AF~1.JSO": Kept, "/ws/DEVCON~1.JS": Changing, "/ws/RUST-T~1.TOM": Kept, "/ws/OPENCO~1.JSO": Kept, "/ws/PYVENV~1.CFG": Changing, "/ws/vscode~1234567": Changing, "/ws/vscode~12345": Kept,
		"/ws/.git::$INDEX_ALLOCATION/x": Kept,
		"/ws/.v\u017fcode/x":            Kept, "/ws/sub/.envrc": Kept, "/ws/CLAUDE.md": Kept, "/ws/claude.md": Kept, "/ws/AGENTS.override.md": Kept,
		"/ws/x/.config/fish/config.fish": Kept, "/ws/x/.config/other": Changing, "/ws/.local/share/systemd/user/x.service": Kept,
		"/ws/.github/copilot-instructions.md": Kept, "/ws/proj.code-workspace": Kept, "/ws/mise.local.toml": Kept, "/ws/miserable.toml": Changing,
		"/ws/deploy.sh": Kept, "/ws/a/ops/x.sh": Kept, "/ws/a/ops/x.txt": Changing, "/ws/x.sh": Changing,
		// made writable on purpose, with all that is below
		"/ws/.idea/workspace.xml": Changing, "/ws/.idea/sub/.git/config": Changing, "/ws/a/node_modules/x/.npmrc": Changing, "/ws/node_modules": Changing,
		"/ws/one/two/.git/config": Changing, "/ws/one/two/three/.git": Kept, "/ws/.git/node_modules": Kept,
		// a declared folder inside a protected place
		"/ws/.vscode/tasks.json": Changing, "/ws/.vscode/.envrc": Kept,
		// the rest of a protected name whose first element is the folder's name
		"/home/ada/.config/fish/x": Kept, "/home/ada/.config/fish": Kept, "/home/ada/.config/app": Changing,
		// found at the start
		"/ws/team": Kept, "/ws/team/pre-commit": Kept, "/ws/a/b/hooks/x": Kept, "/ws/a/b/hook": Changing, "/ws/a/b": Changing, "/ws/lib.GIT/config": Kept,
		// the server's own places, and places outside of any folder
		"/tmp/.git": Free, "/ws/build/.git/config": Free, "/dev/null": Free, "/": Elsewhere, "/etc/passwd": Elsewhere, "/wsx/.git": Elsewhere, "/dev/null2": Elsewhere,
	} {
		if got, held := j.At(p, known); got != want || (got == Kept) != (held.Place != "") {
			t.Errorf("%q: %v (%+v), want %v", p, got, held, want)
		}
	}
}

func TestJudgeNamesThePlace(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws"}})
	for p, want := range map[string]string{
		"/ws/a/.git/hooks/x": "/ws/a/.git", "/ws/.config/fish/a": "/ws/.config/fish", "/ws/node_modules/a/.git/x": "/ws/node_modules",
	} {
		if _, held := j.At(p, Known{}); held.Place != want {
			t.Errorf("%q: %q, want %q", p, held.Place, want)
		}
	}
}

// The zero value denies.
func TestJudgeOfNothing(t *testing.T) {
	for _, p := range []string{"/", "/tmp/x", "/home/ada/x"} {
		if got, _ := NewJudge(Writes{}).At(p, Known{}); got != Elsewhere {
			t.Errorf("%q: %v", p, got)
		}
	}
}

// If the search at the start was incomplete, the server may change only places that the
// profile names.
func TestJudgeOfWhatWasLost(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws"}, Free: []string{"/ws/build"}, Except: []string{"/ws", "/ws/.idea"}})
	for p, want := range map[string]Standing{"/ws": Kept, "/ws/main.go": Kept, "/ws/a/b": Kept, "/ws/.idea/x": Changing, "/ws/build/x": Free, "/x": Elsewhere} {
		if got, held := j.At(p, Known{}.Lost("too many")); got != want || got == Kept && held != (ProtectedPlace{"/ws", "too many"}) {
			t.Errorf("%q: %v, %+v; want %v", p, got, held, want)
		}
	}
}

// A link, or a renamed folder, at the beginning of a protected name or above a known
// place would lead it elsewhere.
func TestJudgeKnowsWhatIsAbove(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws"}, Except: []string{"/ws/open/hooks"}})
	known := NewKnown([]ProtectedPlace{{"/ws/z/last", "git"}, {"/ws/open/hooks", "git"}, {"/ws/a/team", "git"}, {"/ws/b/first", "git"}})
	for p, want := range map[string]bool{"/ws/.config": true, "/ws/x/.LOCAL": true, "/ws/.local/share": true, "/ws/.github": true, "/ws/config": false, "/ws/share": false} {
		if got := j.Leads(p); got != want {
			t.Errorf("leads %q: %v", p, got)
		}
	}
	for p, want := range map[string]bool{"/ws/a": true, "/ws/a/team": true, "/ws/A": true, "/ws/a/tea": false, "/ws/a/team/x": false, "/ws": true, "/ws/open": false, "/ws/z": true, "/ws/b": true, "/ws/c": false} {
		if _, got := j.Contains(p, known); got != want {
			t.Errorf("holds %q: %v", p, got)
		}
	}
}

func TestRepositoryIsKnownByWhatIsInIt(t *testing.T) {
	for _, c := range []struct {
		base string
		in   []string
		want bool
	}{
		{"HEAD", []string{"objects", "refs"}, true}, {"HEAD", []string{"objects"}, false}, {"HEAD", []string{"commondir"}, true}, {"head", []string{"objects", "refs"}, true},
		{"objects", []string{"HEAD", "refs"}, true}, {"refs", []string{"HEAD", "objects"}, true}, {"refs", []string{"HEAD"}, false}, {"refs", []string{"objects"}, false}, {"objects", []string{"refs"}, false}, {"objects", []string{"HEAD"}, false}, {"HEAD", []string{"refs"}, false},
		{"commondir", []string{"HEAD"}, true}, {"commondir", nil, false}, {"config", []string{"HEAD", "objects", "refs"}, false},
	} {
		has := func(name string) bool { return slices.Contains(c.in, name) }
		if got := CompletesRepository(c.base, has); got != c.want {
			t.Errorf("%s in %q: %v", c.base, c.in, got)
		}
		if c.want != (c.base != "config" && IsRepository(func(n string) bool { return has(n) || foldElement(n) == foldElement(c.base) })) {
			t.Errorf("%s in %q: the two do not agree", c.base, c.in)
		}
	}
}

// File systems treat names differently. A fold that does not end, or that loses a name,
// would protect nothing.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"", ".git", ".GIT", "a/b/.Git", "git~1", ". . .", "\u212a", "a:b", "\xff\xfe/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := fold(s)
		if fold(once) != once {
			t.Errorf("%q folds to %q and that to %q", s, once, fold(once))
		}
	})
}

// A person who declared one file has to learn why a program that saves beside it fails.
// The reason must not appear for any other name.
func TestJudgeKnowsWhatLiesBesideASingleFile(t *testing.T) {
	j := NewJudge(Writes{Singles: []Single{{File: "/a/db"}, {File: "/a/other"}, {File: "/b/c/notes.json", Folder: "/b/c"}}})
	for p, want := range map[string]string{
		"/a/db": "/a/db", "/a/other": "/a/other", "/a/db-journal": "/a/db", "/b/c/.notes.json.swp": "/b/c/notes.json",
		"/a": "", "/a/sub/db": "", "/b/notes.json": "", "/c": "",
	} {
		if s, ok := j.Single(p); s.File != want || ok != (want != "") {
			t.Errorf("%q: %+v, want %q", p, s, want)
		}
	}
}

// The cheap look at a base name must never miss a protected one.
func TestMightIsAskedFirst(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws"}, Names: []string{"ops/*.sh", "deploy"}, Home: "/home/ada"})
	for base, want := range map[string]bool{".git": true, ".GIT": true, "git~1": true, "fish": true, "FISH": true, "deploy": true, "x.sh": true, "x.code-workspace": true, ".sh": true, "main.go": false, "deployx": false, ".gitignore": false, "sh": false} {
		if got := j.Might(base); got != want {
			t.Errorf("%q might be protected: %v", base, got)
		}
	}
	for _, name := range Protected {
		if base := path.Base(name); !j.Might(strings.ReplaceAll(base, "*", "x")) {
			t.Errorf("%q is protected, and its last element never looked at", name)
		}
	}
	if j.Home() != "/home/ada" {
		t.Errorf("the home is %q", j.Home())
	}
	for name, want := range map[string]bool{"HEAD": true, "objects": true, "Refs": true, "commondir": true, "config": false, "": false, "heads": false} {
		if got := InRepository(name); got != want {
			t.Errorf("%q is of a repository: %v", name, got)
		}
	}
}

// A pattern's "*" matches a run of characters in one element, and "**" matches a run of
// elements.
func TestPlacesMatchPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "ab", false}, {"a", "", false}, {"*", "", true}, {"*", "ab", true}, {"a*", "a", true}, {"a*", "b", false}, {"*a", "ba", true}, {"*a", "ab", false}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "acb", false}, {"*a*", "bab", true}, {"*.sh", ".sh", true}, {"*ab*ab", "abab", true}, {"*ab*ab", "ab", false}} {
		if got := wild(c.pattern, c.s); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{{"a/b", "a/b", true}, {"a/b", "a", false}, {"a", "a/b", false}, {"a/*", "a/b", true}, {"a/*", "a", false}, {"a/*", "a/b/c", false}, {"**", "a/b", true}, {"a/**", "a", true}, {"a/**/c", "a/c", true}, {"a/**/c", "a/b/b/c", true}, {"a/**/c", "a/b", false}, {"**/c", "c", true}, {"**/*.x/**", "a/b.x", true}} {
		if got := among(strings.Split(c.pattern, "/"), strings.Split(c.s, "/")); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
}

// Some file system takes each of these forms for .git.
func TestNamesAreFolded(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "plain": "plain", ".git": ".git", ".GIT": ".git", "ABC": "abc", "Z": "z", "A": "a", "a.": "a", "a ": "a", "a. .": "a", ".": ".", "..": "..", " ": " ", "a:b": "a", ":": "", "git~1": ".git", "GIT~1": ".git", "git~1.": ".git", "git~2": "git~2",
		"\u200b.git": ".git", ".g\ufe0fit": ".git", ".g\u0301it": ".g\u0301it", "\u212a": "k", ".g\ufe00it": ".git", ".g\ufe20it": ".g\ufe20it", "\u017f": "s", "É": "é", "a/B./c:d": "a/b/c", "x/GIT~1/y": "x/.git/y", "\u00adx": "x",
	} {
		if got := fold(s); got != want {
			t.Errorf("%q folds to %q, want %q", s, got, want)
		}
	}
}

// The server's own folders are not the user's, and the innermost folder decides.
func TestRootsAreTheInnermost(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws", "/ws/in", "/"}, Free: []string{"/ws/build", "/ws/in/free"}})
	if got, held := j.At("/.git", Known{}); got != Kept || held.Place != "/.git" {
		t.Errorf("/.git of a writable root: %v, %+v", got, held)
	}
	for p, want := range map[string]string{"/ws/a": "/ws", "/ws/in/a": "/ws/in", "/ws/in": "/ws/in", "/ws/inx": "/ws", "/ws/build": "", "/ws/build/x": "", "/ws/in/free/x": "", "/x": "/", "/wsx": "/"} {
		if got := j.Folder(p); got != want {
			t.Errorf("%s lies in %q, want %q", p, got, want)
		}
	}
}
