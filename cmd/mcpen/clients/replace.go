package clients

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile is the most that is read of a file, in bytes.
const maxFile = 32 << 20

// errChanged says that another program wrote to the file meanwhile.
var errChanged = errors.New("it was changed meanwhile")

// heldError is the error of a file that another process has open for writing.
type heldError struct{ by []Process }

func (e *heldError) Error() string {
	if len(e.by) == 0 {
		return "a program has it open for writing"
	}
	return fmt.Sprintf("%s has it open for writing", List(e.by))
}

// settleTime is how long a program may take from a name to its open file. An open of
// the old file for writing within that time is noticed.
const settleTime = 2 * time.Millisecond

// stage is called at each step. Tests replace it, to look at the files or to end the
// process there.
var stage = func(string) {}

// replace puts new bytes in the place of a file that still has the old ones, in one
// step and on the disk. Mode, owner, extended attributes and symlinks stay.
//
// It loses no concurrent write. A read lease (fcntl(2)) reports every process that has
// the old file open for writing or wants to open it. replace exchanges the two files
// (renameat2(2)) and then examines the one that came out: if that is not the file that
// it had read, to the byte, it puts the file back and returns errChanged. On a file
// system without leases and exchange, it compares the bytes just before a rename.
func replace(path string, was, now []byte) error {
	s, err := openSwap(path, was)
	if err != nil {
		return err
	}
	defer s.close()
	stage("opened")
	if err := s.write(now); err != nil {
		return err
	}
	stage("written")
	if err := s.old.guard(); err != nil {
		return err
	}
	stage("leased")
	return s.exchange()
}

// swap is a file that is being replaced.
type swap struct {
	path string   // without symlinks
	dir  *os.File // the file's folder
	base string
	temp string // the name of the replacement; "" if there is none
	old  held
	new  held
	more []*os.File // that came out meanwhile
}

// held is one of the two files that are exchanged.
type held struct {
	file  *os.File
	data  []byte // its expected content; nil: unknown
	lease bool
}

