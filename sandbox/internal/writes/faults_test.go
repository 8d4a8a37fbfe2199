package writes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// at1 is the working directory as an argument.
const at1 = ^uint64(99) // AT_FDCWD

// made is one call for the mediator: its name and arguments. A string is a path below
// the folder, and bytes are memory.
type made struct {
	name   string
	args   []any
	before func(dir string) error
	after  func(dir string) bool
}

func (m made) String() string { return fmt.Sprintf("%s%v", m.name, m.args) }

// mediator makes changes in one folder, where nothing is protected.
func mediator(dir string) *Mediator {
	return &Mediator{judge: plan.NewJudge(plan.Writes{Folders: []string{dir}}), waiting: make(chan struct{}, 1),
		known: func() plan.Known { return plan.Known{} }, aliases: func() aliases { return aliases{} }}
}

// try has a mediator make the call for this very thread, in a folder of its own.
func (m made) try(dir string) (outcome, error) { return m.tryWith(mediator(dir), dir) }

func (m made) tryWith(media *Mediator, dir string) (out outcome, fails error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := &notify.Request{TID: unix.Gettid(), Name: m.name}
	var pin runtime.Pinner
	defer pin.Unpin()
	for i, a := range m.args {
		switch a := a.(type) {
		case string:
			r.Args[i] = pinned(&pin, append([]byte(filepath.Join(dir, a)), 0))
		case []byte:
			r.Args[i] = pinned(&pin, append(slices.Clone(a), 0))
		case uint64:
			r.Args[i] = a
		case int:
			r.Args[i] = uint64(a)
		}
	}
	c := &call{m: media, r: r}
	out = handlers[m.name](c)
	c.close()
	if out.hands {
		unix.Close(out.file)
	}
	if out.errno != 0 {
		return out, out.errno
	}
	return out, nil
}

func written(name string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte("before"), 0o644) }
}

func exists(name string, mode os.FileMode) func(string) bool {
	return func(dir string) bool {
		st, err := os.Lstat(filepath.Join(dir, name))
		return err == nil && st.Mode() == mode
	}
}

func missing(name string) func(string) bool {
	return func(dir string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return errors.Is(err, os.ErrNotExist)
	}
}

// everyCall are the calls that change names and attributes.
func everyCall() []made {
	times := make([]byte, 32)
	binary.NativeEndian.PutUint64(times, 1000)
	binary.NativeEndian.PutUint64(times[16:], 2000)
	aged := func(dir string) bool {
		st, err := os.Stat(filepath.Join(dir, "f"))
		return err == nil && st.ModTime().Unix() == 2000
	}
	short := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 1000), 2000)
	file := written("f")
	moved := func(dir string) bool { return missing("f")(dir) && exists("g", 0o644)(dir) }
	marked := func(dir string) bool {
		var b [8]byte
		n, err := unix.Getxattr(filepath.Join(dir, "f"), "user.m", b[:])
		return err == nil && string(b[:n]) == "v"
	}
	owner, group := os.Getuid(), os.Getgid()-os.Getuid()
	if owner == 0 {
		owner, group = 1234, 1 // nobody else may give files away
	}
	owned := func(dir string) bool {
		var st unix.Stat_t
		return unix.Stat(filepath.Join(dir, "f"), &st) == nil && int(st.Uid) == owner && int(st.Gid) == owner+group
	}
	return []made{
		{"mkdirat", []any{at1, "d", 0o755}, nil, exists("d", os.ModeDir|0o755)},
		{"mknodat", []any{at1, "p", unix.S_IFIFO | 0o600, 0}, nil, exists("p", os.ModeNamedPipe|0o600)},
		{"symlinkat", []any{[]byte("to"), at1, "l"}, nil, func(dir string) bool { to, _ := os.Readlink(filepath.Join(dir, "l")); return to == "to" }},
		{"linkat", []any{at1, "f", at1, "g", 0}, file, exists("g", 0o644)},
		{"unlinkat", []any{at1, "f", 0}, file, missing("f")},
		{"unlinkat", []any{at1, "d", unix.AT_REMOVEDIR}, func(dir string) error { return os.Mkdir(filepath.Join(dir, "d"), 0o700) }, missing("d")},
		{"renameat2", []any{at1, "f", at1, "g", 0}, file, moved},
		{"renameat", []any{at1, "f", at1, "g"}, file, moved},
		{"truncate", []any{"f", 2}, file, func(dir string) bool {
			st, err := os.Stat(filepath.Join(dir, "f"))
			return err == nil && st.Size() == 2
		}},
		{"fchmodat", []any{at1, "f", 0o600}, file, exists("f", 0o600)},
		{"fchownat", []any{at1, "f", owner, owner + group, 0}, file, owned},
		{"utimensat", []any{at1, "f", times, 0}, file, aged},
		{"utime", []any{"f", short}, file, aged},
		{"utimes", []any{"f", times}, file, aged},
		{"setxattr", []any{"f", []byte("user.m"), []byte("v"), 1, 0}, file, marked},
		{"removexattr", []any{"f", []byte("user.m")}, func(dir string) error {
			return errors.Join(file(dir), unix.Setxattr(filepath.Join(dir, "f"), "user.m", []byte("v"), 0))
		},
			func(dir string) bool { return !marked(dir) }},
		{"openat", []any{at1, "n", unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, 0o640}, nil, exists("n", 0o640)},
		{"openat", []any{at1, "f", unix.O_WRONLY | unix.O_TRUNC, 0}, file, func(dir string) bool {
			st, err := os.Stat(filepath.Join(dir, "f"))
			return err == nil && st.Size() == 0
		}},
		{"creat", []any{"n", 0o600}, nil, exists("n", 0o600)},
		{"mkdir", []any{"d", 0o711}, nil, exists("d", os.ModeDir|0o711)},
		{"rmdir", []any{"d"}, func(dir string) error { return os.Mkdir(filepath.Join(dir, "d"), 0o700) }, missing("d")},
		{"unlink", []any{"f"}, file, missing("f")},
		{"rename", []any{"f", "g"}, file, moved},
		{"link", []any{"f", "g"}, file, exists("g", 0o644)},
		{"symlink", []any{[]byte("to"), "l"}, nil, func(dir string) bool { to, _ := os.Readlink(filepath.Join(dir, "l")); return to == "to" }},
		{"chmod", []any{"f", 0o600}, file, exists("f", 0o600)},
		{"chown", []any{"f", owner, owner + group}, file, owned},
		{"lchown", []any{"f", owner, owner + group}, file, owned},
		{"mknod", []any{"p", unix.S_IFREG | 0o600, 0}, nil, exists("p", 0o600)},
	}
}

