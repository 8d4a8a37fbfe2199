package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// What is known of a process is read word by word; a line that begins alike is
// another's.
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
	// A path is resolved by the descriptor or the working directory, and by nothing
	// that is neither.
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

// After a burst calls are counted, and told at the end: none is lost, none told twice.
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

// What is no filter is not loaded: neither one byte too few nor one too many.
func TestFiltersAreWhole(t *testing.T) {
	f, err := For(plan.Seccomp{On: true}, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	good, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Filter
	if err := back.UnmarshalBinary(good); err != nil || back.Len() != f.Len() || back.Listens() || !slices.Equal(back.prog, f.prog) || back.arch != runtime.GOARCH {
		t.Errorf("%d instructions, listens %v (%v)", back.Len(), back.Listens(), err)
	}
	change := func(at int, to byte) []byte { b := slices.Clone(good); b[at] = to; return b }
	long := slices.Clone(good[:headLen])
	binary.LittleEndian.PutUint16(long[headLen-2:], maxLen+1)
	long = append(long, make([]byte, (maxLen+1)*size)...)
	most := slices.Clone(long[:headLen+maxLen*size])
	binary.LittleEndian.PutUint16(most[headLen-2:], maxLen)
	if err := new(Filter).UnmarshalBinary(most); err != nil {
		t.Errorf("the longest filter: %v", err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "no instruction": append(slices.Clone(good[:headLen-2]), 0, 0), "a byte less": good[:len(good)-1], "a byte more": append(slices.Clone(good), 0),
		"half a head": good[:headLen-1], "another version": change(len(magic)-1, 2), "another magic": change(0, 'x'), "listens twice": change(len(magic), 2),
		"no such machine": change(len(magic)+1, byte(len(arches))), "too long": long,
	} {
		kept := Filter{arch: "kept"}
		if err := kept.UnmarshalBinary(b); err == nil || kept.arch != "kept" {
			t.Errorf("%s is a filter: %v", name, err)
		}
	}
	for name, f := range map[string]Filter{"zero": {}, "of no machine": {arch: "vax", prog: f.prog}, "half an instruction": {arch: runtime.GOARCH, prog: f.prog[:size+1]}, "empty": {arch: runtime.GOARCH}} {
		if _, err := f.MarshalBinary(); err == nil {
			t.Errorf("%s is encoded", name)
		}
		if _, err := f.Program(); err == nil {
			t.Errorf("%s is a program", name)
		}
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	foreign, err := For(plan.Seccomp{On: true}, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Program(); err == nil {
		t.Error("another machine's filter is a program here")
	}
	// The kernel's word is the last: a filter that it does not take is an error.
	for name, numbers := range map[string][]uintptr{"prctl": {unix.SYS_PRCTL}} {
		unheard, err := fault.Each(numbers, unix.EACCES, func(c fault.Call) bool { return c.Args[0] == unix.PR_GET_NO_NEW_PRIVS }, func() error { return Load(f) })
		if err != nil || len(unheard) > 0 {
			t.Errorf("%s: nobody heard of %v (%v)", name, unheard, err)
		}
	}
	if err := Load(Filter{}); err == nil {
		t.Error("the zero filter is loaded")
	}
	listens, err := For(plan.Seccomp{On: true, Notify: true}, runtime.GOARCH)
	if err != nil || !listens.Listens() || Load(listens) == nil {
		t.Errorf("a filter with a listener is loaded without one (%v)", err)
	}
}

// Each of the plan's choices has a filter of its own, in both architectures.
func TestEveryChoiceHasItsFilter(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		seen := map[string]plan.Seccomp{}
		for n := range 16 {
			p := plan.Seccomp{On: true, Notify: n&1 != 0, Opens: n&2 != 0, Alone: n&4 != 0, Mediate: n&8 != 0}
			if optionOf(p) != n {
				t.Errorf("%+v is number %d, want %d", p, optionOf(p), n)
			}
			f, err := For(p, arch)
			if err != nil || f.Listens() != p.Listens() {
				t.Errorf("%+v: %v", p, err)
				continue
			}
			if other, again := seen[string(f.prog)]; again && other.Alone != p.Alone {
				t.Errorf("%+v has the filter of %+v", p, other)
			}
			seen[string(f.prog)] = p
		}
		if len(seen) < 8 {
			t.Errorf("%s: only %d filters", arch, len(seen))
		}
	}
	for _, c := range []struct {
		p    plan.Seccomp
		arch string
	}{{plan.Seccomp{}, "amd64"}, {plan.Seccomp{Notify: true}, "amd64"}, {plan.Seccomp{On: true}, "riscv64"}, {plan.Seccomp{On: true}, ""}} {
		if f, err := For(c.p, c.arch); err == nil || f.Len() != 0 {
			t.Errorf("%+v on %q: %d instructions", c.p, c.arch, f.Len())
		}
	}
}

// Text of another's memory ends at its end, and nowhere else: not at the end of a
// page, and not beyond the longest path.
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
