package writes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// world makes files, folders (with a slash) and links ("name -> text") in a folder
// whose path contains no symlinks.
func world(t *testing.T, entries ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, text, link := strings.Cut(e, " -> ")
		name, content, _ := strings.Cut(name, ": ")
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		switch {
		case link:
			err = os.Symlink(strings.ReplaceAll(text, "ROOT", root), p)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		default:
			err = os.WriteFile(p, []byte(strings.ReplaceAll(content, "|", "\n")), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func scanned(w plan.Writes) (*plan.Judge, findings) {
	j := plan.NewJudge(w)
	s := newScan(j, w)
	s.run()
	return j, s.result()
}

// The target of a protected place runs as the place itself would: hooks that are a
// link, settings stored elsewhere, files that git's configuration names.
func TestScanFindsWhereProtectedPlacesLead(t *testing.T) {
	root := world(t,
		"ws/.git/config: [core]|hooksPath = .githooks|fsmonitor = sh tools/watch.sh|[include]|path = ../git.cfg|[user]|name = src",
		"ws/git.cfg: [diff \"x\"]|textconv = tools/conv", "ws/tools/watch.sh", "ws/tools/conv", "ws/tools/other", "ws/src/main.c", "ws/.githooks/pre-commit",
		"ws/.git/hooks -> ../team", "ws/team/pre-commit -> ../scripts/real.sh", "ws/scripts/real.sh", "ws/scripts/more.sh",
		"ws/.claude/skills -> ../.ai/skills", "ws/.ai/skills/x.md", "ws/.ai/notes.md",
		"ws/.vscode/launch.json -> ../../absent/launch.json", "ws/.idea/x -> ../by/way/x", "ws/by -> real", "ws/real/way/x",
		"ws/a/b/c/d/.git: gitdir: ../../../../trees/d", "ws/trees/d/HEAD", "ws/trees/d/commondir: ../main", "ws/trees/main/config: [core]|hooksPath = /ROOTLESS",
		"ws/deep/er/.git/config: [core]|hooksPath = hooks", "ws/deep/er/hooks/",
		"ws/bare/HEAD", "ws/bare/objects/", "ws/bare/refs/", "ws/bare/config", "ws/py/pyvenv.cfg", "ws/py/bin/python",
		"ws/node_modules/mine -> ../packages/mine", "ws/packages/mine/index.js", "ws/.zed/up -> ../..",
		"ws/.git/modules/sub/HEAD", "ws/.git/modules/sub/config: [core]|hooksPath = sub-hooks|worktree = ../../../sub", "ws/sub-hooks/",
		"ws/.config -> conf", "ws/conf/fish/config.fish", "ws/conf/other",
	)
	ws := filepath.Join(root, "ws")
	j, found := scanned(plan.Writes{Folders: []string{ws}})
	for _, kept := range []string{
		".githooks/pre-commit", "tools/watch.sh", "git.cfg", "tools/conv", "team", "team/new", "scripts/real.sh", ".ai/skills/x.md", "by", "real/way/x",
		"trees/d/HEAD", "trees/main/config", "deep/er/hooks/x", "bare/config", "bare/hooks/x", "py/lib/x.pth", "sub-hooks/x", "conf/fish/config.fish", ".config",
	} {
		if s, _ := j.At(filepath.Join(ws, kept), found.known); s != plan.Kept {
			t.Errorf("%s may be changed", kept)
		}
	}
	for _, free := range []string{"src/main.c", "tools/other", "scripts/more.sh", ".ai/notes.md", "packages/mine/index.js", "main.go", "conf/other", "real/other", "trees", "deep/er/x"} {
		if s, held := j.At(filepath.Join(ws, free), found.known); s != plan.Changing {
			t.Errorf("%s may not be changed: %+v", free, held)
		}
	}
	for _, above := range []string{"tools", "scripts", ".ai", "real", "real/way", "trees", "deep/er"} {
		if _, ok := j.Contains(filepath.Join(ws, above), found.known); !ok {
			t.Errorf("%s may be renamed", above)
		}
	}
}

// A place that the profile makes writable holds none of its targets.
func TestScanLeavesOutWhatIsUnprotected(t *testing.T) {
	root := world(t, "ws/.git/config: [core]|hooksPath = .githooks", "ws/.githooks/x", "ws/sub/.git/config: [core]|hooksPath = hooks", "ws/sub/hooks/x")
	ws := filepath.Join(root, "ws")
	j, found := scanned(plan.Writes{Folders: []string{ws}, Except: []string{ws, ws + "/.git", ws + "/sub/hooks"}})
	for _, free := range []string{".git/config", ".githooks/x", "sub/hooks/x"} {
		if s, held := j.At(filepath.Join(ws, free), found.known); s != plan.Changing {
			t.Errorf("%s: %+v", free, held)
		}
	}
	if s, _ := j.At(filepath.Join(ws, "sub/.git/config"), found.known); s != plan.Kept {
		t.Error("sub/.git is not protected any more")
	}
}

// The scan ends, even with loops and links to the whole folder.
func TestScanEnds(t *testing.T) {
	root := world(t, "ws/.git/hooks/a -> b", "ws/.git/hooks/b -> a", "ws/.vscode/self -> .", "ws/.vscode/root -> /", "ws/.git/config: [include]|path = config",
		"ws/.claude/loop -> ../.claude", "ws/x/.git: gitdir: .git", "ws/y/.git -> .git")
	ws := filepath.Join(root, "ws")
	j, found := scanned(plan.Writes{Folders: []string{ws}})
	if s, held := j.At(filepath.Join(ws, "main.go"), found.known); s != plan.Changing {
		t.Errorf("the folder is held as a whole: %+v", held)
	}
}

func TestAliasesAreFound(t *testing.T) {
	root := world(t, "ws/.git/config: x", "ws/other: x", "ws/.envrc: y", "ws/plain: z", "ws/.git/hooks -> ../team", "ws/team/hook: x", "ws/bare/HEAD: x", "ws/bare/objects/", "ws/bare/refs/", "ws/bare/config: x")
	for from, to := range map[string]string{"ws/.git/config": "ws/alias", "ws/.envrc": "ws/alias2", "ws/plain": "ws/alias3", "ws/team/hook": "ws/alias4", "ws/bare/config": "ws/alias5"} {
		if err := os.Link(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
			t.Fatal(err)
		}
	}
	_, found := scanned(plan.Writes{Folders: []string{filepath.Join(root, "ws")}})
	var got []string
	for _, p := range findAliases(found.protected).inodes {
		got = append(got, strings.TrimPrefix(p, root+"/ws/"))
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{".envrc", ".git/config", "bare/config", "team/hook"}) {
		t.Errorf("%q", got)
	}
}

// If somebody moves a project while a server runs, another name of its configuration
// must not become writable.
func TestAliasesOfPlacesThatMoved(t *testing.T) {
	for _, open := range []int{1, 0} {
		root := world(t, "ws/a/.git/config: x")
		if err := os.Link(filepath.Join(root, "ws/a/.git/config"), filepath.Join(root, "ws/alias")); err != nil {
			t.Fatal(err)
		}
		w := plan.Writes{Folders: []string{filepath.Join(root, "ws")}}
		s := newScan(plan.NewJudge(w), w)
		s.starts = open
		s.run()
		if err := os.Rename(filepath.Join(root, "ws/a"), filepath.Join(root, "ws/b")); err != nil {
			t.Fatal(err)
		}
		if a := findAliases(s.result().protected); len(a.inodes) != open || a.cut != (open == 0) {
			t.Errorf("with %d places held open: %+v", open, a)
		}
	}
}

// limitFor is the limit on descriptors that leaves this process so many.
func limitFor(spare int) (limit uint64) {
	for ; spare > 0; limit++ {
		if _, err := unix.FcntlInt(uintptr(limit), unix.F_GETFD, 0); err == unix.EBADF {
			spare--
		}
	}
	return limit
}

// If no descriptors are left to scan the folders, nothing in them may be changed: the
// targets of protected places are unknown.
func TestScanThatMissesSomethingHoldsAll(t *testing.T) {
	root := world(t, "ws/a/b/c/.git/hooks -> ../../x", "ws/a/b/x/pre-commit", "ws/main.go")
	ws := filepath.Join(root, "ws")
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	for spare, want := range map[int]plan.Standing{2: plan.Kept, 64: plan.Changing} {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limitFor(spare), Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		j, found := scanned(plan.Writes{Folders: []string{ws}})
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if s, held := j.At(filepath.Join(ws, "main.go"), found.known); s != want {
			t.Errorf("with %d descriptors: %v, %+v; want %v", spare, s, held, want)
		}
	}
}

// A configuration that is too long to read may name anything.
func TestScanOfAnEndlessConfigurationHoldsAll(t *testing.T) {
	root := world(t, "ws/.git/config: "+strings.Repeat("#|", maxGitFile/2+1)+"[core]|hooksPath = hooks", "ws/main.go")
	ws := filepath.Join(root, "ws")
	j, found := scanned(plan.Writes{Folders: []string{ws}})
	if s, _ := j.At(filepath.Join(ws, "main.go"), found.known); s != plan.Kept {
		t.Errorf("main.go: %v", s)
	}
}
