package quarantine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What is copied at most when the quarantine lies on another file system.
const (
	maxCopy    = 64 << 20
	maxEntries = 10_000
)

// errKnown says that what is to be moved was there from the start.
var errKnown = errors.New("it was there from the start")

// move takes rel out of the folder to the path to, unless it is known. A server
// that still runs, and could lead the launcher, which has the user's rights, to
// other files, holds every name below the folder: so the way is walked once, in
// the folder, by no symlink at all, and the directory at its end is held by a
// descriptor from then on.
func (f folder) move(rel, to string) error { return moveIn(f, f.file, "./"+rel, to) }

func moveIn(f folder, dir *os.File, rel, to string) (err error) {
	first, rest, further := strings.Cut(rel, "/")
	if !further {
		return f.moveFrom(dir, rel, to)
	}
	need := uint32(toLook)
	if !strings.Contains(rest, "/") {
		need = toMove
	}
	sub, restore, err := enter(dir, first, need)
	if err != nil {
		return err
	}
	if sub == nil {
		return &os.PathError{Op: "open", Path: first, Err: unix.ENOENT}
	}
	defer sub.Close()
	defer func() { err = errors.Join(err, restore()) }()
	return moveIn(f, sub, rest, to)
}

// moveFrom takes one name out of an open directory.
func (f folder) moveFrom(parent *os.File, base, to string) error {
	id, err := look(parent, base)
	if err != nil {
		return err
	}
	if f.known[id] {
		return errKnown
	}
	if id.kind == unix.S_IFDIR { // only who may write to a directory can move it elsewhere
		fd, err := unix.Openat(int(parent.Fd()), base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: base, Err: err}
		}
		_, err = lend(fd, toMove)
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return renameOrCopy(parent, base, to)
}

func renameOrCopy(parent *os.File, base, to string) error {
	err := unix.Renameat2(int(parent.Fd()), base, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EINVAL) { // EINVAL: a file system without RENAME_NOREPLACE
		return os.NewSyscallError("renameat2", err)
	}
	root, err := os.OpenRoot(procPath(parent))
	if err != nil {
		return err
	}
	defer root.Close()
	c := copier{root: root, bytes: maxCopy, entries: maxEntries}
	c.tree(base, to)
	// What cannot be kept as evidence must not stay either.
	return errors.Join(c.err, root.RemoveAll(base))
}

// procPath is a way to an open file for system calls that take only paths.
func procPath(f *os.File) string { return fdPath(int(f.Fd())) }

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// copier copies files and directories without their modes; a symlink becomes a
// file with its text. What is neither is left out. It goes on to the end, even
// when it keeps no more, to open directories for their removal.
type copier struct {
	root    *os.Root
	bytes   int64
	entries int
	err     error // the first
}

func (c *copier) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *copier) tree(rel, to string) {
	st, err := c.root.Lstat(rel)
	if err != nil {
		c.fail(err)
		return
	}
	if c.entries--; c.entries == -1 {
		c.fail(fmt.Errorf("more than %d files: the rest was not kept", maxEntries))
	}
	keep := c.entries >= 0
	switch {
	case st.IsDir():
		c.dir(rel, to, st.Mode(), keep)
	case !keep:
	case st.Mode().IsRegular():
		if err := c.file(rel, to); err != nil {
			c.fail(err)
		}
	case st.Mode()&fs.ModeSymlink != 0:
		text, err := c.root.Readlink(rel)
		if err == nil {
			err = os.WriteFile(to, []byte("symlink to "+text+"\n"), 0o600)
		}
		if err != nil {
			c.fail(err)
		}
	}
}

func (c *copier) dir(rel, to string, mode fs.FileMode, keep bool) {
	if mode.Perm()&0o700 != 0o700 {
		if err := c.root.Chmod(rel, 0o700); err != nil {
			c.fail(err)
			return
		}
	}
	if keep {
		if err := os.Mkdir(to, 0o700); err != nil {
			c.fail(err)
			keep = false
		}
	}
	d, err := c.root.Open(rel)
	if err != nil {
		c.fail(err)
		return
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		c.fail(err)
	}
	for _, name := range names {
		c.tree(path.Join(rel, name), filepath.Join(to, name))
	}
}

func (c *copier) file(rel, to string) error {
	in, err := c.root.OpenFile(rel, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrPermission) {
		if err := c.root.Chmod(rel, 0o600); err != nil {
			return err
		}
		in, err = c.root.OpenFile(rel, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	if c.bytes < 0 {
		return nil
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, c.bytes+1))
	if c.bytes -= n; c.bytes < 0 {
		err = errors.Join(err, fmt.Errorf("more than %d bytes: the rest was not kept", maxCopy))
	}
	return errors.Join(err, out.Close())
}
