package trial

import (
	"io"
	"os"
	"path"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Written is one file that the program left behind.
type Written struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Changed bool   `json:"changed,omitempty"` // it existed before
	Gone    bool   `json:"gone,omitempty"`    // it existed, and was removed
	Trap    string `json:"trap,omitempty"`    // why code outside would run or follow it
}

// Touched is a decoy that was read or changed.
type Touched struct {
	Path    string `json:"path"`
	What    string `json:"what"`
	How     string `json:"how"` // "read", "changed", "removed"
	When    string `json:"when,omitempty"`
	Program string `json:"program,omitempty"`
	// Expected names the library that reads such a file on behalf of all its users, and
	// on which the package depends. A Quiet decoy says nothing about the program.
	Expected string `json:"expected,omitempty"`
	Quiet    bool   `json:"quiet,omitempty"`
}

// Bounds on the inspection of the folders.
const (
	maxLeft      = 20_000
	maxLeftBytes = 64 << 20
)

// left is the content of the desk's folders after the program's end.
type left struct {
	written []Written
	touched map[string]string // decoy: what happened to it
	count   int
	bytes   int64
	more    bool // there was more than the bounds allow
}

// laid are the desk's folders, which exist as long as they are open here.
type laid struct{ home, tmp *os.File }

func (l *laid) close() {
	for _, f := range []*os.File{l.home, l.tmp} {
		if f != nil {
			f.Close()
		}
	}
}

// inspect searches the desk's folders.
func (l *laid) inspect(d *Desk, found func(h Hit, where string), x *Index) left {
	out := left{touched: map[string]string{}}
	if l.home == nil {
		return out
	}
	had := map[string]int64{}
	for _, f := range d.Files {
		had[f.Path] = f.Time
	}
	seen := map[string]bool{}
	visit := func(name string, dir int, base string, st unix.Stat_t) {
		seen[name] = true
		at, was := had[name]
		changed := !was || st.Mtim.Sec != at
		if was {
			if _, decoy := d.lures[name]; decoy && changed {
				out.touched[name] = "changed"
			} else if decoy && st.Atim.Sec != at-3600 {
				out.touched[name] = "read"
			}
		}
		if !changed {
			return
		}
		if len(out.written) < maxFiles {
			out.written = append(out.written, Written{Path: visible(name), Size: st.Size, Changed: was, Trap: trap(name, d)})
		}
		for _, h := range x.Find([]byte(strings.TrimPrefix(name, d.Home))) {
			found(h, visible(name))
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			b := make([]byte, unix.PathMax)
			if n, err := unix.Readlinkat(dir, base, b); err == nil {
				for _, h := range x.Find(b[:n]) {
					found(h, visible(name))
				}
			}
		}
		if out.bytes > maxLeftBytes || st.Mode&unix.S_IFMT != unix.S_IFREG {
			return
		}
		w := x.watch(nil, func(h Hit) { found(h, visible(name)) })
		fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return
		}
		f := os.NewFile(uintptr(fd), base)
		n, _ := io.Copy(w, io.LimitReader(f, maxLeftBytes))
		f.Close()
		w.Close()
		out.bytes += n
	}
	out.walk(int(l.home.Fd()), d.Home, 0, visit)
	if l.tmp != nil {
		out.walk(int(l.tmp.Fd()), "/tmp", 0, visit)
	}
	for name := range had {
		if !seen[name] && !out.more {
			out.written = append(out.written, Written{Path: name, Gone: true})
			if _, decoy := d.lures[name]; decoy {
				out.touched[name] = "removed"
			}
		}
	}
	sort.Slice(out.written, func(i, j int) bool { return out.written[i].Path < out.written[j].Path })
	return out
}

// walk visits every file below a directory, and follows no symlink.
func (o *left) walk(dir int, name string, depth int, visit func(name string, dir int, base string, st unix.Stat_t)) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil || depth > 40 {
		o.more = o.more || depth > 40
		return
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for {
		entries, err := f.Readdirnames(256)
		for _, base := range entries {
			if o.count++; o.count > maxLeft {
				o.more = true
				return
			}
			var st unix.Stat_t
			if unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
				continue
			}
			at := path.Join(name, base)
			if st.Mode&unix.S_IFMT != unix.S_IFDIR {
				visit(at, fd, base, st)
				continue
			}
			sub, err := unix.Openat(fd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				continue // a mount point, such as the package itself
			}
			if var_, here := device(sub), device(fd); var_ == here {
				o.walk(sub, at, depth+1, visit)
			}
			unix.Close(sub)
		}
		if err != nil || len(entries) == 0 {
			return
		}
	}
}

