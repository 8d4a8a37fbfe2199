package writes

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
)

// A single file can be changed in place. What a program tries beside it, or in its
// stead, fails, and the report names the file and the folder that a rule may name.
func TestNothingIsMadeBesideASingleFile(t *testing.T) {
	ws := filepath.Join(world(t, "ws/one.db: x", "ws/other: x", "ws/sub/f: x"), "ws")
	beside := func(name, errno string) string {
		return errno + " path DIR/" + name + " beside DIR/one.db of DIR"
	}
	rows := []struct {
		step step
		want string
	}{
		{step{"openat", []any{cwd, "one.db-wal", creat, 0o600}}, beside("one.db-wal", "EROFS")},
		{step{"openat", []any{cwd, "other", creat, 0o600}}, ""}, // it is there
		{step{"openat", []any{cwd, "other", writes, 0}}, ""},
		{step{"openat", []any{cwd, "sub/new", creat, 0o600}}, ""}, // beside another
		{step{"mkdirat", []any{cwd, "d", 0o700}}, beside("d", "EROFS")},
		{step{"mkdirat", []any{cwd, "one.db", 0o700}}, ""},
		{step{"mknodat", []any{cwd, "p", unix.S_IFIFO | 0o600, 0}}, beside("p", "EROFS")},
		{step{"symlinkat", []any{text("to"), cwd, "l"}}, beside("l", "EROFS")},
		{step{"linkat", []any{cwd, "other", cwd, "o2", 0}}, beside("o2", "EROFS")},
		{step{"unlinkat", []any{cwd, "one.db", 0}}, beside("one.db", "EBUSY")},
		{step{"unlinkat", []any{cwd, "other", 0}}, beside("other", "EROFS")},
		{step{"unlinkat", []any{cwd, "none", 0}}, ""},
		{step{"renameat2", []any{cwd, "other", cwd, "one.db", 0}}, beside("other", "EROFS") + ";" + beside("one.db", "EBUSY")},
		{step{"renameat2", []any{cwd, "none", cwd, "one.db", 0}}, ""},
		{step{"renameat2", []any{cwd, "sub/f", cwd, "sub/g", 0}}, ""},
		{step{"mkdirat", []any{cwd, ".", 0o700}}, ""},
	}
	var steps []step
	var want []string
	for _, r := range rows {
		steps = append(steps, r.step)
		for w := range strings.SplitSeq(r.want, ";") {
			if w != "" {
				want = append(want, r.step.Name+" "+w)
			}
		}
	}
	_, reports := mediated(t, ws, plan.Writes{Singles: []plan.Single{{File: ws + "/one.db", Folder: ws}}}, steps)
	var said []string
	for _, r := range reports {
		said = append(said, told(r, ws))
	}
	if !slices.Equal(said, want) {
		t.Errorf("reported\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	// In a private folder anything may be made beside it.
	_, reports = mediated(t, ws, plan.Writes{Free: []string{ws}, Singles: []plan.Single{{File: ws + "/one.db", Folder: ws}}}, []step{{"openat", []any{cwd, "new", creat, 0o600}}, {"mkdirat", []any{cwd, "d", 0o700}}})
	if len(reports) > 0 {
		t.Errorf("reported %+v", reports)
	}
}

// A server connects to the unix sockets of its private file systems, and to the ports
// that Landlock would let it connect to; everything else is refused and reported.
func TestConnectionsOfAServer(t *testing.T) {
	here := filepath.Join(world(t, "ws/", "ws/file: x"), "ws")
	shm, err := os.MkdirTemp("/dev/shm", "writes")
	if err != nil {
		t.Skipf("no file system of memory: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	for _, p := range []string{filepath.Join(here, "s"), filepath.Join(shm, "s")} {
		l, err := net.Listen("unix", p)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := os.Symlink(filepath.Join(here, "s"), filepath.Join(shm, "way")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	unixAddr := func(p string) []byte {
		return append(append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), p...), 0)
	}
	inet := func(port int) []byte {
		return append(binary.BigEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, unix.AF_INET), uint16(port)), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	socket := func(family, kind int) step { return step{"socket", []any{family, kind, 0}} }
	var steps []step
	var errnos []string
	var reports []string
	try := func(s step, addr []byte, size int, errno, report string) {
		steps = append(steps, s)
		steps = append(steps, step{"connect", []any{fd(len(steps) - 1), addr, size}})
		errnos = append(errnos, errno)
		if report != "" {
			reports = append(reports, "connect "+report)
		}
	}
	stream, dgram := socket(unix.AF_UNIX, unix.SOCK_STREAM), socket(unix.AF_INET, unix.SOCK_DGRAM)
	whole := func(addr []byte, s step, errno, report string) { try(s, addr, len(addr), errno, report) }
	whole(unixAddr(filepath.Join(shm, "s")), stream, "", "")
	whole(unixAddr(filepath.Join(here, "s")), stream, "EACCES", "EACCES path DIR/s a socket")
	whole(unixAddr(filepath.Join(shm, "way")), stream, "EACCES", "EACCES path DIR/s a socket")
	whole(unixAddr("s"), stream, "EACCES", "EACCES path DIR/s a socket")
	whole(unixAddr(filepath.Join(here, "file")), stream, "ECONNREFUSED", "")
	whole(unixAddr(filepath.Join(here, "none")), stream, "ENOENT", "")
	whole(unixAddr("/proc/self/fd/0"), stream, "EACCES", "EACCES path /proc/self/fd/0 in /proc/self/fd/0: a socket by a way through /proc")
	whole(append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), "\x00nobody-listens-there"...), stream, "ECONNREFUSED", "")
	whole(unixAddr(filepath.Join(shm, "s")), socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK), "", "")
	whole(inet(port), socket(unix.AF_INET, unix.SOCK_STREAM), "", "")
	whole(inet(port), socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK), "EINPROGRESS", "")
	whole(inet(9), socket(unix.AF_INET, unix.SOCK_STREAM), "EACCES", "EACCES 127.0.0.1:9")
	whole(inet(9), dgram, "", "")
	try(dgram, inet(9), 15, "EINVAL", "")
	try(dgram, inet(9), 1, "EINVAL", "")
	try(dgram, inet(9), 0, "EINVAL", "")
	try(dgram, nil, -1, "EINVAL", "")
	try(dgram, make([]byte, 200), 129, "EINVAL", "")
	whole(binary.NativeEndian.AppendUint16(nil, unix.AF_UNSPEC), dgram, "EINVAL", "")
	steps = append(steps, step{"connect", []any{999, inet(9), 16}}, step{"connect", []any{0, 1, 16}})
	p := plan.Plan{Writes: plan.Writes{Sockets: []string{shm}}, Landlock: plan.Landlock{ABI: 4, Connect: []plan.Span{{First: uint16(port), Last: uint16(port)}}}}
	have, said := mediatedBy(t, here, p, steps)
	for i := range errnos {
		if h := have[2*i+1].Errno; h != errnos[i] && !(errnos[i] == "EINPROGRESS" && h == "") && !(steps[2*i+1].Args[2] == 2 && h == "") && !(steps[2*i+1].Args[2] == 0 && h == "EAFNOSUPPORT") {
			t.Errorf("%v: %q, want %q", steps[2*i+1], h, errnos[i])
		}
	}
	if a, b := have[len(have)-2].Errno, have[len(have)-1].Errno; a != "EBADF" || b != "EFAULT" {
		t.Errorf("no descriptor: %q, no memory: %q", a, b)
	}
	var got []string
	for _, r := range said {
		got = append(got, told(r, here))
	}
	if !slices.Equal(got, reports) {
		t.Errorf("reported\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(reports, "\n"))
	}
	p.Writes.Sockets = []string{filepath.Join(here, "none")}
	if m, err := New(p, 0, nil); err == nil || m != nil || err.Error() != "stat "+filepath.Join(here, "none")+": no such file or directory" {
		t.Errorf("a private file system that is not there: %v", err)
	}
}

