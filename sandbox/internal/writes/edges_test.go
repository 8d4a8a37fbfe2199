package writes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// A program that passes a bad pointer hears of it, whichever argument it is, and does
// not go on as if its change were made.
func TestBadPointersAreNoSuccess(t *testing.T) {
	setup := []string{"f: before", "d/"}
	var steps []step
	add := func(name string, pointers []int, args ...any) {
		for _, i := range pointers {
			bad := append([]any{}, args...)
			bad[i] = 1
			steps = append(steps, step{name, bad})
		}
	}
	steps = append(steps, step{"openat", []any{cwd, "f", unix.O_RDWR, 0}})
	add("openat", []int{1}, cwd, "f", unix.O_RDWR, 0)
	add("mkdirat", []int{1}, cwd, "n", 0o700)
	add("mknodat", []int{1}, cwd, "n", unix.S_IFREG|0o600, 0)
	add("symlinkat", []int{0, 2}, text("to"), cwd, "n")
	add("linkat", []int{1, 3}, cwd, "f", cwd, "n", 0)
	add("unlinkat", []int{1}, cwd, "f", 0)
	add("unlinkat", []int{1}, cwd, "d", unix.AT_REMOVEDIR)
	add("renameat2", []int{1, 3}, cwd, "f", cwd, "n", 0)
	add("truncate", []int{0}, "f", 0)
	add("fchmodat", []int{1}, cwd, "f", 0o600)
	add("fchmodat2", []int{1}, cwd, "f", 0o600, unix.AT_SYMLINK_NOFOLLOW)
	add("fchownat", []int{1}, cwd, "f", -1, -1, 0)
	add("fchownat", []int{1}, fd(0), text(""), -1, -1, unix.AT_EMPTY_PATH)
	add("utimensat", []int{1, 2}, cwd, "f", timesOf(1, 0, 1, 0), 0)
	add("utimensat", []int{2}, fd(0), 0, timesOf(1, 0, 1, 0), 0)
	add("setxattr", []int{0, 1, 2}, "f", text("user.m"), text("v"), 1, 0)
	add("lsetxattr", []int{0, 1, 2}, "f", text("user.m"), text("v"), 1, 0)
	add("fsetxattr", []int{1, 2}, fd(0), text("user.m"), text("v"), 1, 0)
	steps = append(steps, step{"setxattr", []any{"f", text("user.m"), text("v"), 1, 0}})
	add("removexattr", []int{0, 1}, "f", text("user.m"))
	add("lremovexattr", []int{0, 1}, "f", text("user.m"))
	add("fremovexattr", []int{1}, fd(0), text("user.m"))
	add("faccessat", []int{1}, cwd, "f", unix.W_OK)
	add("faccessat2", []int{1}, cwd, "f", unix.W_OK, unix.AT_EACCESS)
	if len(older) > 0 {
		add("open", []int{0}, "f", unix.O_RDWR, 0)
		add("creat", []int{0}, "f", 0o600)
		add("mkdir", []int{0}, "n", 0o700)
		add("mknod", []int{0}, "n", unix.S_IFREG|0o600, 0)
		add("symlink", []int{0, 1}, text("to"), "n")
		add("link", []int{0, 1}, "f", "n")
		add("unlink", []int{0}, "f")
		add("rmdir", []int{0}, "d")
		add("rename", []int{0, 1}, "f", "n")
		add("renameat", []int{1, 3}, cwd, "f", cwd, "n")
		add("chmod", []int{0}, "f", 0o600)
		add("chown", []int{0}, "f", -1, -1)
		add("lchown", []int{0}, "f", -1, -1)
		add("utime", []int{0, 1}, "f", timesOf(1, 1, 0, 0))
		add("utimes", []int{0, 1}, "f", timesOf(1, 1, 1, 1))
		add("futimesat", []int{1, 2}, cwd, "f", timesOf(1, 1, 1, 1))
		add("access", []int{0}, "f", unix.W_OK)
	}
	agree(t, setup, steps)
}

