package writes

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/internal/seccomp/seccomptest"
	"mcpen/sandbox/plan"
)

// callsVar names the file with the calls of a server that the test binary plays.
const callsVar = "WRITES_TEST_CALLS"

func TestMain(m *testing.M) {
	if text := os.Getenv(callsVar); text != "" && os.Getenv("MCPEN_TEST_JOB") == "" {
		os.Exit(play(text))
	}
	seccomptest.Main(m)
}

// step is one system call of a server: its name, and its arguments in the form of
// made's. "fd" and a number stand for the descriptor that the step of that index got.
type step struct {
	Name string
	Args []any
}

func (s step) String() string {
	out := s.Name
	for _, a := range s.Args {
		switch a := a.(type) {
		case int, uint64, float64:
			out += fmt.Sprintf(" %#x", a)
		case []byte:
			out += fmt.Sprintf(" %q", a)
		default:
			out += fmt.Sprint(" ", a)
		}
	}
	return out
}

// text is a string in memory that is not a path below the folder.
type text string

// got is the result of a step, as the server sees it.
type got struct {
	Errno string // "" for success
	Open  string // of a descriptor: its kind, its flags, and whether exec closes it
}

func (g got) String() string { return strings.TrimSpace(g.Errno + " " + g.Open) }

// numbers are the calls that a server of this test makes.
var numbers = map[string]uintptr{
	"openat": unix.SYS_OPENAT, "mkdirat": unix.SYS_MKDIRAT, "mknodat": unix.SYS_MKNODAT, "symlinkat": unix.SYS_SYMLINKAT, "linkat": unix.SYS_LINKAT, "unlinkat": unix.SYS_UNLINKAT, "renameat2": unix.SYS_RENAMEAT2,
	"truncate": unix.SYS_TRUNCATE, "fchmodat": unix.SYS_FCHMODAT, "fchmodat2": unix.SYS_FCHMODAT2, "fchmod": unix.SYS_FCHMOD, "fchownat": unix.SYS_FCHOWNAT, "fchown": unix.SYS_FCHOWN, "utimensat": unix.SYS_UTIMENSAT,
	"setxattr": unix.SYS_SETXATTR, "lsetxattr": unix.SYS_LSETXATTR, "fsetxattr": unix.SYS_FSETXATTR, "removexattr": unix.SYS_REMOVEXATTR, "lremovexattr": unix.SYS_LREMOVEXATTR, "fremovexattr": unix.SYS_FREMOVEXATTR,
	"faccessat": unix.SYS_FACCESSAT, "faccessat2": unix.SYS_FACCESSAT2, "umask": unix.SYS_UMASK, "chdir": unix.SYS_CHDIR, "write": unix.SYS_WRITE, "socket": unix.SYS_SOCKET, "connect": unix.SYS_CONNECT, "dup3": unix.SYS_DUP3,
}

// older are calls that only some architectures have, and those of them that a protected
// place refuses.
var older, olderRefused []step