// The older calls end as the newer ones, with the same files and the same refusals.
func TestOlderCalls(t *testing.T) {
	if len(older) == 0 {
		t.Skip("this architecture has none")
	}
	setup := []string{"f: before", "d/in: x", "l -> f", "e/", ".git/config: x"}
	bare, ws := filepath.Join(world(t, prefixed(setup)...), "ws"), filepath.Join(world(t, prefixed(setup)...), "ws")
	want := unmediated(t, bare, older)
	have, reports := mediated(t, ws, plan.Writes{Folders: []string{ws}}, older)
	for i, s := range older {
		if have[i] != want[i] {
			t.Errorf("%d: %v: %v, without a mediator %v", i, s, have[i], want[i])
		}
	}
	if a, b := tree(t, bare), tree(t, ws); a != b {
		t.Errorf("left behind\n%s\nwithout a mediator\n%s", b, a)
	}
	if len(reports) > 0 {
		t.Errorf("reported %+v", reports)
	}
	have, _ = mediated(t, ws, plan.Writes{Folders: []string{ws}}, olderRefused)
	for i, s := range olderRefused {
		if have[i].Errno != "EROFS" {
			t.Errorf("%v: %q", s, have[i].Errno)
		}
	}
}

// A FIFO is opened once its other end is, and meanwhile keeps nobody waiting.
func TestFIFOsAreOpened(t *testing.T) {
	ws := filepath.Join(world(t, "ws/f: x"), "ws")
	for _, name := range []string{"in", "out", "both"} {
		if err := unix.Mkfifo(filepath.Join(ws, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type end struct {
		text string
		err  error
	}
	ends := make(chan end, 2)
	go func() { // the other ends, outside
		f, err := os.OpenFile(filepath.Join(ws, "in"), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("hello")
			f.Close()
		}
		ends <- end{"", err}
	}()
	go func() {
		b, err := os.ReadFile(filepath.Join(ws, "out"))
		ends <- end{string(b), err}
	}()
	have, _ := mediated(t, ws, plan.Writes{Folders: []string{ws}}, []step{
		{"openat", []any{cwd, "in", unix.O_RDONLY | unix.O_CREAT, 0o600}},
		{"openat", []any{cwd, "out", writes | unix.O_CLOEXEC, 0}},
		{"write", []any{fd(1), text("there"), 5}},
		{"openat", []any{cwd, "both", unix.O_RDWR, 0}},
		{"openat", []any{cwd, "both", unix.O_RDONLY | unix.O_NONBLOCK, 0}},
		{"openat", []any{cwd, "both", writes | unix.O_NONBLOCK, 0}},
		{"openat", []any{cwd, "both", writes | unix.O_TRUNC, 0}},
	})
	for i, want := range []string{"010000 0x0 0", "010000 0x1 1", "", "010000 0x2 0", "010000 0x800 0", "010000 0x801 0", "010000 0x1 0"} {
		if have[i].String() != want {
			t.Errorf("step %d: %v, want %v", i, have[i], want)
		}
	}
	for range 2 {
		if e := <-ends; e.err != nil || e.text != "" && e.text != "there" {
			t.Errorf("%+v", e)
		}
	}
	have, _ = mediated(t, ws, plan.Writes{Folders: []string{ws}}, []step{{"openat", []any{cwd, "both", writes | unix.O_NONBLOCK, 0}}})
	if have[0].Errno != "ENXIO" {
		t.Errorf("nobody reads, and it does not wait: %v", have[0])
	}
}

// What only the kernel can tell, and the files that hold it, may fail: then no change is
// made for a thread.
func TestUmaskIsTheThreads(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	if mask, err := umaskOf(unix.Gettid()); err != nil || mask != 0o027 {
		t.Errorf("%#o, %v", mask, err)
	}
	if _, err := umaskOf(1 << 22); err == nil {
		t.Error("a thread that is not there has an umask")
	}
	for name, file := range map[string]string{"no umask": "Name:\tx\nState:\tS\n", "cut": "Name:\tx\nUmask:\t0022", "no number": "Name:\tx\nUmask:\tabc\n", "empty": ""} {
		p := filepath.Join(t.TempDir(), "status")
		if err := os.WriteFile(p, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := fault.Watch([]uintptr{unix.SYS_OPENAT}, func(c fault.Call) fault.Answer { return fault.Return(int64(fd)) }, func() {
			if mask, err := umaskOf(1); err == nil {
				t.Errorf("%s: %#o", name, mask)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// Directories are walked to the end, whatever the kernel says of their entries, and a
// directory that cannot be looked through is a finding unless the walk is lax.
func TestWalks(t *testing.T) {
	root := world(t, "ws/a/b/c: x", "ws/l -> a", "ws/z/", "ws/a/y: x")
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(at)
	var seen, dirs []string
	w := walk{each: func(rel string, _ int, kind uint8) (bool, plan.ProtectedPlace, bool) {
		seen = append(seen, fmt.Sprintf("%s %d", rel, kind))
		return true, plan.ProtectedPlace{}, rel == "stop"
	}, dir: func(rel string, _ int) (plan.ProtectedPlace, bool) {
		dirs = append(dirs, rel)
		return plan.ProtectedPlace{}, false
	}}
	if held, found := w.run(at, "ws"); found {
		t.Errorf("found %+v", held)
	}
	slices.Sort(seen)
	slices.Sort(dirs)
	if got, want := strings.Join(seen, ", ")+"; "+strings.Join(dirs, ","), fmt.Sprintf("a %[1]d, a/b %[1]d, a/b/c %[2]d, a/y %[2]d, l %[3]d, z %[1]d; ,a,a/b,z", unix.DT_DIR, unix.DT_REG, unix.DT_LNK); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for name, kind := range map[string]uint8{"ws/a": unix.DT_DIR, "ws/l": unix.DT_LNK, "ws/a/y": unix.DT_REG, "ws/none": unix.DT_UNKNOWN} {
		if got := kindOf(at, name); got != kind {
			t.Errorf("%s is of kind %d", name, got)
		}
	}
	for _, c := range []struct {
		base  string
		errno unix.Errno
		lax   bool
		found bool
		lost  bool
	}{{"none", 0, false, false, false}, {"ws/l", 0, false, false, false}, {"ws/a/y", 0, false, false, false}, {"ws", unix.EACCES, false, true, false}, {"ws", unix.EACCES, true, false, false}, {"ws", unix.EMFILE, false, true, true}, {"ws", unix.ENFILE, true, false, true}, {"ws", unix.ENOMEM, true, false, true}} {
		lost := false
		w := walk{lax: c.lax, lost: func(error) { lost = true }, each: func(string, int, uint8) (bool, plan.ProtectedPlace, bool) { return false, plan.ProtectedPlace{}, false }}
		err := fault.Watch([]uintptr{unix.SYS_OPENAT}, func(fault.Call) fault.Answer {
			if c.errno != 0 {
				return fault.Fail(c.errno)
			}
			return fault.Pass
		}, func() {
			held, found := w.run(at, c.base)
			if found != c.found || lost != c.lost || found && held.Why != "it cannot be looked through: "+c.errno.Error() {
				t.Errorf("%+v: %+v, %v, lost %v", c, held, found, lost)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	entry := func(name string, kind byte) []byte {
		b := make([]byte, (19+len(name)+1+7)/8*8)
		binary.NativeEndian.PutUint16(b[16:], uint16(len(b)))
		b[18] = kind
		copy(b[19:], name)
		return b
	}
	two := append(entry("a", unix.DT_REG), entry("seventeen-letters", unix.DT_DIR)...)
	for want, buf := range map[string][]byte{"[{a 8} {seventeen-letters 4}]": two, "[{a 8}]": two[:len(entry("a", 8))], "[]": append(entry(".", 4), entry("..", 4)...), "[{a 8} ]"[:6] + "]": two[:len(two)-1]} {
		if got := fmt.Sprint(entries(buf)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