// agree plays the steps with and without a mediator. The results, and what is left, are
// to be the same.
func agree(t *testing.T, setup []string, steps []step) {
	t.Helper()
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

// A path may be longer than one system call takes once the working directory stands
// before it, may begin at a descriptor that is no directory, and may end in a link into
// /proc: as without a mediator.
func TestOddPathsEndAsWithoutAMediator(t *testing.T) {
	name := strings.Repeat("n", 250)
	var steps []step
	for range 12 {
		steps = append(steps, step{"mkdirat", []any{cwd, text(name), 0o700}}, step{"chdir", []any{text(name)}})
	}
	back := strings.Repeat("../"+name+"/", 12)
	for _, p := range []any{text(back + "made"), text(back + "none/made"), text(back + "."), text(back[:len(back)-2] + "/made"), text(back + strings.Repeat("o", 300))} {
		steps = append(steps, step{"mkdirat", []any{cwd, p, 0o700}}, step{"openat", []any{cwd, p, creat, 0o600}}, step{"fchmodat", []any{cwd, p, 0o711}}, step{"unlinkat", []any{cwd, p, unix.AT_REMOVEDIR}}, step{"faccessat", []any{cwd, p, unix.W_OK}})
	}
	steps = append(steps, step{"openat", []any{cwd, text(back + "file"), creat, 0o600}})
	at := len(steps)
	steps = append(steps, step{"socket", []any{unix.AF_UNIX, unix.SOCK_STREAM, 0}})
	steps = append(steps, []step{{"openat", []any{fd(at), text("x"), creat, 0o600}}, {"mkdirat", []any{fd(at), text("x"), 0o700}}, {"unlinkat", []any{fd(at), text("x"), 0}}, {"renameat2", []any{fd(at), text("x"), cwd, text("y"), 0}}, {"renameat2", []any{cwd, text("file"), fd(at), text("y"), 0}}, {"linkat", []any{cwd, text("file"), fd(at), text("y"), 0}},
		{"symlinkat", []any{text("to"), fd(at), text("y")}}, {"fchmodat", []any{fd(at), text("x"), 0o600}}, {"faccessat", []any{fd(at), text("x"), unix.W_OK}}, {"fchmod", []any{fd(at), 0o755}}}...)
	for _, p := range []any{"comm", "fds"} {
		steps = append(steps, step{"openat", []any{cwd, p, writes, 0}}, step{"truncate", []any{p, 0}}, step{"faccessat", []any{cwd, p, unix.W_OK}}, step{"fchmodat", []any{cwd, p, 0o600}}, step{"unlinkat", []any{cwd, p, 0}})
	}
	for _, p := range []any{text("/tmp"), text("//tmp"), text("/tmp/"), text("/.."), text("/none-such")} { // directly below the root
		steps = append(steps, step{"unlinkat", []any{cwd, p, 0}}, step{"faccessat", []any{cwd, p, unix.W_OK}}, step{"truncate", []any{p, 0}}, step{"openat", []any{cwd, p, writes, 0}})
	}
	// The descriptor 0 is not meant by a path that names none.
	steps = append(steps, step{"openat", []any{cwd, "g", writes, 0}}, step{"dup3", []any{fd(len(steps)), 0, 0}}, step{"openat", []any{cwd, "/proc/self/comm", writes, 0}}, step{"write", []any{fd(len(steps) + 2), text("x"), 1}},
		step{"openat", []any{cwd, "/dev/stdin", writes | unix.O_TRUNC, 0}}, step{"truncate", []any{text("/proc/self/comm"), 0}})
	agree(t, []string{"f: x", "g: before", "comm -> /proc/self/comm", "fds -> /proc/self/fd"}, steps)
}

// A writable folder itself is neither moved, replaced nor removed: the profile's rule
// would then hold for a folder that the server made.
func TestWritableFoldersThemselvesStay(t *testing.T) {
	ws := filepath.Join(world(t, "ws/a/d/", "ws/a/f: x", "ws/b/", "ws/one.db: x"), "ws")
	before := tree(t, ws)
	var was unix.Stat_t
	if err := unix.Stat(ws+"/b", &was); err != nil {
		t.Fatal(err)
	}
	steps := []step{{"renameat2", []any{cwd, "a/d", cwd, "b", 0}}, {"renameat2", []any{cwd, "b", cwd, "a/x", 0}}, {"renameat2", []any{cwd, "a/d", cwd, "b", unix.RENAME_EXCHANGE}}, {"renameat2", []any{cwd, "b", cwd, "a/d", unix.RENAME_EXCHANGE}},
		{"unlinkat", []any{cwd, "b", unix.AT_REMOVEDIR}}, {"renameat2", []any{cwd, "b", cwd, "c", 0}}, {"mkdirat", []any{cwd, "c", 0o700}}, {"renameat2", []any{cwd, "a/f", cwd, "one.db", 0}}, {"renameat2", []any{cwd, "one.db", cwd, "a/db", 0}}}
	have, reports := mediated(t, ws, plan.Writes{Folders: []string{ws + "/a", ws + "/b"}, Singles: []plan.Single{{File: ws + "/one.db", Folder: ws}}}, steps)
	for i, s := range steps {
		if have[i].Errno == "" {
			t.Errorf("%v: was made", s)
		}
	}
	var st unix.Stat_t
	if after := tree(t, ws); after != before || unix.Stat(ws+"/b", &st) != nil || st.Ino != was.Ino {
		t.Errorf("left behind\n%s\nwas\n%s", after, before)
	}
	var said []string
	for _, r := range reports {
		said = append(said, told(r, ws))
	}
	const beside = " beside DIR/one.db of DIR"
	if got, want := strings.Join(said, "\n"), strings.Join([]string{"renameat2 EROFS path DIR/c" + beside, "mkdirat EROFS path DIR/c" + beside, "renameat2 EBUSY path DIR/one.db" + beside, "renameat2 EBUSY path DIR/one.db" + beside}, "\n"); got != want {
		t.Errorf("reported\n%s\nwant\n%s", got, want)
	}
}

// While a name is moved or a folder removed, no other call is under way: what was
// decided for a path could otherwise hold for another file. The others share the tree.
func TestNothingElseRunsWhileANameMoves(t *testing.T) {
	changes := []uintptr{unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_RENAMEAT, unix.SYS_TRUNCATE, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_SETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_OPENAT2}
	for i, m := range everyCall() {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if m.before != nil {
			if err := m.before(dir); err != nil {
				t.Skipf("%v: %v", m, err)
			}
		}
		alone := strings.HasPrefix(m.name, "rename") || m.name == "rmdir" || m.name == "unlinkat" && m.args[2] == unix.AT_REMOVEDIR
		looked := 0
		media := mediator(dir)
		look := func(fault.Call) fault.Answer {
			looked++
			shared := media.tree.TryRLock()
			if shared {
				media.tree.RUnlock()
			}
			free := media.tree.TryLock()
			if free {
				media.tree.Unlock()
			}
			if shared == alone || free {
				t.Errorf("%d: %v: others may look %v, and change %v", i, m, shared, free)
			}
			return fault.Pass
		}
		if e := fault.Watch(changes, look, func() { _, err = m.tryWith(media, dir) }); e != nil {
			t.Fatal(e)
		}
		if err != nil || looked == 0 || !m.after(dir) {
			t.Errorf("%v: %v, looked at %d times", m, err, looked)
		}
	}
}

// What git follows only by a name in a file, or by a file that this machine's git does
// not read yet, is held, too.
func TestScanFollowsGitsFiles(t *testing.T) {
	root := world(t, "ws/.git/config.worktree: [core]|hooksPath = wt-hooks", "ws/wt-hooks/x", "ws/sub/.git: gitdir: ../later/git", "ws/main.go", "ws/module/.git/modules/a/b/HEAD", "ws/module/.git/modules/a/b/config: [core]|hooksPath = deep", "ws/deep/x")
	ws := filepath.Join(root, "ws")
	j, found := scanned(plan.Writes{Folders: []string{ws}})
	for _, kept := range []string{"wt-hooks/x", "later/git/config", "later/git"} {
		if s, _ := j.At(filepath.Join(ws, kept), found.known); s != plan.Kept {
			t.Errorf("%s may be changed", kept)
		}
	}
	if s, held := j.At(filepath.Join(ws, "main.go"), found.known); s != plan.Changing {
		t.Errorf("main.go may not be changed: %+v", held)
	}
}

// A configuration of git's that the disk does not give is no configuration without
// hooks, and a thread whose umask cannot be read gets no file.
func TestFilesThatCannotBeRead(t *testing.T) {
	p := filepath.Join(world(t, "config: [core]|hooksPath = hooks"), "config")
	for _, c := range []struct {
		number uintptr
		what   func() error
	}{
		{unix.SYS_READ, func() error { _, err := readSmall(p); return err }},
		{unix.SYS_FSTAT, func() error { _, err := readSmall(p); return err }},
		{unix.SYS_OPENAT, func() error { _, err := readSmall(p); return err }},
		{unix.SYS_READ, func() error { _, err := umaskOf(unix.Gettid()); return err }},
		{unix.SYS_OPENAT, func() error { _, err := umaskOf(unix.Gettid()); return err }},
	} {
		for _, errno := range []unix.Errno{0, unix.EIO} {
			var err error
			if e := fault.Watch([]uintptr{c.number}, func(f fault.Call) fault.Answer {
				if errno == 0 || !f.Own {
					return fault.Pass
				}
				return fault.Fail(errno)
			}, func() { err = c.what() }); e != nil {
				t.Fatal(e)
			}
			if (err == nil) != (errno == 0) {
				t.Errorf("system call %d ends in %v: %v", c.number, errno, err)
			}
		}
	}
}

// A call leaves the mediator no descriptor, whatever fails on the way: a server that
// tries often enough would leave it none.
func TestCallsLeaveNoDescriptor(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	open := func() (names string) {
		_ = beside(func() error {
			all, err := os.ReadDir("/proc/self/fd")
			for _, e := range all {
				if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && (strings.HasPrefix(to, base) || strings.HasSuffix(to, "/status") || to == "/") {
					names += e.Name() + " " + to + "\n"
				}
			}
			return err
		})
		return names
	}
	n := 0
	for _, m := range everyCall() {
		_, err := fault.Each([]uintptr{unix.SYS_OPENAT2, unix.SYS_FSTAT, unix.SYS_READLINKAT, unix.SYS_READ, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_FACCESSAT2}, unix.EIO, nil, func() error {
			n++
			dir := filepath.Join(base, fmt.Sprint(n))
			if err := beside(func() error {
				if err := os.MkdirAll(dir, 0o755); err != nil || m.before == nil {
					return err
				}
				return m.before(dir)
			}); err != nil {
				return err
			}
			before := open()
			_, err := m.try(dir)
			if after := open(); after != before {
				t.Errorf("%v ends in %v, and open are\n%s\nwere\n%s", m, err, after, before)
			}
			return err
		})
		if err != nil {
			t.Errorf("%v: %v", m, err)
		}
	}
}

// A path whose start cannot be found is not looked for in the mediator's own working
// directory.
func TestAStartThatCannotBeReadIsNone(t *testing.T) {
	c := &call{r: &notify.Request{TID: unix.Gettid()}}
	for _, dir := range []int{unix.AT_FDCWD, 0} {
		for _, errno := range []unix.Errno{unix.EACCES, unix.EIO} {
			var at string
			var told error
			if err := fault.Watch([]uintptr{unix.SYS_READLINKAT}, func(fault.Call) fault.Answer { return fault.Fail(errno) }, func() { at, told = c.start(dir, "x") }); err != nil {
				t.Fatal(err)
			}
			if told != errno || at != "" {
				t.Errorf("from %d: %q, %v; want %v", dir, at, told, errno)
			}
		}
	}
	if _, err := c.start(-1, "x"); err != unix.EBADF {
		t.Errorf("no descriptor: %v", err)
	}
	if at, err := c.start(-1, "/x"); at != "" || err != nil {
		t.Errorf("an absolute path needs none: %q, %v", at, err)
	}
}

// A file that takes the name of the thread's file, between the look at the name and the
// opening, is not changed in its stead.
func TestDescriptorsAreNoOtherFiles(t *testing.T) {
	dir := world(t, "mine: x", "other: y", "third: z")
	fd, err := unix.Open(filepath.Join(dir, "mine"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	c := &call{r: &notify.Request{TID: unix.Getpid()}}
	defer c.close()
	if own, real, err := c.descriptor(fd); err != nil || own < 0 || real != filepath.Join(dir, "mine") {
		t.Errorf("as it is: %d, %q, %v", own, real, err)
	}
	for what, n := range map[string]int{"a pipe": pipe[0], "none": 1 << 20, "less than none": -1} {
		if own, real, err := c.descriptor(n); err != errElsewhere || own != -1 || real != "" {
			t.Errorf("%s: %d, %q, %v", what, own, real, err)
		}
	}
	swapped := false
	var told error
	if err := fault.Watch([]uintptr{unix.SYS_OPENAT2}, func(fault.Call) fault.Answer {
		if !swapped {
			swapped = true
			if err := os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, "mine")); err != nil {
				t.Error(err)
			}
		}
		return fault.Pass
	}, func() { _, _, told = c.descriptor(fd) }); err != nil {
		t.Fatal(err)
	}
	if told != errElsewhere || !swapped {
		t.Errorf("another file by its name: %v, swapped %v", told, swapped)
	}
	if _, _, err := c.descriptor(fd); err != errElsewhere {
		t.Errorf("a file that is gone: %v", err)
	}
}

// With whatever number of descriptors a scan has, it finds all that is protected or
// holds all.
func TestScanFindsAllOrHoldsAll(t *testing.T) {
	root := world(t, "ws/a/.git/hooks -> ../../x", "ws/a/.git/config: [core]|hooksPath = y|[include]|path = ../../z/cfg", "ws/a/.git/modules/m/HEAD", "ws/a/.git/modules/m/config: [core]|hooksPath = sub", "ws/a/.vscode/tasks -> ../../v/tasks",
		"ws/x/pre-commit", "ws/a/y/pre-commit", "ws/z/cfg: [core]|fsmonitor = w/run", "ws/a/w/run: x", "ws/v/tasks/t", "ws/main.go")
	ws := filepath.Join(root, "ws")
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	whole := 0
	for spare := range 48 {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limitFor(spare), Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		j, found := scanned(plan.Writes{Folders: []string{ws}})
		findAliases(found.protected) // closes what the scan holds open
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if s, _ := j.At(filepath.Join(ws, "main.go"), found.known); s == plan.Kept {
			continue
		}
		whole++
		for _, kept := range []string{"x/pre-commit", "a/y/pre-commit", "z/cfg", "a/w/run", "v/tasks/t", "a/.git/modules/m/config"} {
			if s, _ := j.At(filepath.Join(ws, kept), found.known); s != plan.Kept {
				t.Errorf("with %d descriptors %s may be changed, and main.go", spare, kept)
			}
		}
	}
	if whole == 0 || whole > 44 {
		t.Errorf("%d of 48 scans were whole", whole)
	}
}

// Every call that takes a directory's descriptor begins there: in a folder of the
// user's, at a file, at no descriptor, and by a link to one.
func TestCallsBeginAtADescriptor(t *testing.T) {
	steps := []step{{"openat", []any{cwd, "d", unix.O_RDONLY | unix.O_DIRECTORY, 0}}, {"openat", []any{cwd, "ld", unix.O_RDONLY | unix.O_DIRECTORY, 0}}, {"openat", []any{cwd, "f", unix.O_RDONLY, 0}}, {"openat", []any{cwd, "e", unix.O_PATH, 0}}}
	for i, at := range []any{fd(0), fd(1), fd(2), fd(3), 999} {
		n := func(s string) text { return text(fmt.Sprintf("%s%d", s, i)) }
		steps = append(steps, step{"mkdirat", []any{at, n("dir"), 0o750}}, step{"mknodat", []any{at, n("plain"), 0o604, 0}}, step{"mknodat", []any{at, n("file"), unix.S_IFREG | 0o640, 0}}, step{"mknodat", []any{at, n("fifo"), unix.S_IFIFO | 0o600, 0}},
			step{"symlinkat", []any{text("to"), at, n("link")}}, step{"openat", []any{at, n("opened"), creat, 0o600}}, step{"linkat", []any{at, n("file"), at, n("hard"), 0}}, step{"linkat", []any{cwd, "f", at, n("hard2"), 0}}, step{"linkat", []any{at, n("file"), cwd, fmt.Sprintf("hard3%d", i), 0}},
			step{"renameat2", []any{at, n("plain"), at, n("moved"), 0}}, step{"renameat2", []any{at, n("moved"), cwd, fmt.Sprintf("moved%d", i), 0}}, step{"renameat2", []any{cwd, fmt.Sprintf("moved%d", i), at, n("back"), 0}},
			step{"fchmodat", []any{at, n("file"), 0o700}}, step{"fchmodat2", []any{at, n("opened"), 0o711, unix.AT_SYMLINK_NOFOLLOW}}, step{"fchownat", []any{at, n("file"), -1, -1, 0}}, step{"utimensat", []any{at, n("file"), timesOf(10, 0, int64(20+i), 0), 0}},
			step{"faccessat", []any{at, n("file"), unix.W_OK}}, step{"faccessat2", []any{at, n("file"), unix.W_OK, unix.AT_EACCESS}}, step{"unlinkat", []any{at, n("hard"), 0}}, step{"unlinkat", []any{at, n("dir"), unix.AT_REMOVEDIR}})
		if len(older) > 0 {
			steps = append(steps, step{"renameat", []any{at, n("back"), at, n("again")}}, step{"futimesat", []any{at, n("opened"), timesOf(30, 1, int64(31+i), 2)}})
		}
	}
	// A file without a name gets one by its descriptor (open(2), O_TMPFILE).
	named := func(s step, by string, flags int) {
		at := len(steps)
		steps = append(steps, s, step{"dup3", []any{fd(at), 100, 0}}, step{"write", []any{fd(at), text("new"), 3}}, step{"linkat", []any{cwd, text("/proc/self/fd/100"), cwd, by, flags}})
	}
	named(step{"openat", []any{cwd, "d", unix.O_RDWR | unix.O_TMPFILE, 0o640}}, "tmp1", unix.AT_SYMLINK_FOLLOW)
	named(step{"openat", []any{cwd, "d", unix.O_WRONLY | unix.O_TMPFILE, 0o604}}, "d/tmp2", unix.AT_SYMLINK_FOLLOW)
	named(step{"openat", []any{cwd, "d", unix.O_RDWR | unix.O_TMPFILE, 0o600}}, "d/tmp2", unix.AT_SYMLINK_FOLLOW)
	named(step{"openat", []any{cwd, "d", unix.O_RDWR | unix.O_TMPFILE | unix.O_EXCL, 0o600}}, "tmp3", unix.AT_SYMLINK_FOLLOW)
	named(step{"openat", []any{cwd, "f", unix.O_RDWR, 0}}, "tmp4", unix.AT_SYMLINK_FOLLOW)
	agree(t, []string{"f: x", "d/in: x", "e/", "ld -> d"}, steps)
}

// A place to which a protected one leads is held before it exists: the folder above it
// may not be moved away, nor exchanged.
func TestPlacesThatAreToComeAreHeld(t *testing.T) {
	ws := filepath.Join(world(t, "ws/.vscode/launch.json -> ../later/deep/launch.json", "ws/later/deep/", "ws/other/", "ws/plain: x"), "ws")
	steps := []step{{"renameat2", []any{cwd, "later", cwd, "away", 0}}, {"renameat2", []any{cwd, "later/deep", cwd, "deep", 0}}, {"renameat2", []any{cwd, "other", cwd, "later", unix.RENAME_EXCHANGE}}, {"renameat2", []any{cwd, "plain", cwd, "later/deep/launch.json", 0}}, {"unlinkat", []any{cwd, "later/deep", unix.AT_REMOVEDIR}}, {"openat", []any{cwd, "later/deep/launch.json", creat, 0o600}},
		{"openat", []any{cwd, "later/deep/new", creat, 0o600}}, {"renameat2", []any{cwd, "other", cwd, "another", 0}}}
	have, reports := mediated(t, ws, plan.Writes{Folders: []string{ws}}, steps)
	for i, s := range steps {
		if want := map[bool]string{true: "EROFS"}[i < 6]; have[i].Errno != want {
			t.Errorf("%v: %q, want %q", s, have[i].Errno, want)
		}
	}
	if len(reports) != 6 {
		t.Errorf("%d reports: %+v", len(reports), reports)
	}
	for _, r := range reports {
		if !strings.Contains(r.Why, ws+"/.vscode/launch.json leads to it") && !strings.Contains(r.Place, "later/deep/launch.json") {
			t.Errorf("reported %+v", r)
		}
	}
}

// An error that is no errno is a failure all the same.
func TestEveryFailureFails(t *testing.T) {
	for err, want := range map[error]outcome{nil: {}, unix.EACCES: {errno: unix.EACCES}, os.ErrNotExist: {errno: unix.EIO}, errElsewhere: {errno: unix.EIO}} {
		if got := failed(err); got != want {
			t.Errorf("%v: %+v", err, got)
		}
		if got := opened(7, err, 3); (err == nil) != got.hands || err != nil && got != want {
			t.Errorf("opened, %v: %+v", err, got)
		}
	}
	if got := elsewhere(fmt.Errorf("looked: %w", unix.ENOTDIR)); got.native || got.errno != unix.ENOTDIR {
		t.Errorf("%+v", got)
	}
	if got := elsewhere(errElsewhere); got != native {
		t.Errorf("%+v", got)
	}
}

// A protected place that cannot be found again may have any other name: then no file
// with several names is changed. One that nobody may look at has no name that a server
// could open.
func TestPlacesThatAreNotFoundAgain(t *testing.T) {
	for errno, cut := range map[unix.Errno]bool{0: false, unix.ENOENT: true, unix.ENOTDIR: true, unix.EMFILE: true, unix.ENFILE: true, unix.ENOMEM: true, unix.EACCES: false} {
		p := filepath.Join(world(t, "place: x"), "place")
		var a aliases
		if err := fault.Watch([]uintptr{unix.SYS_OPENAT}, func(fault.Call) fault.Answer {
			if errno != 0 {
				return fault.Fail(errno)
			}
			return fault.Pass
		}, func() { a = findAliases([]protectedPlace{{p, -1}}) }); err != nil {
			t.Fatal(err)
		}
		if a.cut != cut || len(a.inodes) > 0 {
			t.Errorf("%v: %+v", errno, a)
		}
	}
}

// An open keeps its flags: a file opened to be synchronous, or asynchronous, is.
func TestFlagsOfAnOpenStay(t *testing.T) {
	var steps []step
	for _, name := range []string{"f", "new", "l"} {
		for _, flag := range []int{0, unix.O_SYNC, unix.O_DSYNC, unix.O_ASYNC, unix.O_DIRECT, unix.O_NOATIME, unix.O_NOCTTY, unix.O_APPEND, unix.O_NONBLOCK, unix.O_CLOEXEC, 1 << 25, 1 << 30} {
			for _, how := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_ACCMODE, unix.O_RDONLY | unix.O_TRUNC, unix.O_RDWR | unix.O_TRUNC, unix.O_WRONLY | unix.O_CREAT} {
				steps = append(steps, step{"openat", []any{cwd, name, how | flag, 0o640}})
			}
		}
	}
	agree(t, []string{"f: before", "l -> f"}, steps)
	for _, c := range []struct {
		flags uint64
		kind  uint32
		fails bool
	}{{0, unix.S_IFREG, true}, {unix.O_NONBLOCK, unix.S_IFREG, false}, {unix.O_NONBLOCK | unix.O_TRUNC, unix.S_IFREG, true}, {unix.O_NONBLOCK | unix.O_TRUNC | unix.O_RDWR, unix.S_IFREG, true}, {unix.O_NONBLOCK | unix.O_TRUNC, unix.S_IFIFO, false}} {
		if err := settle(-1, c.flags, c.kind); (err != nil) != c.fails {
			t.Errorf("%#x of kind %#o: %v", c.flags, c.kind, err)
		}
	}
}