// play makes the calls and prints their results.
func play(in string) int {
	runtime.LockOSThread()
	unix.Umask(0o022)
	var steps []step
	b, err := os.ReadFile(in)
	if err == nil {
		err = json.Unmarshal(b, &steps)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var out []got
	var fds []int
	for _, s := range steps {
		var args [6]uintptr
		var pin runtime.Pinner
		for i, a := range s.Args {
			switch a := a.(type) {
			case float64:
				args[i] = uintptr(int64(a))
			case map[string]any:
				args[i] = uintptr(fds[int(a["fd"].(float64))])
			case []any: // bytes
				b := make([]byte, len(a)+1)
				for i, v := range a {
					b[i] = byte(v.(float64))
				}
				args[i] = uintptr(pinned(&pin, b))
			}
		}
		nr, ok := numbers[s.Name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such call:", s.Name)
			return 1
		}
		r, _, errno := unix.Syscall6(nr, args[0], args[1], args[2], args[3], args[4], args[5])
		pin.Unpin()
		g, fd := got{}, -1
		if errno != 0 {
			g.Errno = unix.ErrnoName(errno)
		} else if s.Name == "openat" || s.Name == "socket" {
			fd = int(r)
			var st unix.Stat_t
			flags, _ := unix.FcntlInt(r, unix.F_GETFL, 0)
			closes, _ := unix.FcntlInt(r, unix.F_GETFD, 0)
			_ = unix.Fstat(fd, &st)
			large := map[string]int{"amd64": 0o100000, "arm64": 0o400000}[runtime.GOARCH] // O_LARGEFILE, which the kernel adds
			g.Open = fmt.Sprintf("%#o %#x %d", st.Mode&unix.S_IFMT, flags&^large, closes)
			if st.Nlink == 0 {
				g.Open += fmt.Sprintf(" with mode %#o", st.Mode&0o7777) // no name shows it later
			}
		}
		fds = append(fds, fd)
		out = append(out, g)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return 1
	}
	return 0
}

// encode spells the steps for play, with paths below dir, and returns the file.
func encode(t *testing.T, dir string, steps []step) string {
	t.Helper()
	spelled := func(b []byte) (out []any) {
		for _, c := range b {
			out = append(out, int(c))
		}
		if out == nil {
			out = []any{}
		}
		return out
	}
	var all []step
	for _, s := range steps {
		args := []any{}
		for _, a := range s.Args {
			switch a := a.(type) {
			case string:
				if !filepath.IsAbs(a) && !strings.HasPrefix(a, "./") {
					a = dir + "/" + a
				}
				args = append(args, spelled([]byte(strings.TrimPrefix(a, "./"))))
			case text:
				args = append(args, spelled([]byte(strings.ReplaceAll(string(a), "DIR", dir))))
			case []byte:
				args = append(args, spelled(a))
			case uint64:
				args = append(args, int64(a))
			default:
				args = append(args, a)
			}
		}
		all = append(all, step{s.Name, args})
	}
	file := filepath.Join(t.TempDir(), "calls")
	b, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// fd stands for the descriptor of an earlier step.
func fd(i int) any { return map[string]any{"fd": i} }

// unmediated plays the steps without a filter.
func unmediated(t *testing.T, dir string, steps []step) []got {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.Dir = append(os.Environ(), callsVar+"="+encode(t, dir, steps)), dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return results(t, string(out))
}

func results(t *testing.T, text string) (out []got) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return out
}

// mediated plays the steps under a filter whose mediator is this process. The server
// sees the folder read-only.
func mediated(t *testing.T, dir string, w plan.Writes, steps []step) ([]got, []notify.Call) {
	t.Helper()
	return mediatedBy(t, dir, plan.Plan{Writes: w}, steps)
}

func mediatedBy(t *testing.T, dir string, p plan.Plan, steps []step) ([]got, []notify.Call) {
	t.Helper()
	p.Seccomp = plan.Seccomp{On: true, Notify: true, Mediate: true}
	t.Setenv(callsVar, encode(t, dir, steps))
	cmd, listener := seccomptest.Listen(t, p.Seccomp, seccomptest.Job{Exec: []string{"/proc/self/exe"}, Dir: dir, ReadOnly: dir})
	var mu sync.Mutex
	var reports []notify.Call
	m, err := New(p, int(listener.Fd()), func(c notify.Call) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop() // a call that never ends
	if err := m.Run(); err != nil {
		t.Error(err)
	}
	m.Flush()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", err, cmd.Stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	return results(t, cmd.Stdout.(*strings.Builder).String()), reports
}

// tree lists a folder: kinds, modes, sizes, contents and targets of links.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		st, err := os.Lstat(p)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v %d", strings.TrimPrefix(p, dir+"/"), st.Mode(), st.Sys().(*syscall.Stat_t).Nlink)
		switch {
		case st.Mode()&os.ModeSymlink != 0:
			to, _ := os.Readlink(p)
			line += " -> " + strings.ReplaceAll(to, dir, "DIR")
		case st.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				b = []byte(err.Error())
			}
			line += fmt.Sprintf(" %q", b)
			var buf [16]byte
			if n, err := unix.Lgetxattr(p, "user.m", buf[:]); err == nil {
				line += fmt.Sprintf(" m=%s", buf[:n])
			}
			if st.ModTime().Year() < 2000 {
				line += " " + st.ModTime().UTC().String()
			}
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// timesOf is an array of two struct timespec.
func timesOf(a, an, b, bn int64) []byte {
	var out []byte
	for _, v := range []int64{a, an, b, bn} {
		out = binary.NativeEndian.AppendUint64(out, uint64(v))
	}
	return out
}

const (
	cwd    = unix.AT_FDCWD
	creat  = unix.O_CREAT | unix.O_WRONLY
	writes = unix.O_WRONLY
)

// A program that changes files in a folder of the user's sees the same results as without
// a mediator, and leaves the same files: each call, with each of its flags and with each
// sort of path.
func TestCallsEndAsWithoutAMediator(t *testing.T) {
	setup := []string{"f: before", "d/in: x", "empty/", "l -> f", "ld -> d", "lout -> none", "loop -> loop", "abs -> ROOT/ws/f", "d/up -> ../f"}
	open := func(path any, flags int, mode int) step { return step{"openat", []any{cwd, path, flags, mode}} }
	var steps []step
	for _, p := range []any{"f", "n1", "d", "l", "ld", "lout", "loop", "abs", "d/in", "d/up", "d/../f", "none/x", "f/x", "f/", "d/", "ld/", "ld/in", "ld/new", ".", "d/.", "d/..", "ld/../f", "/", text(""), "./f", "./d/new2", "/proc/self/comm", "/dev/null"} {
		for _, flags := range []int{unix.O_RDONLY, writes, unix.O_RDWR, writes | unix.O_TRUNC, writes | unix.O_APPEND, unix.O_RDONLY | unix.O_TRUNC, unix.O_RDONLY | unix.O_CREAT, writes | unix.O_NOFOLLOW, unix.O_RDONLY | unix.O_NOFOLLOW, writes | unix.O_NONBLOCK | unix.O_CLOEXEC, unix.O_PATH,
			unix.O_RDONLY | unix.O_DIRECTORY, writes | unix.O_DIRECTORY, unix.O_RDONLY | unix.O_CREAT | unix.O_DIRECTORY, creat | unix.O_EXCL | unix.O_NOFOLLOW, unix.O_RDWR | unix.O_TMPFILE, writes | unix.O_CREAT | unix.O_NOFOLLOW} {
			steps = append(steps, open(p, flags, 0o666))
		}
	}
	steps = append(steps,
		open("n2", creat|unix.O_TRUNC, 0o1751), open("n2", creat|unix.O_EXCL, 0o600), open("lout", creat, 0o640), step{"write", []any{fd(len(steps) + 2), text("made"), 4}},
		step{"umask", []any{0o077}}, open("n3", creat, 0o666), step{"mkdirat", []any{cwd, "m3", 0o777}}, step{"umask", []any{0}}, open("n4", creat, 0o666), step{"umask", []any{0o022}})
	for _, p := range []any{"x1", "d/x1/", "f", "f/", "l", "lout", "none/x", "d", ".", "d/..", "ld/x2", text("")} {
		steps = append(steps, []step{{"mkdirat", []any{cwd, p, 0o1755}}, {"mknodat", []any{cwd, p, unix.S_IFREG | 0o640, 0}}, {"mknodat", []any{cwd, p, 0o604, 0}}, {"mknodat", []any{cwd, p, unix.S_IFIFO | 0o600, 0}}, {"symlinkat", []any{text("to"), cwd, p}}, {"symlinkat", []any{text(""), cwd, p}}, {"unlinkat", []any{cwd, p, unix.AT_REMOVEDIR}}, {"unlinkat", []any{cwd, p, 1 << 20}}}...)
	}
	for _, c := range []struct{ a, b any }{{"f", "h1"}, {"l", "h2"}, {"d", "h3"}, {"f", "d"}, {"f", "none/h"}, {"none", "h4"}, {"f", "h5/"}, {"f/", "h5"}, {"f", text("")}, {text(""), "h6"}, {"f", "."}} {
		for _, flags := range []int{0, unix.AT_SYMLINK_FOLLOW, 1 << 20} {
			steps = append(steps, step{"linkat", []any{cwd, c.a, cwd, c.b, flags}})
		}
	}
	for _, c := range []struct{ a, b any }{{"h1", "r1"}, {"r1", "d/r1"}, {"d/r1", "ld/r2"}, {"ld", "ld2"}, {"empty", "empty2"}, {"empty2/", "empty3/"}, {"d", "empty3"}, {"empty3", "d"}, {"none", "r3"}, {"d/in", "d"}, {"d", "d/in/x"}, {"f/", "r4"}, {"f", "r4/"}, {".", "r5"}, {"f", ".."}, {"h2", text("")}, {"f", "f"}} {
		for _, flags := range []int{unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE, 0} {
			steps = append(steps, step{"renameat2", []any{cwd, c.a, cwd, c.b, flags}})
		}
	}
	base := len(steps)
	steps = append(steps, open("f", unix.O_RDWR, 0), open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0), open("f", unix.O_PATH, 0), open("l", unix.O_PATH|unix.O_NOFOLLOW, 0))
	file, dir, name, link := fd(base), fd(base+1), fd(base+2), fd(base+3)
	for _, p := range []any{"f", "l", "ld2", "d", "none", "loop", "f/", "d/.", text(""), text("/proc/self/fd/none")} {
		steps = append(steps, step{"truncate", []any{p, 3}}, step{"truncate", []any{p, -1}}, step{"fchmodat", []any{cwd, p, 0o740}}, step{"fchmodat2", []any{cwd, p, 0o700, unix.AT_SYMLINK_NOFOLLOW}}, step{"fchmodat2", []any{cwd, p, 0o744, 0}}, step{"fchmodat2", []any{cwd, p, 0o744, 1 << 20}},
			step{"fchownat", []any{cwd, p, -1, -1, 0}}, step{"fchownat", []any{cwd, p, -1, -1, unix.AT_SYMLINK_NOFOLLOW}}, step{"fchownat", []any{cwd, p, -1, -1, unix.AT_EMPTY_PATH}}, step{"fchownat", []any{file, p, -1, -1, unix.AT_EMPTY_PATH | unix.AT_SYMLINK_NOFOLLOW}}, step{"fchownat", []any{cwd, p, -1, -1, 1 << 20}},
			step{"utimensat", []any{cwd, p, timesOf(10, 5, 20, 6), 0}}, step{"utimensat", []any{cwd, p, timesOf(11, 0, 21, 0), unix.AT_SYMLINK_NOFOLLOW}}, step{"utimensat", []any{file, p, timesOf(12, 0, 22, 0), unix.AT_EMPTY_PATH}}, step{"utimensat", []any{cwd, p, timesOf(0, -1, 0, 0), 0}}, step{"utimensat", []any{cwd, p, timesOf(13, 0, 23, 0), 1 << 20}}, step{"utimensat", []any{cwd, p, timesOf(0, unix.UTIME_OMIT, 24, 7), 0}},
			step{"setxattr", []any{p, text("user.m"), text("v1"), 2, 0}}, step{"lsetxattr", []any{p, text("user.m"), text("v2"), 2, unix.XATTR_REPLACE}}, step{"setxattr", []any{p, text("user.m"), text("v3"), 2, unix.XATTR_CREATE}}, step{"setxattr", []any{p, text(""), text("v"), 1, 0}}, step{"setxattr", []any{p, text(strings.Repeat("n", 300)), text("v"), 1, 0}}, step{"setxattr", []any{p, text("user.m"), text("v"), 1 << 20, 0}},
			step{"removexattr", []any{p, text("user.none")}}, step{"lremovexattr", []any{p, text("user.m")}}, step{"removexattr", []any{p, text("user.m")}},
			step{"faccessat", []any{cwd, p, unix.W_OK}}, step{"faccessat2", []any{cwd, p, unix.R_OK | unix.W_OK, unix.AT_EACCESS}}, step{"faccessat2", []any{cwd, p, unix.X_OK, unix.AT_SYMLINK_NOFOLLOW}}, step{"faccessat2", []any{cwd, p, unix.W_OK, 1 << 20}}, step{"faccessat2", []any{file, p, unix.W_OK, unix.AT_EMPTY_PATH}}, step{"faccessat2", []any{cwd, p, unix.R_OK, unix.AT_EMPTY_PATH}})
	}
	for _, at := range []any{file, dir, name, link, 999, -1} {
		steps = append(steps, step{"fchownat", []any{at, text(""), -1, -1, unix.AT_EMPTY_PATH}}, step{"utimensat", []any{at, text(""), timesOf(15, 0, 26, 0), unix.AT_EMPTY_PATH}}, step{"fchmod", []any{at, 0o700}}, step{"fchown", []any{at, -1, -1}}, step{"utimensat", []any{at, 0, timesOf(14, 0, 25, 0), 0}}, step{"fsetxattr", []any{at, text("user.m"), text("w"), 1, 0}}, step{"fremovexattr", []any{at, text("user.m")}}, step{"fremovexattr", []any{at, text("user.m")}}, step{"mkdirat", []any{at, text("made"), 0o700}}, step{"openat", []any{at, text("opened"), creat, 0o600}}, step{"unlinkat", []any{at, text("made"), unix.AT_REMOVEDIR}}, step{"utimensat", []any{at, 0, 0, 0}})
	}
	steps = append(steps, step{"fsetxattr", []any{file, text("user.m"), text("last"), 4, 0}}, step{"utimensat", []any{cwd, 0, timesOf(1, 0, 1, 0), 0}}, step{"utimensat", []any{cwd, 1, timesOf(1, 0, 1, 0), 0}}, step{"mkdirat", []any{cwd, 1, 0o755}}, step{"openat", []any{cwd, 1, creat, 0}}, step{"symlinkat", []any{1, cwd, "x"}}, step{"linkat", []any{cwd, 1, cwd, "x", 0}}, step{"linkat", []any{cwd, "f", cwd, 1, 0}}, step{"renameat2", []any{cwd, 1, cwd, "x", 0}}, step{"renameat2", []any{cwd, "f", cwd, 1, 0}}, step{"unlinkat", []any{cwd, 1, 0}}, step{"setxattr", []any{"f", 1, text("v"), 1, 0}}, step{"setxattr", []any{"f", text("user.m"), 1, 1, 0}}, step{"utimensat", []any{cwd, "f", 1, 0}}, step{"faccessat", []any{cwd, 1, 0}}, step{"truncate", []any{1, 0}},
		step{"chdir", []any{"d"}}, step{"mkdirat", []any{cwd, text("here"), 0o700}}, step{"openat", []any{cwd, text("../there"), creat, 0o600}}, step{"openat", []any{cwd, text("/dev/fd/999"), writes, 0}}, step{"openat", []any{cwd, text(fmt.Sprintf("%s/x", strings.Repeat("n", 300))), creat, 0o600}}, step{"mkdirat", []any{cwd, text(strings.Repeat("n", 300)), 0o700}}, step{"mkdirat", []any{cwd, text(strings.Repeat("d/", 2500)), 0o700}})

	bare, ws := filepath.Join(world(t, prefixed(setup)...), "ws"), filepath.Join(world(t, prefixed(setup)...), "ws")
	want := unmediated(t, bare, steps)
	have, reports := mediated(t, ws, plan.Writes{Folders: []string{ws}}, steps)
	for i, s := range steps {
		if have[i] != want[i] {
			t.Errorf("%d: %v: %v, without a mediator %v", i, s, have[i], want[i])
		}
	}
	if a, b := tree(t, bare), tree(t, ws); a != b {
		t.Errorf("left behind\n%s\nwithout a mediator\n%s", b, a)
	}
	for _, r := range reports {
		t.Errorf("reported %+v", r)
	}
}

// prefixed puts the entries into the folder ws.
func prefixed(entries []string) (out []string) {
	for _, e := range entries {
		out = append(out, "ws/"+e)
	}
	return out
}

// told formats a report without what every report has.
func told(c notify.Call, dir string) string {
	s := fmt.Sprintf("%s %s", c.Name, unix.ErrnoName(c.Errno))
	for name, v := range map[string]string{"path": c.Path} {
		if v != "" {
			s += " " + name + " " + v
		}
	}
	if c.Place != "" {
		s += " in " + c.Place + ": " + c.Why
	}
	if c.Single != "" {
		s += " beside " + c.Single + " of " + c.Folder
	}
	if c.Socket {
		s += " a socket"
	}
	if c.Addr.IsValid() {
		s += " " + c.Addr.String()
	}
	return strings.ReplaceAll(s, dir, "DIR")
}

// What a protected place holds, and what would lead it elsewhere, stays as it is,
// whatever the call; the report names the place and the reason. A program that only
// looks, or tries in vain, is not reported.
func TestProtectedPlacesStay(t *testing.T) {
	const (
		git   = "in DIR/.git: protected: .git"
		hooks = "in DIR/team: protected: DIR/.git/hooks leads to it"
		below = ": a protected place is below it"
		bare  = ": git would take the folder for a repository, and run what its configuration names"
	)
	setup := []string{".git/config: [core]", ".git/hooks -> ../team", "team/pre-commit: x", "f: x", "d/sub/.git/HEAD: x", "d/f: x", "half/HEAD: x", "half/objects/", "l -> .git/config", "lg -> .git", "cfg: x", ".envrc: e", "free/.vscode/x: x", "plain/", "holds/bare/HEAD: x", "holds/bare/objects/", "holds/bare/refs/"}
	ws := filepath.Join(world(t, prefixed(setup)...), "ws")
	if err := os.Link(filepath.Join(ws, "cfg"), filepath.Join(ws, ".git/alias")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, filepath.Join(ws, ".git")) + tree(t, filepath.Join(ws, "team"))
	type row struct {
		step step
		want string // errno, or "" for success
		told string
	}
	for group, rows := range [][]row{{ // opens
		{step{"openat", []any{cwd, ".git/config", writes, 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"openat", []any{cwd, ".git/config", unix.O_RDONLY, 0}}, "", ""},
		{step{"openat", []any{cwd, ".git/config", unix.O_RDONLY | unix.O_TRUNC, 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"openat", []any{cwd, ".envrc", unix.O_RDONLY | unix.O_CREAT, 0}}, "", ""},
		{step{"openat", []any{cwd, ".git/new", creat, 0o600}}, "EROFS", "path DIR/.git/new " + git},
		{step{"openat", []any{cwd, ".git/new", unix.O_RDONLY | unix.O_CREAT, 0o600}}, "EROFS", "path DIR/.git/new " + git},
		{step{"openat", []any{cwd, ".git/new", writes, 0}}, "ENOENT", ""},
		{step{"openat", []any{cwd, ".git/new", unix.O_RDONLY, 0}}, "ENOENT", ""},
		{step{"openat", []any{cwd, "l", writes, 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"openat", []any{cwd, "lg/new", creat, 0o600}}, "EROFS", "path DIR/.git/new " + git},
		{step{"openat", []any{cwd, "team/pre-commit", writes, 0}}, "EROFS", "path DIR/team/pre-commit " + hooks},
		{step{"openat", []any{cwd, "team/new", creat, 0o600}}, "EROFS", "path DIR/team/new " + hooks},
		{step{"openat", []any{cwd, ".git", unix.O_RDWR | unix.O_TMPFILE, 0o600}}, "EROFS", "path DIR/.git " + git},
		{step{"openat", []any{cwd, "d/.envrc", creat, 0o600}}, "EROFS", "path DIR/d/.envrc in DIR/d/.envrc: protected: .envrc"},
		{step{"openat", []any{cwd, "f", writes, 0}}, "", ""},
		{step{"openat", []any{cwd, "free/.vscode/x", writes, 0}}, "", ""},
		{step{"openat", []any{cwd, "half/refs", creat, 0o600}}, "EROFS", "path DIR/half/refs in DIR/half" + bare},
		{step{"openat", []any{cwd, "half/commondir", creat | unix.O_EXCL, 0o600}}, "EROFS", "path DIR/half/commondir in DIR/half" + bare},
		{step{"openat", []any{cwd, "half/HEAD", writes, 0o600}}, "", ""},
		{step{"openat", []any{cwd, "plain/HEAD", creat, 0o600}}, "", ""},
	}, { // names
		{step{"mkdirat", []any{cwd, ".git/x", 0o700}}, "EROFS", "path DIR/.git/x " + git},
		{step{"mkdirat", []any{cwd, ".git", 0o700}}, "EEXIST", ""},
		{step{"mkdirat", []any{cwd, "plain/.hg", 0o700}}, "EROFS", "path DIR/plain/.hg in DIR/plain/.hg: protected: .hg"},
		{step{"mkdirat", []any{cwd, "half/refs", 0o700}}, "EROFS", "path DIR/half/refs in DIR/half" + bare},
		{step{"mknodat", []any{cwd, "half/refs", unix.S_IFREG | 0o600, 0}}, "EROFS", "path DIR/half/refs in DIR/half" + bare},
		{step{"mknodat", []any{cwd, "team/x", unix.S_IFREG | 0o600, 0}}, "EROFS", "path DIR/team/x " + hooks},
		{step{"symlinkat", []any{text("to"), cwd, ".zed"}}, "EROFS", "path DIR/.zed in DIR/.zed: protected: .zed"},
		{step{"symlinkat", []any{text("to"), cwd, ".config"}}, "EROFS", "path DIR/.config in DIR/.config" + below},
		{step{"symlinkat", []any{text("to"), cwd, "half/refs"}}, "EROFS", "path DIR/half/refs in DIR/half" + bare},
		{step{"mkdirat", []any{cwd, ".config", 0o700}}, "", ""},
		{step{"symlinkat", []any{text("to"), cwd, ".config"}}, "EEXIST", ""},
		{step{"linkat", []any{cwd, "f", cwd, ".git/f", 0}}, "EROFS", "path DIR/.git/f " + git},
		{step{"linkat", []any{cwd, ".git/config", cwd, "mine", 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"linkat", []any{cwd, "f", cwd, "half/refs", 0}}, "EROFS", "path DIR/half/refs in DIR/half" + bare},
		{step{"linkat", []any{cwd, "l", cwd, ".local", 0}}, "EROFS", "path DIR/.local in DIR/.local" + below},
		{step{"linkat", []any{cwd, "f", cwd, "f2", 0}}, "", ""},
	}, { // names that go, or become others
		{step{"unlinkat", []any{cwd, ".git/config", 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"unlinkat", []any{cwd, ".git/none", 0}}, "EROFS", ""},
		{step{"unlinkat", []any{cwd, ".envrc", 0}}, "EROFS", "path DIR/.envrc in DIR/.envrc: protected: .envrc"},
		{step{"unlinkat", []any{cwd, "team", unix.AT_REMOVEDIR}}, "EROFS", "path DIR/team " + hooks},
		{step{"unlinkat", []any{cwd, "f2", 0}}, "", ""},
		{step{"renameat2", []any{cwd, ".git", cwd, "g", 0}}, "EROFS", "path DIR/.git " + git},
		{step{"renameat2", []any{cwd, "d", cwd, "e", 0}}, "EROFS", "path DIR/d in DIR/d/sub/.git: protected: .git"},
		{step{"renameat2", []any{cwd, "d/f", cwd, "d/.envrc", 0}}, "EROFS", "path DIR/d/.envrc in DIR/d/.envrc: protected: .envrc"},
		{step{"renameat2", []any{cwd, "none", cwd, "d/.envrc", 0}}, "EROFS", ""},
		{step{"renameat2", []any{cwd, "l", cwd, ".local", 0}}, "EROFS", "path DIR/.local in DIR/.local" + below},
		{step{"renameat2", []any{cwd, ".local", cwd, "l", unix.RENAME_EXCHANGE}}, "ENOENT", ""},
		{step{"renameat2", []any{cwd, "d/f", cwd, "half/refs", 0}}, "EROFS", "path DIR/half/refs in DIR/half" + bare},
		{step{"renameat2", []any{cwd, "plain", cwd, "plain2", 0}}, "", ""},
		{step{"renameat2", []any{cwd, "plain2", cwd, "d/sub", unix.RENAME_EXCHANGE}}, "EROFS", "path DIR/d/sub in DIR/d/sub/.git: protected: .git"},
		{step{"renameat2", []any{cwd, "holds", cwd, "held", 0}}, "EROFS", "path DIR/holds in DIR/holds/bare: protected: git takes the folder for a repository"},
		{step{"renameat2", []any{cwd, "free", cwd, "free2", 0}}, "EROFS", "path DIR/free in DIR/free2/.vscode: protected: .vscode"},
	}, { // attributes
		{step{"truncate", []any{".git/config", 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"truncate", []any{".git/none", 0}}, "ENOENT", ""},
		{step{"fchmodat", []any{cwd, "l", 0o600}}, "EROFS", "path DIR/.git/config " + git},
		{step{"fchmodat2", []any{cwd, ".envrc", 0o600, unix.AT_SYMLINK_NOFOLLOW}}, "EROFS", "path DIR/.envrc in DIR/.envrc: protected: .envrc"},
		{step{"fchownat", []any{cwd, "team/pre-commit", -1, -1, 0}}, "EROFS", "path DIR/team/pre-commit " + hooks},
		{step{"utimensat", []any{cwd, ".git", 0, 0}}, "EROFS", "path DIR/.git " + git},
		{step{"setxattr", []any{".git/config", text("user.m"), text("v"), 1, 0}}, "EROFS", "path DIR/.git/config " + git},
		{step{"lremovexattr", []any{".git/config", text("user.m")}}, "EROFS", "path DIR/.git/config " + git},
		{step{"faccessat", []any{cwd, ".git/config", unix.W_OK}}, "EROFS", ""},
		{step{"faccessat", []any{cwd, ".git/config", unix.R_OK}}, "", ""},
		{step{"faccessat", []any{cwd, "f", unix.W_OK}}, "", ""},
		{step{"fchmodat", []any{cwd, "cfg", 0o600}}, "EROFS", "path DIR/cfg in DIR/cfg: protected: it is DIR/.git/alias by another name"},
		{step{"openat", []any{cwd, "cfg", writes, 0}}, "EROFS", "path DIR/cfg in DIR/cfg: protected: it is DIR/.git/alias by another name"},
		{step{"openat", []any{cwd, "cfg", unix.O_RDONLY, 0}}, "", ""},
	}, { // by descriptors
		{step{"openat", []any{cwd, ".git/config", unix.O_RDONLY, 0}}, "", ""},
		{step{"fchmod", []any{fd(-1), 0o600}}, "EROFS", "path DIR/.git/config " + git},
		{step{"openat", []any{cwd, ".git", unix.O_RDONLY | unix.O_DIRECTORY, 0}}, "", ""},
		{step{"mkdirat", []any{fd(-1), text("y"), 0o700}}, "EROFS", "path DIR/.git/y " + git},
		{step{"openat", []any{cwd, "f", unix.O_RDONLY, 0}}, "", ""},
		{step{"fchmod", []any{fd(-1), 0o640}}, "", ""},
	}, { // outside of every folder, and through /proc
		{step{"openat", []any{cwd, "/proc/self/comm", writes, 0}}, "", ""},
		{step{"mkdirat", []any{cwd, "/proc/x", 0o700}}, "ENOENT", ""},
		{step{"openat", []any{cwd, "/proc/self/root/dev/null", writes, 0}}, "", ""},
		{step{"openat", []any{cwd, "/dev/null", unix.O_RDWR, 0}}, "", ""},
	}} {
		var steps []step
		last := 0
		for i, r := range rows {
			for j, a := range r.step.Args {
				if f, ok := a.(map[string]any); ok && f["fd"] == -1 {
					r.step.Args[j] = fd(last)
				}
			}
			if r.step.Name == "openat" {
				last = i
			}
			steps = append(steps, r.step)
		}
		have, reports := mediated(t, ws, plan.Writes{Folders: []string{ws}, Except: []string{ws + "/free/.vscode"}}, steps)
		var wanted []string
		for i, r := range rows {
			if have[i].Errno != r.want {
				t.Errorf("%d, %d: %v: %q, want %q", group, i, r.step, have[i].Errno, r.want)
			}
			if r.told != "" {
				wanted = append(wanted, r.step.Name+" EROFS "+r.told)
			}
		}
		var said []string
		for _, r := range reports {
			said = append(said, told(r, ws))
			if r.PID == 0 || r.Program == "" {
				t.Errorf("%+v", r)
			}
		}
		for i := range max(len(said), len(wanted)) {
			a, b := "nothing", "nothing"
			if i < len(said) {
				a = said[i]
			}
			if i < len(wanted) {
				b = wanted[i]
			}
			if a != b {
				t.Errorf("%d, report %d: %s\n want %s", group, i, a, b)
			}
		}
	}
	if after := tree(t, filepath.Join(ws, ".git")) + tree(t, filepath.Join(ws, "team")); after != before {
		t.Errorf("protected files are now\n%s\nwere\n%s", after, before)
	}
}
