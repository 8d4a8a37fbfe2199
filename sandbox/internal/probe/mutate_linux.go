package probe

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mutateFolder changes files below a directory at random, in the same way for the same seed,
// and records the result of each call. A run outside and a run inside show whether a
// server's changes have the kernel's own results, errno by errno.
func mutateFolder(dir string, seed uint64, n int) ([]string, error) {
	if err := unix.Chdir(dir); err != nil {
		return nil, err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	m := mutation{Rand: rand.New(rand.NewPCG(seed, 7)), dir: dir, at: fd, names: ordinary}
	unix.Umask(int(m.IntN(4)) * 0o11)
	out := make([]string, n)
	for i := range out {
		what, err := m.step()
		name := "ok"
		if errno, ok := err.(unix.Errno); ok {
			name = unix.ErrnoName(errno)
		} else if err != nil {
			name = err.Error()
		}
		out[i] = strings.ReplaceAll(fmt.Sprintf("%s: %s", what, name), dir, "DIR")
	}
	return out, nil
}

type mutation struct {
	*rand.Rand
	dir   string
	at    int // dir's descriptor
	names []string
}

// ordinary are unprotected names, some of them more frequent.
var ordinary = []string{"a", "b", "c", "d", "e", "f", "..", ".", "a", "b", "c"}

// wanted are names of which many are protected, alone or together.
var wanted = []string{"a", "b", "c", "d", "..", ".git", "hooks", "config", "HEAD", "objects", "refs", "commondir", ".GIT", ".vscode", "tasks.json", ".config", "fish",
	"CLAUDE.md", ".envrc", "team", "pre-commit", "bare", "pyvenv.cfg", "alias", "node_modules"}

// stormFolder changes files below a directory at random from two threads, protected ones
// included, until the time is over. It ignores the results of the calls. It makes the
// file "started" first.
func stormFolder(dir string, seed uint64, last time.Duration) error {
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := os.WriteFile("started", nil, 0o600); err != nil {
		return err
	}
	var both sync.WaitGroup
	for thread := range uint64(2) {
		both.Go(func() {
			m := mutation{Rand: rand.New(rand.NewPCG(seed, thread)), dir: dir, at: fd, names: wanted}
			for began := time.Now(); time.Since(began) < last; {
				_, _ = m.step() // the result does not matter
			}
		})
	}
	both.Wait()
	return nil
}

func pick[T any](m mutation, all ...T) T { return all[m.IntN(len(all))] }

// name returns a path, mostly one that may exist.
func (m mutation) name() string {
	parts := make([]string, 1+m.IntN(3+len(m.names)/len(wanted)))
	for i := range parts {
		parts[i] = pick(m, m.names...)
	}
	p := strings.Join(parts, "/")
	depth := 0 // the test must not change anything above the directory
	for _, part := range parts {
		switch part {
		case "..":
			depth--
		case ".":
		default:
			depth++
		}
		if depth < 0 {
			return "a"
		}
	}
	switch m.IntN(20) {
	case 0:
		p += "/"
	case 1:
		p = filepath.Join(m.dir, p)
	case 2:
		p = m.dir + "//./" + p
	case 3:
		p = strings.Repeat("x", 256)
	case 4:
		return ""
	}
	return p
}

func (m mutation) step() (string, error) {
	p, q := m.name(), m.name()
	dir := pick(m, unix.AT_FDCWD, m.at)
	mode := uint32(pick(m, 0o644, 0o600, 0o755, 0o444, 0o777))
	switch m.IntN(17) {
	case 0, 1, 2:
		return m.open(dir, p, mode)
	case 3, 4:
		return "mkdir " + p, unix.Mkdirat(dir, p, mode|0o700)
	case 5:
		return "rmdir " + p, unix.Unlinkat(dir, p, unix.AT_REMOVEDIR)
	case 6:
		return "unlink " + p, unix.Unlinkat(dir, p, 0)
	case 7, 8:
		flags := pick(m, uint(0), 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, 1<<7)
		return fmt.Sprintf("rename %s %s %d", p, q, flags), unix.Renameat2(dir, p, m.at, q, flags)
	case 9:
		flags := pick(m, 0, 0, unix.AT_SYMLINK_FOLLOW, 1<<13)
		return fmt.Sprintf("link %s %s %d", p, q, flags), unix.Linkat(dir, p, m.at, q, flags)
	case 10:
		return "symlink " + q + " " + p, unix.Symlinkat(q, dir, p)
	case 11:
		return "truncate " + p, unix.Truncate(p, int64(m.IntN(9)))
	case 12:
		return fmt.Sprintf("chmod %s %o", p, mode), unix.Fchmodat(dir, p, mode|0o300, 0)
	case 13:
		flags := pick(m, 0, unix.AT_SYMLINK_NOFOLLOW)
		times := []unix.Timespec{{Sec: 1e9}, {Sec: 1e9 + int64(m.IntN(99))}}
		return fmt.Sprintf("utimes %s %d", p, flags), unix.UtimesNanoAt(dir, p, times, flags)
	case 14:
		return "access " + p, unix.Faccessat2(dir, p, unix.W_OK, pick(m, 0, unix.AT_EACCESS, unix.AT_SYMLINK_NOFOLLOW))
	case 15:
		return "setxattr " + p, unix.Setxattr(p, "user.x", []byte("1"), pick(m, 0, unix.XATTR_CREATE))
	}
	return "mkfifo " + p, unix.Mknodat(dir, p, unix.S_IFIFO|mode, 0)
}

// open opens with random flags, writes if possible, and changes the mode through the
// descriptor.
func (m mutation) open(dir int, p string, mode uint32) (string, error) {
	flags := pick(m, unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY, unix.O_RDWR) | unix.O_NONBLOCK
	for _, f := range []int{unix.O_CREAT, unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_NOFOLLOW, unix.O_APPEND, unix.O_DIRECTORY} {
		if m.IntN(3) == 0 {
			flags |= f
		}
	}
	if m.IntN(12) == 0 {
		flags = unix.O_TMPFILE | unix.O_RDWR
	}
	what := fmt.Sprintf("open %s %#x %o", p, flags, mode)
	fd, err := unix.Openat(dir, p, flags|unix.O_CLOEXEC, mode)
	if err != nil {
		return what, err
	}
	defer unix.Close(fd)
	got, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	_, werr := unix.Write(fd, []byte("xyz"))
	return fmt.Sprintf("%s: flags %#x, write %v, fchmod %v", what, got, werr, unix.Fchmod(fd, 0o740)), nil
}

// storm is the verb: DIR SEED MILLISECONDS.
func storm(args []string) error {
	if len(args) != 3 {
		return errors.New("want DIR SEED MILLISECONDS")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	last, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	return stormFolder(args[0], seed, time.Duration(last)*time.Millisecond)
}

// mutate is the verb: DIR SEED N OUT. It writes the result of each call to the file
// OUT.
func mutate(args []string) error {
	if len(args) != 4 {
		return errors.New("want DIR SEED N OUT")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // capset(2) affects one thread
	// Inside nobody has a capability; so outside root must not have one either.
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		return err
	}
	lines, err := mutateFolder(args[0], seed, n)
	if err != nil {
		return err
	}
	return os.WriteFile(args[3], []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}