// A scan, and a path too long for one call, leave no descriptor.
func TestLooksLeaveNoDescriptor(t *testing.T) {
	root := world(t, "ws/.git/config: x", "ws/.git/modules/a/HEAD", "ws/.git/worktrees/w/HEAD", "ws/.git/hooks -> ../team", "ws/team/x", "ws/.vscode/x", "ws/py/pyvenv.cfg")
	open := func() (n int) {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && (strings.HasPrefix(to, root) || to == "/") {
				n++
			}
		}
		return n
	}
	before := open()
	_, found := scanned(plan.Writes{Folders: []string{filepath.Join(root, "ws")}})
	findAliases(found.protected)
	if after := open(); after != before {
		t.Errorf("a scan left %d descriptors", after-before)
	}
	c := &call{r: &notify.Request{TID: unix.Getpid()}}
	for _, end := range []string{"", "none", "py/pyvenv.cfg/x"} {
		long := root + "/" + strings.Repeat("ws/../", 1000) + end
		fd, real, err := c.directory(long)
		if (err == nil) != (end == "") || err == nil && (real != root || fd < 0) {
			t.Errorf("%q: %d, %q, %v", end, fd, real, err)
		}
		c.close()
		if after := open(); after != before {
			t.Errorf("%q left %d descriptors", end, after-before)
		}
	}
}

