package writes

import (
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openFile handles open, openat and creat.
func openFile(dirArg, pathArg int, flags func(*call) (uint64, uint32)) func(*call) outcome {
	return func(c *call) outcome {
		p, errno := c.path(pathArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		dir := unix.AT_FDCWD
		if dirArg >= 0 {
			dir = c.arg(dirArg)
		}
		how, mode := flags(c)
		if how&(unix.O_CREAT|unix.O_DIRECTORY) == unix.O_CREAT|unix.O_DIRECTORY {
			return native // EINVAL since Linux 6.4, whatever the path
		}
		c.m.tree.RLock()
		defer c.m.tree.RUnlock()
		return c.openPath(dir, p, how, mode)
	}
}

// openPath opens a file for a server. It examines each symlink that the last element
// leads through.
func (c *call) openPath(dir int, p string, flags uint64, mode uint32) outcome {
	e, err := c.find(dir, p)
	for range maxLinks {
		if err == errElsewhere {
			return c.reopen(p, flags)
		}
		if err != nil {
			return outcome{errno: errnoOf(err)}
		}
		out, link := c.openEntry(e, flags, mode)
		if link == "" {
			return out
		}
		from := e.in
		if strings.HasPrefix(link, "/") {
			from = ""
		}
		if e.slash {
			link += "/"
		}
		p = link
		e, err = c.findFrom(from, link)
	}
	return outcome{errno: unix.ELOOP}
}

// follows reports whether an open with the flags follows a final symlink (open(2)).
func follows(flags uint64) bool {
	return flags&unix.O_NOFOLLOW == 0 && flags&(unix.O_CREAT|unix.O_EXCL) != unix.O_CREAT|unix.O_EXCL
}

// openEntry opens an entry, or returns the text if the entry is a symlink.
func (c *call) openEntry(e entry, flags uint64, mode uint32) (out outcome, link string) {
	if e.slash && flags&unix.O_CREAT != 0 {
		return native, "" // EISDIR, whatever exists there
	}
	if c.changing(e.path(), c.touches(e, flags)) && (e.base == "" || !e.slash) {
		out = c.openIn(e, flags, mode)
		if out.errno != unix.ELOOP {
			return out, ""
		}
	} else {
		out = native
		if flags&unix.O_CREAT != 0 {
			c.replacing(e, absent(e))
		}
	}
	if (follows(flags) || e.slash) && e.base != "" {
		if text, err := readlink(e.dir, e.base); err == nil {
			return outcome{}, text
		}
	}
	if out.native && e.slash && c.changing(e.path(), never) {
		return c.openDirectory(e, flags, mode), ""
	}
	return out, ""
}

// touches returns a function that reports whether an open with the flags would change
// an unprotected entry.
func (c *call) touches(e entry, flags uint64) func() bool {
	switch {
	case flags&unix.O_ACCMODE == unix.O_RDONLY && flags&unix.O_TRUNC == 0:
		return absent(e) // an open that may only create
	case flags&unix.O_CREAT != 0:
		return always
	}
	return there(e)
}

// openIn opens an entry that may be changed.
func (c *call) openIn(e entry, flags uint64, mode uint32) outcome {
	switch {
	case flags&unix.O_TMPFILE == unix.O_TMPFILE:
		return c.temporary(e, flags, mode)
	case e.base == "":
		return c.openDirectory(e, flags, mode)
	}
	return c.openBase(e, flags, mode)
}

// openDirectory opens a path that can only name a directory. A directory cannot be
// opened for changes: the kernel reports the error.
func (c *call) openDirectory(e entry, flags uint64, mode uint32) outcome {
	if flags&unix.O_TMPFILE == unix.O_TMPFILE {
		return c.temporary(e, flags, mode)
	}
	name := "."
	if e.base != "" {
		name = e.base + "/"
	}
	fd, err := openAt(e.dir, name, flags, mode)
	return opened(fd, err, flags)
}

// temporary makes a file without a name.
func (c *call) temporary(e entry, flags uint64, mode uint32) outcome {
	name := e.base
	if name == "" {
		name = "."
	}
	fd := -1
	err := c.masked(func() (err error) {
		fd, err = openAt(e.dir, name, flags, mode)
		return err
	})
	return opened(fd, err, flags)
}

// openBase opens or creates a regular file. ELOOP means that the entry is a symlink.
func (c *call) openBase(e entry, flags uint64, mode uint32) outcome {
	if flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL {
		return c.create(e, flags, mode)
	}
	for range 16 {
		out := c.openExisting(e, flags)
		if flags&unix.O_CREAT == 0 || out.errno != unix.ENOENT {
			return out
		}
		out = c.create(e, flags|unix.O_EXCL, mode)
		if out.errno != unix.EEXIST {
			return out // EEXIST: another process made it meanwhile
		}
	}
	return outcome{errno: unix.EAGAIN}
}

// create makes a file that must not exist.
func (c *call) create(e entry, flags uint64, mode uint32) outcome {
	defer c.alone(e)()
	if c.completes(e) {
		return native
	}
	fd := -1
	err := c.masked(func() (err error) {
		fd, err = openAt(e.dir, e.base, flags, mode)
		return err
	})
	return opened(fd, err, flags)
}

// openAt opens a name of a directory that is not a symlink. openat2(2) refuses a
// symlink without a flag that would stay on the file, but it also refuses unknown
// flags, which openat(2) ignores.
func openAt(dir int, name string, flags uint64, mode uint32) (int, error) {
	const known = unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_APPEND | unix.O_NONBLOCK | unix.O_SYNC |
		unix.O_DSYNC | unix.O_ASYNC | unix.O_DIRECT | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_TMPFILE
	how := unix.OpenHow{Flags: flags&known | unix.O_CLOEXEC | unix.O_LARGEFILE, Resolve: unix.RESOLVE_NO_SYMLINKS}
	if flags&unix.O_CREAT != 0 || flags&unix.O_TMPFILE == unix.O_TMPFILE {
		how.Mode = uint64(mode & 0o7777)
	}
	return openat2(dir, name, &how)
}

// openExisting opens an existing file. It truncates the file only after it has
// identified it.
func (c *call) openExisting(e entry, flags uint64) outcome {
	if flags&(unix.O_NONBLOCK|unix.O_ACCMODE) == unix.O_RDONLY && isFIFO(e) {
		return c.openFIFO(e, flags) // the look below would let a waiting writer in and, by its end, out again
	}
	fd, err := openAt(e.dir, e.base, flags&^(unix.O_CREAT|unix.O_EXCL|unix.O_TRUNC)|unix.O_NONBLOCK, 0)
	if err == unix.ENXIO {
		return c.openFIFO(e, flags)
	}
	if err != nil {
		return failed(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return failed(err)
	}
	if c.aliased(&st, e.path()) {
		unix.Close(fd)
		return native
	}
	if flags&(unix.O_TRUNC|unix.O_ACCMODE) == unix.O_TRUNC { // opened for reading only; truncation still needs the right to write
		if err := unix.Faccessat(fd, "", unix.W_OK, unix.AT_EMPTY_PATH|unix.AT_EACCESS); err != nil {
			unix.Close(fd)
			return failed(err)
		}
	}
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFDIR && flags&(unix.O_CREAT|unix.O_TRUNC) != 0 {
		unix.Close(fd)
		return outcome{errno: unix.EISDIR} // the file was opened without these flags
	}
	if kind == unix.S_IFIFO && flags&(unix.O_NONBLOCK|unix.O_ACCMODE) == unix.O_RDONLY {
		unix.Close(fd)
		return c.openFIFO(e, flags)
	}
	err = settle(fd, flags, kind)
	if err != nil {
		unix.Close(fd)
		return failed(err)
	}
	return outcome{hands: true, file: fd, flags: flags}
}

// settle applies the flags to an opened file that the first look had to leave out.
func settle(fd int, flags uint64, kind uint32) error {
	if flags&unix.O_NONBLOCK == 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, int(flags)&^unix.O_NONBLOCK); err != nil {
			return err
		}
	}
	if flags&unix.O_TRUNC == 0 || kind != unix.S_IFREG {
		return nil
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_ACCMODE == unix.O_ACCMODE {
		return unix.Truncate(fdPath(fd), 0) // Linux truncates, though POSIX leaves it undefined
	}
	return unix.Ftruncate(fd, 0)
}

func isFIFO(e entry) bool {
	var st unix.Stat_t
	return unix.Fstatat(e.dir, e.base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO
}

// openFIFO opens a FIFO for a thread that waits for the other end. Meanwhile it holds
// no lock and no worker.
func (c *call) openFIFO(e entry, flags uint64) outcome {
	fd, err := unix.Openat(e.dir, e.base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(err)
	}
	c.keep(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return failed(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFIFO || flags&unix.O_NONBLOCK != 0 {
		return outcome{errno: unix.ENXIO}
	}
	return c.wait(func(c *call) outcome {
		done := make(chan struct{})
		defer close(done)
		go c.giveUp(fd, done)
		got, err := unix.Open(fdPath(fd), int(flags&^(unix.O_CREAT|unix.O_EXCL|unix.O_TRUNC|unix.O_NOFOLLOW))|unix.O_CLOEXEC, 0)
		return opened(got, err, flags)
	})
}

// reopen opens the target of the thread's descriptor for writing if a path names that
// descriptor (proc(5), /dev/fd). The kernel handles all other paths below /proc.
func (c *call) reopen(p string, flags uint64) outcome {
	n, ok := c.descriptorNamed(p)
	if !ok {
		return native
	}
	fd, real, err := c.descriptor(n)
	if err != nil || !c.changing(real, always) {
		return native
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return failed(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || c.aliased(&st, real) {
		return native
	}
	got, err := unix.Open(fdPath(fd), int(flags&^(unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW))|unix.O_CLOEXEC, 0)
	return opened(got, err, flags)
}

// descriptorNamed returns the number of the thread's descriptor that a path names.
func (c *call) descriptorNamed(p string) (int, bool) {
	p = path.Clean(p)
	for i, name := range []string{"/dev/stdin", "/dev/stdout", "/dev/stderr"} {
		if p == name {
			return i, true
		}
	}
	dir, last := path.Split(p)
	n, err := strconv.Atoi(last)
	if err != nil || n < 0 {
		return 0, false
	}
	switch dir {
	case "/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/":
		return n, true
	}
	pid, _ := c.r.Process()
	return n, dir == "/proc/"+strconv.Itoa(pid)+"/fd/"
}

func opened(fd int, err error, flags uint64) outcome {
	if err != nil {
		return failed(err)
	}
	return outcome{hands: true, file: fd, flags: flags}
}