func openSwap(path string, was []byte) (*swap, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	s := &swap{path: real, base: filepath.Base(real)}
	if s.dir, err = os.Open(filepath.Dir(real)); err != nil {
		return nil, err
	}
	if s.old.file, err = s.open(s.base); err == nil {
		s.old.data = was
		err = s.lookOld()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *swap) open(name string) (*os.File, error) {
	fd, err := unix.Openat(int(s.dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(filepath.Dir(s.path), name), Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// lookOld makes sure that the file can be replaced.
func (s *swap) lookOld() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(s.old.file.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("it is no regular file")
	}
	if st.Nlink > 1 {
		return fmt.Errorf("it has %d names, and would be replaced under one of them: a hard link", st.Nlink)
	}
	return unix.Flock(int(s.old.file.Fd()), unix.LOCK_SH) // once the file is out, no sweep takes it for a leftover
}

// guard takes a lease on a file, if the file system gives one. It waits half a second
// for a process that has the file open for writing.
func (h *held) guard() error {
	for range 50 {
		_, err := unix.FcntlInt(h.file.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		if err == nil {
			h.lease = true
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) {
			return nil // another user's file, or a file system without leases
		}
		time.Sleep(10 * time.Millisecond)
	}
	return &heldError{}
}

// release gives up the lease. Processes that wait for the file continue.
func (h *held) release() {
	if h.lease {
		_, _ = unix.FcntlInt(h.file.Fd(), unix.F_SETLEASE, unix.F_UNLCK) // closing it does the same
		h.lease = false
	}
}

// untouched reports whether no process wrote to the file, writes to it or wants to, as
// far as its content was known.
func (h *held) untouched() bool {
	if h.data == nil {
		return true
	}
	if h.lease {
		if kind, err := unix.FcntlInt(h.file.Fd(), unix.F_GETLEASE, 0); err == nil && kind != unix.F_RDLCK {
			return false
		}
	}
	data, err := io.ReadAll(io.NewSectionReader(h.file, 0, maxFile+1))
	return err == nil && bytes.Equal(data, h.data)
}

// unchanged reports whether the name has the file and the bytes that were read.
func (s *swap) unchanged() bool { return s.named(s.base, s.old) && s.old.untouched() }

// named reports whether a name leads to a file.
func (s *swap) named(name string, h held) bool {
	var a, b unix.Stat_t
	return h.file != nil && unix.Fstatat(int(s.dir.Fd()), name, &a, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstat(int(h.file.Fd()), &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// tempPrefix begins the name of a file's replacement.
func tempPrefix(base string) string { return "." + base + ".mcpen-" }

// write creates the replacement, which has the old file's mode, owner and attributes.
func (s *swap) write(now []byte) error {
	name := tempPrefix(s.base) + rand.Text()[:12]
	fd, err := unix.Openat(int(s.dir.Fd()), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: filepath.Join(filepath.Dir(s.path), name), Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	s.temp = name
	defer f.Close()
	// A sweep that can lock such a file knows that its mcpen is gone.
	if err := unix.Flock(fd, unix.LOCK_SH); err != nil {
		return fmt.Errorf("cannot lock %s: %w", name, err)
	}
	if _, err := f.Write(now); err != nil {
		return err
	}
	if err := likeness(s.old.file, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// A file that is open for writing can have no lease: open it again.
	if s.new.file, err = s.open(name); err != nil {
		return err
	}
	s.new.data = now
	return unix.Flock(int(s.new.file.Fd()), unix.LOCK_SH)
}

// likeness copies owner, mode and extended attributes from one file to another.
func likeness(from, to *os.File) error {
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(int(from.Fd()), &a), unix.Fstat(int(to.Fd()), &b)); err != nil {
		return err
	}
	if a.Uid != b.Uid || a.Gid != b.Gid {
		if err := to.Chown(int(a.Uid), int(a.Gid)); err != nil {
			return fmt.Errorf("it belongs to user %d and group %d, which a new file cannot be given: %w", a.Uid, a.Gid, errors.Unwrap(err))
		}
	}
	if err := unix.Fchmod(int(to.Fd()), a.Mode&0o7777); err != nil {
		return err
	}
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(int(from.Fd()), names)
	if err != nil {
		return nil // a file system without attributes
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name != "system.posix_acl_access" && !strings.HasPrefix(name, "user.") {
			continue // the system gives these by itself
		}
		value := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(int(from.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("its attribute %s cannot be kept: %w", name, err)
		}
	}
	return nil
}

// exchange puts the new file in place. If the file that it took out is not the file that
// was read, it exchanges them back. A process that renames another file over this one in
// between sees the new file meanwhile: for two calls, in a time slice that has just
// begun.
func (s *swap) exchange() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // it does not fail
	if !s.unchanged() {
		return errChanged
	}
	in, out := s.new, s.old
	for round := range 100 {
		if done, err := s.turn(round); done || err != nil {
			return err
		}
		if s.named(s.temp, out) && s.settled(out) {
			if round > 0 {
				return errChanged
			}
			stage("settled")
			return s.dir.Sync()
		}
		got, err := s.took()
		if err != nil {
			return err
		}
		in, out = got, in
	}
	return s.leave(errChanged)
}

// settled reports whether no process writes to the file that came out.
func (s *swap) settled(out held) bool {
	stage("turned")
	if !out.untouched() {
		return false
	}
	time.Sleep(settleTime)
	return out.untouched()
}

// turn exchanges the two names. On a file system without exchange it renames, and done is
// true.
func (s *swap) turn(round int) (done bool, err error) {
	dir := int(s.dir.Fd())
	err = unix.Renameat2(dir, s.temp, dir, s.base, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return false, nil
	case round > 0:
		return false, s.leave(err)
	case !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS):
		return false, err
	case !s.unchanged():
		return false, errChanged
	}
	if err := unix.Renameat(dir, s.temp, dir, s.base); err != nil {
		return false, err
	}
	s.temp = ""
	return true, s.dir.Sync()
}

// took opens the file that was taken out. A process that waits to write to it continues
// once the file is back.
func (s *swap) took() (held, error) {
	f, err := s.open(s.temp)
	if err != nil {
		return held{}, s.leave(err)
	}
	s.more = append(s.more, f)
	return held{file: f}, nil
}

// leave reports a leftover file that may be another program's.
func (s *swap) leave(err error) error {
	name := filepath.Join(filepath.Dir(s.path), s.temp)
	s.temp = ""
	return fmt.Errorf("what stood there meanwhile is in %s: %w", name, err)
}

// close removes the unwanted file: the old one after a replacement, else the new one.
func (s *swap) close() {
	if s.temp != "" {
		_ = unix.Unlinkat(int(s.dir.Fd()), s.temp, 0) // the next sweep finds a leftover
	}
	s.old.release()
	for _, f := range append(s.more, s.old.file, s.new.file, s.dir) {
		if f != nil {
			f.Close()
		}
	}
}

// sweep looks for the leftovers of a killed mcpen beside a file. It removes a leftover
// that holds nothing more than the file, apart from wraps. Any other leftover may hold
// a concurrent edit: sweep keeps it and returns its name.
func (p Place) sweep(real string) (kept []string) {
	dir := filepath.Dir(real)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if !strings.HasPrefix(e.Name(), tempPrefix(filepath.Base(real))) || e.Type()&fs.ModeType != 0 {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && !p.redundant(f, real) {
			kept = append(kept, name)
		}
		f.Close()
	}
	return kept
}

// redundant removes a leftover whose content equals the file's, apart from wraps in
// either, and reports whether it did.
func (p Place) redundant(left *os.File, real string) bool {
	data, err := io.ReadAll(io.LimitReader(left, maxFile+1))
	if err != nil {
		return false
	}
	now, err := os.ReadFile(real)
	if err != nil {
		return false
	}
	a, errA := p.plain(data)
	b, errB := p.plain(now)
	if len(data) > 0 && !bytes.HasPrefix(now, data) && (errA != nil || errB != nil || !bytes.Equal(a, b)) {
		return false
	}
	return os.Remove(left.Name()) == nil
}