// A link or a folder that would stand above a place that is to come is not made where a
// protected place leads: it would redirect that place. A repository that somebody made
// after the scan is found when its folder is moved.
func TestPlacesAreNotRedirected(t *testing.T) {
	ws := filepath.Join(world(t, "ws/.vscode/launch.json -> ../future/launch.json", "ws/plain: x"), "ws")
	steps := []step{{"symlinkat", []any{text("elsewhere"), cwd, "future"}}, {"symlinkat", []any{text("elsewhere"), cwd, "other"}}, {"renameat2", []any{cwd, "other", cwd, "future", 0}}, {"linkat", []any{cwd, "other", cwd, "future", 0}}}
	have, reports := mediated(t, ws, plan.Writes{Folders: []string{ws}}, steps)
	for i, want := range []string{"EROFS", "", "EROFS", "EROFS"} {
		if have[i].Errno != want {
			t.Errorf("%v: %q, want %q", steps[i], have[i].Errno, want)
		}
	}
	if len(reports) != 3 {
		t.Errorf("reported %+v", reports)
	}
	root := world(t, "holds/bare/HEAD: x", "holds/bare/objects/", "holds/bare/refs/", "plain/HEAD: x", "gone/")
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c := &call{m: mediator(root)}
	for base, want := range map[string]bool{"holds": true, "plain": false} {
		held, found := c.carries(entry{dir: fd, in: root, base: base}, entry{dir: fd, in: root, base: "new"})
		if found != want || found && (held.Place != root+"/holds/bare" || held.Why != "git takes the folder for a repository") {
			t.Errorf("%s: %+v, %v", base, held, found)
		}
	}
	gone, err := unix.Open(root+"/gone", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(gone)
	if p, err := realPath(gone); err != nil || p != root+"/gone" {
		t.Errorf("%q, %v", p, err)
	}
	if err := os.Remove(root + "/gone"); err != nil {
		t.Fatal(err)
	}
	if p, err := realPath(gone); err != unix.ENOENT || p != "" {
		t.Errorf("removed: %q, %v", p, err)
	}
}