func device(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return uint64(st.Dev)
}

// traps names who runs or follows a file later and outside: a shell, editor, agent or
// package manager. For other protected names (see [plan.Protected]) the report names
// nobody in particular.
var traps = []struct{ name, why string }{
	{".bashrc", "a shell runs it"}, {".profile", "a shell runs it"}, {".bash_profile", "a shell runs it"}, {".zshrc", "a shell runs it"}, {".zshenv", "a shell runs it"},
	{".zprofile", "a shell runs it"}, {".bash_login", "a shell runs it"}, {".bash_logout", "a shell runs it"}, {"config.fish", "a shell runs it"}, {".envrc", "direnv runs it"},
	{".mcp.json", "MCP clients start what it names"}, {"mcp.json", "MCP clients start what it names"}, {"claude_desktop_config.json", "an MCP client starts what it names"},
	{".claude.json", "an MCP client starts what it names"}, {"settings.json", "an editor or agent follows it"}, {"tasks.json", "an editor runs what it names"},
	{"CLAUDE.md", "an agent follows it"}, {"AGENTS.md", "an agent follows it"}, {".cursorrules", "an agent follows it"}, {"authorized_keys", "it lets others log in"},
	{".gitconfig", "git runs what it names"}, {"crontab", "cron runs it"}, {".npmrc", "npm follows it"}, {"package.json", "npm runs its scripts"},
}

// toolStates are protected names under which tools of all kinds keep their state, so
// that a program that uses one writes there.
var toolStates = []string{".aws", ".azure", ".bundle", ".cargo", ".codeium", ".config/gcloud", ".config/uv", ".direnv", ".docker/contexts", ".env", ".gnupg", ".gradle", ".ipython", ".julia",
	".jupyter", ".kube", ".m2", ".sbt", ".terraform", ".venv", ".viminfo", ".yarn/plugins", ".yarn/releases", ".yarn/sdks", ".yarn/unplugged", "dist-packages", "pyvenv.cfg", "site-packages", "venv"}

// trap is the reason why code outside would run or follow a file, or "".
func trap(name string, d *Desk) string {
	if why, l := trapAt(name, d); l == Red {
		return why
	}
	return ""
}

// trapAt is trap, with the level of writing the file.
func trapAt(name string, d *Desk) (why string, l Level) {
	rest, ok := strings.CutPrefix(name, d.Home+"/")
	if !ok || strings.Contains(name, "/node_modules/") || strings.HasPrefix(rest, ".cache/") || strings.HasPrefix(rest, ".npm/") {
		return "", Green
	}
	switch {
	case strings.Contains(name, "/.git/hooks/"), strings.HasSuffix(name, "/.git/config"):
		return "git runs what it says", Red
	case strings.Contains(name, "/.config/autostart/"), strings.Contains(name, "/systemd/user/"):
		return "it is started at the next login", Red
	case strings.Contains(name, "/.github/workflows/"):
		return "a service that builds the project runs it", Red
	}
	base := path.Base(name)
	for _, t := range traps {
		if base == t.name && (!slices.Contains([]string{"settings.json", "mcp.json", "tasks.json"}, base) || slices.ContainsFunc([]string{"/.vscode/", "/.claude/", "/.cursor/", "/Code/"}, func(in string) bool { return strings.Contains(name, in) })) {
			return t.why, Red
		}
	}
	j := plan.NewJudge(plan.Writes{Folders: []string{d.Home}})
	standing, held := j.At(name, plan.Known{})
	switch by := strings.TrimPrefix(held.Why, "protected: "); {
	case standing != plan.Kept, by == ".git", by == "node_modules":
		return "", Green
	case slices.Contains(toolStates, by):
		return "", Amber
	default:
		return "programs outside run what it says, or follow it", Red
	}
}