// If the mediator reports success, it must have made the call, whatever failed on the
// way: a server that relies on a file that does not exist loses the user's work.
func TestWhatIsSaidToBeMadeIsMade(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(base, "user.m", []byte("v"), 0); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this file system has no extended attributes of users")
	}
	numbers := []uintptr{unix.SYS_OPENAT2, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_SYMLINKAT, unix.SYS_LINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2,
		unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_SETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_PROCESS_VM_READV, unix.SYS_UNSHARE, unix.SYS_READLINKAT}
	n := 0
	for _, m := range everyCall() {
		heard := 0
		_, err := fault.Each(numbers, unix.EIO, nil, func() error {
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
			out, err := m.try(dir)
			switch {
			case err != nil || out.native: // it was not made, and nothing claims that it was
				heard++
				return errors.Join(err, unix.EXDEV)
			case beside(func() error {
				if !m.after(dir) {
					return unix.EIO
				}
				return nil
			}) != nil:
				t.Errorf("%v is said to be made in %s, and is not", m, dir)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v: %v", m, err)
		}
		if heard < 2 {
			t.Errorf("%v: only %d failures kept it from being made", m, heard)
		}
	}
}

// beside runs f on another thread, whose calls do not fail.
func beside(f func() error) error {
	done := make(chan error)
	go func() { done <- f() }()
	return <-done
}

// The mediator connects to the address that it examined, and parses it as the kernel
// does.
func TestAddressesAreReadAsTheKernelDoes(t *testing.T) {
	family := func(f uint16, rest ...byte) []byte { return append(binary.NativeEndian.AppendUint16(nil, f), rest...) }
	four := family(unix.AF_INET, 0x1f, 0x90, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	six := append(family(unix.AF_INET6, 0x1f, 0x90, 0, 0, 0, 0), netip.MustParseAddr("2001:db8::1").AsSlice()...)
	mapped := append(family(unix.AF_INET6, 0x1f, 0x90, 0, 0, 0, 0), netip.MustParseAddr("::ffff:192.0.2.1").AsSlice()...)
	for want, addr := range map[string][]byte{"192.0.2.1:8080": four, "[2001:db8::1]:8080": six} {
		if got := addrPort(addr); got.String() != want {
			t.Errorf("%v is %v, want %s", addr, got, want)
		}
		if got := addrPort(addr[:len(addr)-1]); got.IsValid() {
			t.Errorf("a byte less is %v", got)
		}
		if got := addrPort(append(slices.Clone(addr), 0, 0, 0, 0)); got.String() != want {
			t.Errorf("with more behind it: %v", got)
		}
	}
	if got := addrPort(mapped); got.String() != "192.0.2.1:8080" {
		t.Errorf("a mapped address is %v", got)
	}
	if got := addrPort(family(unix.AF_UNIX, make([]byte, 30)...)); got.IsValid() {
		t.Errorf("another family is %v", got)
	}
	for size, want := range map[int]unix.Errno{-1: unix.EINVAL, maxAddr + 1: unix.EINVAL, 1 << 31: unix.EINVAL} {
		c := &call{r: &notify.Request{Args: [6]uint64{0, 0, uint64(size)}}}
		if out := connect(c); out.errno != want {
			t.Errorf("an address of %d bytes: %v, want %v", size, out.errno, want)
		}
	}
}
