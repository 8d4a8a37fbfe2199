package notify

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
)

// A process's status is read word by word. A line whose key only begins alike is a
// different line.
func TestWhatIsReadOfAProcess(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, program := whois(unix.Gettid())
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil || pid != os.Getpid() || program != strings.TrimSuffix(string(comm), "\n") {
		t.Errorf("%d %q, want %d %q", pid, program, os.Getpid(), comm)
	}
	if pid, program := whois(1 << 30); pid != 0 || program != "" {
		t.Errorf("nobody is %d %q", pid, program)
	}
	for _, c := range []struct {
		key  string
		word int
		want string
	}{{"Tgid:", 0, fmt.Sprint(os.Getpid())}, {"Pid:", 0, fmt.Sprint(unix.Gettid())}, {"Uid:", 3, fmt.Sprint(os.Getuid())}, {"NoSuch:", 0, ""}, {"Gid:", -1, fmt.Sprint(os.Getgid())}} {
		if got := statusField(unix.Gettid(), c.key, c.word); got != c.want {
			t.Errorf("%s %d is %q, want %q", c.key, c.word, got, c.want)
		}
	}
	if got := statusField(1<<30, "Pid:", 0); got != "" {
		t.Errorf("nobody's number is %q", got)
	}
	if got := innerPID(unix.Gettid()); got == "" {
		t.Error("this process has no number of its own")
	}
	if got := printable("a\x1b[31m\u202eé\n"); got != "a\ufffd[31m\ufffdé\ufffd" {
		t.Errorf("printed as %q", got)
	}
	// A path is resolved relative to the descriptor or the working directory, and to
	// nothing else.
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cwd, _ := os.Getwd()
	me := os.Getpid()
	for _, c := range []struct {
		dir        int
		path, want string
	}{{unix.AT_FDCWD, "a/../b", filepath.Join(cwd, "b")}, {int(dir.Fd()), "x", filepath.Join(dir.Name(), "x")}, {int(dir.Fd()), "/etc/./x", "/etc/x"}, {unix.AT_FDCWD, "", cwd}} {
		if got, err := absolute(me, c.dir, c.path); err != nil || got != c.want {
			t.Errorf("%d %q is %q, want %q (%v)", c.dir, c.path, got, c.want, err)
		}
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for _, fd := range []int{pipe[0], 1 << 20} {
		if got, err := absolute(me, fd, "x"); err == nil {
			t.Errorf("below descriptor %d lies %q", fd, got)
		}
	}
	if got, err := absolute(1<<30, unix.AT_FDCWD, "x"); err == nil {
		t.Errorf("below nobody's directory lies %q", got)
	}
}

// After a burst, calls are counted and reported at the end: none is lost, none reported
// twice.
func TestFlushTellsWhatWasCounted(t *testing.T) {
	var told []Call
	l := newLimiter(func(c Call) { told = append(told, c) })
	for i := range reportBurst + 5 {
		l.add("mount", Call{Name: "mount", PID: i})
	}
	l.add("other", Call{Name: "other"})
	if len(told) != reportBurst+1 {
		t.Fatalf("%d told of a burst of %d", len(told), reportBurst)
	}
	told = nil
	l.flush()
	if len(told) != 1 || told[0].More != 4 || told[0].PID != reportBurst+4 {
		t.Errorf("at the end: %+v", told)
	}
	told = nil
	l.flush()
	if len(told) != 0 {
		t.Errorf("told twice: %+v", told)
	}
}

// A string in another process's memory ends at its NUL, and nowhere else: not at the
// end of a page, and not beyond the longest path.
func TestTextsOfEveryLength(t *testing.T) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	if err := unix.Mprotect(mem[3*page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	read := func(from, n int, end bool) (string, error) {
		for i := range mem[:3*page] {
			mem[i] = 'x'
		}
		if end {
			mem[from+n] = 0
		}
		return readString(os.Getpid(), address(mem[from:]))
	}
	for _, c := range []struct{ from, n int }{{0, 0}, {0, 1}, {page - 1, 0}, {page - 1, 1}, {page - 2, 1}, {10, unix.PathMax - 1}, {0, unix.PathMax - 1}, {3*page - 5, 4}} {
		if got, err := read(c.from, c.n, true); err != nil || got != strings.Repeat("x", c.n) {
			t.Errorf("%d bytes from %d on: %d bytes, %v", c.n, c.from, len(got), err)
		}
	}
	for _, from := range []int{0, 1, page / 2} {
		if got, err := read(from, unix.PathMax, true); !errors.Is(err, errEndless) {
			t.Errorf("a path of PATH_MAX bytes from %d on: %d bytes, %v", from, len(got), err)
		}
	}
	if got, err := read(3*page-5, 0, false); err == nil {
		t.Errorf("a path that runs into no memory: %q", got)
	}
	if _, err := readString(os.Getpid(), 0); err == nil {
		t.Error("a path at address 0")
	}
	for errno, want := range map[syscall.Errno]bool{unix.ENOENT: true, unix.EINPROGRESS: true, unix.EIO: false} {
		if err := answered(errno); errors.Is(err, errGone) != want || err == nil {
			t.Errorf("%v is %v", errno, err)
		}
	}
	if err := answered(nil); err != nil {
		t.Error(err)
	}
}

// An open that will fail because of the file's own mode is reported as such, and one
// that asks for two rights needs both.
func TestAccessIsWhatAnOpenAsksFor(t *testing.T) {
	dir := t.TempDir()
	open := func(mode os.FileMode) int {
		name := filepath.Join(dir, fmt.Sprintf("%o", mode))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	var asked []uint64
	err := fault.Watch([]uintptr{unix.SYS_FACCESSAT2}, func(c fault.Call) fault.Answer {
		asked = append(asked, c.Args[2])
		return fault.Answer{}
	}, func() {
		fd := open(0o600)
		for flags, want := range map[int]syscall.Errno{unix.O_RDONLY: 0, unix.O_WRONLY: 0, unix.O_RDWR: 0, unix.O_PATH | unix.O_RDWR: 0} {
			if got := access(fd, flags); got != want {
				t.Errorf("%#x: %v", flags, got)
			}
		}
	})
	slices.Sort(asked)
	if err != nil || !slices.Equal(asked, []uint64{unix.W_OK, unix.R_OK, unix.R_OK | unix.W_OK}) {
		t.Errorf("asked for %v (%v)", asked, err)
	}
	for errno, want := range map[unix.Errno]syscall.Errno{unix.EACCES: unix.EACCES, unix.EROFS: unix.EROFS, unix.EPERM: unix.EPERM, unix.EIO: 0} {
		err := fault.Watch([]uintptr{unix.SYS_FACCESSAT2}, func(fault.Call) fault.Answer { return fault.Fail(errno) }, func() {
			if got := access(unix.AT_FDCWD, unix.O_RDWR); got != want {
				t.Errorf("%v is told as %v", errno, got)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// The destination of a connect is read as the kernel reads it. An address outside of
// the internet families gives no result.
func TestAddressesAreReadFromMemory(t *testing.T) {
	four := []byte{unix.AF_INET, 0, 0x1f, 0x90, 203, 0, 113, 5, 0, 0, 0, 0, 0, 0, 0, 0}
	six := append([]byte{unix.AF_INET6, 0, 0x1f, 0x90, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8}, make([]byte, 16)...)
	six[23] = 7
	mapped := append([]byte{unix.AF_INET6, 0, 0x1f, 0x90, 0, 0, 0, 0}, append(make([]byte, 10), 0xff, 0xff, 203, 0, 113, 5, 0, 0, 0, 0)...)
	change := func(b []byte, at int, to byte) []byte { b = slices.Clone(b); b[at] = to; return b }
	for _, c := range []struct {
		memory []byte
		size   uint64
		want   string
	}{
		{four, 16, "203.0.113.5:8080"}, {four, 15, ""}, {append(slices.Clone(four), make([]byte, 112)...), 128, "203.0.113.5:8080"}, {six, 28, "[2001:db8::7]:8080"}, {six, 24, "[2001:db8::7]:8080"}, {six, 23, ""}, {mapped, 28, "203.0.113.5:8080"},
		{change(change(four, 2, 0), 3, 0), 16, ""}, {change(four, 0, unix.AF_UNIX), 16, ""}, {change(four, 0, 0), 16, ""}, {nil, 0, ""},
	} {
		at := uint64(0)
		if len(c.memory) > 0 {
			fmt.Sscanf(fmt.Sprintf("%p", c.memory), "0x%x", &at)
		}
		to, ok := readAddr(os.Getpid(), at, c.size)
		if ok != (c.want != "") || ok && to.String() != c.want {
			t.Errorf("%v of %d: %v, %v, want %s", c.memory, c.size, to, ok, c.want)
		}
		runtime.KeepAlive(c.memory)
	}
	if _, ok := readAddr(os.Getpid(), 8, 16); ok {
		t.Error("an address is read where no memory is")
	}
	if streams(1<<30, 0) || streams(unix.Gettid(), -1) || streams(unix.Gettid(), 1<<20) {
		t.Error("what is no socket connects")
	}
	for p, want := range map[*plan.Plan][3]syscall.Errno{
		{}: {unix.ENETUNREACH, 0, 0}, {Landlock: plan.Landlock{ABI: 3}}: {unix.ENETUNREACH, 0, 0}, {Landlock: plan.Landlock{ABI: 4}}: {unix.EACCES, unix.EACCES, unix.EACCES}, {Landlock: plan.Landlock{ABI: 4, Connect: []plan.Span{{First: 80, Last: 80}}}}: {0, 0, unix.EACCES}, {Landlock: plan.Landlock{Anywhere: true}}: {0, 0, 0},
	} {
		judge := Barred(*p)
		for i, to := range []string{"203.0.113.5:80", "127.0.0.1:80", "[::1]:81"} {
			if got := judge(netip.MustParseAddrPort(to)); got != want[i] {
				t.Errorf("%+v: %s is %v, want %v", p.Landlock, to, got, want[i])
			}
		}
	}
}

// The flags of each opening call come from its own arguments: creat(2) has no flags,
// and creates a missing file.
func TestOpensAreReadByTheirName(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	at := func(path string) uint64 {
		text := append([]byte(path), 0)
		var p uint64
		fmt.Sscanf(fmt.Sprintf("%p", text), "0x%x", &p)
		t.Cleanup(func() { runtime.KeepAlive(text) })
		return p
	}
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	absent := filepath.Join(dir, "absent")
	cwd := int64(unix.AT_FDCWD)
	for _, c := range []struct {
		name string
		args [6]uint64
		want syscall.Errno
	}{
		{"creat", [6]uint64{at(absent)}, 0}, {"open", [6]uint64{at(absent), unix.O_RDONLY}, unix.ENOENT}, {"open", [6]uint64{at(absent), unix.O_WRONLY | unix.O_CREAT}, 0}, {"openat", [6]uint64{uint64(cwd), at(absent), unix.O_RDONLY}, unix.ENOENT}, {"openat", [6]uint64{uint64(cwd), at(absent), unix.O_CREAT}, 0},
		{"openat", [6]uint64{uint64(folder.Fd()), at("absent"), unix.O_RDONLY}, unix.ENOENT}, {"openat", [6]uint64{uint64(folder.Fd()) | 1<<32, at("absent"), unix.O_RDONLY}, unix.ENOENT}, {"creat", [6]uint64{at(absent + "/deeper")}, unix.ENOENT},
	} {
		var asked []string
		path, errno := look(notification{tid: uint32(unix.Gettid()), args: c.args}, c.name, func(p string) bool { asked = append(asked, p); return true })
		if errno != c.want || !strings.HasPrefix(path, absent) || (len(asked) > 0) != (c.want == unix.ENOENT) {
			t.Errorf("%s %v: %q, %v, asked %q; want %v", c.name, c.args, path, errno, asked, c.want)
		}
	}
	for name, n := range map[string]notification{"no path": {tid: uint32(unix.Gettid()), args: [6]uint64{at("")}}, "no memory": {tid: uint32(unix.Gettid()), args: [6]uint64{8}}, "nobody": {tid: 1 << 30, args: [6]uint64{at(absent)}}} {
		if path, errno := look(n, "open", func(string) bool { return true }); path != "" || errno != 0 {
			t.Errorf("%s: %q, %v", name, path, errno)
		}
	}
}
