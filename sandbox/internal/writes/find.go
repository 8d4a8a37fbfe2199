package writes

import (
	"errors"
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is the largest number of symlinks in one path (path_resolution(7)).
const maxLinks = 40

// entry is a name in a directory, as the mediator sees it: the resolved path without
// its last element, and that element.
type entry struct {
	dir  int    // O_PATH, in the mediator's own mounts
	in   string // the directory's real path
	base string // "" if the path names the directory itself: ".", ".." or "/"
	// slash is set if the path ends in a slash: the kernel then follows a symlink, and
	// demands a directory.
	slash bool
}

// path is the entry's real path.
func (e entry) path() string {
	if e.base == "" {
		return e.in
	}
	return path.Join(e.in, e.base)
}

// errElsewhere reports that a path leads through a magic link of /proc, or to a place
// outside of the writable folders. The kernel handles it.
var errElsewhere = errors.New("elsewhere")

// start returns the start of a path's resolution: "" for an absolute path, otherwise
// the real path of the thread's working directory or of its descriptor. Every thread
// has one. Threads may share it (CLONE_FS). Another thread can change it during the
// call, but it could have done so before the call, too.
func (c *call) start(dirfd int, p string) (string, error) {
	if strings.HasPrefix(p, "/") {
		return "", nil
	}
	link := "/proc/" + strconv.Itoa(c.r.TID) + "/cwd"
	if dirfd != unix.AT_FDCWD {
		if dirfd < 0 {
			return "", unix.EBADF
		}
		link = "/proc/" + strconv.Itoa(c.r.TID) + "/fd/" + strconv.Itoa(dirfd)
	}
	at, err := readlink(unix.AT_FDCWD, link)
	switch {
	case err == unix.ENOENT && dirfd != unix.AT_FDCWD:
		return "", unix.EBADF
	case err != nil:
		return "", err
	case !strings.HasPrefix(at, "/"), strings.HasSuffix(at, " (deleted)"):
		return "", errElsewhere // the kernel knows the right errno, and nothing can be created in a deleted folder
	}
	return at, nil
}

// find resolves all but the last element of a path.
func (c *call) find(dirfd int, p string) (entry, error) {
	if p == "" {
		return entry{}, errElsewhere // ENOENT, or AT_EMPTY_PATH
	}
	from, err := c.start(dirfd, p)
	if err != nil {
		return entry{}, err
	}
	return c.findFrom(from, p)
}

func (c *call) findFrom(from, p string) (entry, error) {
	e := entry{}
	rest := strings.TrimRight(p, "/")
	e.slash = rest != p && rest != ""
	dir := rest
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		dir, e.base = rest[:i+1], rest[i+1:]
	} else if rest != "" {
		dir, e.base = "", rest
	}
	if rest == "" {
		dir = "/"
	}
	if e.base == "." || e.base == ".." {
		dir, e.base, e.slash = rest, "", false
	}
	if from != "" {
		dir = from + "/" + dir
	}
	var err error
	e.dir, e.in, err = c.directory(dir)
	return e, err
}

// directory opens a directory by an absolute path and returns its real path.
func (c *call) directory(p string) (fd int, real string, err error) {
	if len(p) >= unix.PathMax {
		return c.longDirectory(p)
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err = openat2(unix.AT_FDCWD, p, &how)
	if err == nil {
		c.keep(fd)
		if strings.Contains(p, "/..") {
			real, err = realPath(fd) // the target of ".." may have been moved meanwhile
		} else {
			real = path.Clean(p) // no symlink led elsewhere
		}
	} else if err == unix.ELOOP {
		how.Resolve = unix.RESOLVE_NO_MAGICLINKS
		fd, err = openat2(unix.AT_FDCWD, p, &how)
		if err == unix.ELOOP {
			return -1, "", errElsewhere // a magic link, or a loop
		}
		if err == nil {
			c.keep(fd)
			real, err = realPath(fd)
		}
	}
	if err != nil {
		return -1, "", err
	}
	if real == "/proc" || strings.HasPrefix(real, "/proc/") {
		return -1, "", errElsewhere // there "self" would be the mediator
	}
	return fd, real, nil
}

// longDirectory opens a directory whose path is too long for one system call.
func (c *call) longDirectory(p string) (int, string, error) {
	fd, err := openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return -1, "", err
	}
	c.keep(fd)
	for rest := strings.TrimLeft(p, "/"); rest != ""; {
		part := rest
		if len(part) > unix.PathMax-1 {
			i := strings.LastIndexByte(part[:unix.PathMax-1], '/')
			if i < 0 {
				return -1, "", unix.ENAMETOOLONG
			}
			part = part[:i]
		}
		rest = strings.TrimLeft(rest[len(part):], "/")
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
		if fd, err = openat2(fd, part, &how); err != nil {
			return -1, "", err
		}
		c.keep(fd)
	}
	real, err := realPath(fd)
	return fd, real, err
}

// object opens the target of a path with O_PATH and returns its real path.
func (c *call) object(dirfd int, p string, follow bool) (fd int, real string, err error) {
	e, err := c.find(dirfd, p)
	if err != nil {
		return -1, "", err
	}
	if e.base == "" {
		return e.dir, e.in, nil
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	name := e.base
	if e.slash {
		name += "/"
	}
	if !follow && !e.slash {
		how.Flags |= unix.O_NOFOLLOW
	}
	fd, err = openat2(e.dir, name, &how)
	if err == unix.ELOOP {
		return -1, "", errElsewhere
	}
	if err != nil {
		return -1, "", err
	}
	c.keep(fd)
	if real, err = realPath(fd); err != nil {
		return -1, "", err
	}
	if strings.HasPrefix(real, "/proc/") {
		return -1, "", errElsewhere
	}
	return fd, real, nil
}

// descriptor opens the target of the thread's descriptor with O_PATH, in the mediator's
// own mounts.
func (c *call) descriptor(fd int) (int, string, error) {
	link := "/proc/" + strconv.Itoa(c.r.TID) + "/fd/" + strconv.Itoa(fd)
	real, err := readlink(unix.AT_FDCWD, link)
	if err != nil || !strings.HasPrefix(real, "/") || len(real) >= unix.PathMax {
		return -1, "", errElsewhere
	}
	own, err := openat2(unix.AT_FDCWD, real, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return -1, "", errElsewhere // it is gone, or has a different name by now
	}
	c.keep(own)
	var a, b unix.Stat_t
	if unix.Stat(link, &a) != nil || unix.Fstat(own, &b) != nil || a.Dev != b.Dev || a.Ino != b.Ino {
		return -1, "", errElsewhere
	}
	return own, real, nil
}

// onlyPath reports whether the thread's descriptor was opened with O_PATH
// (proc_pid_fdinfo(5)). It returns false for one that it cannot look at.
func (c *call) onlyPath(fd int) bool {
	info, err := unix.Open("/proc/"+strconv.Itoa(c.r.TID)+"/fdinfo/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(info)
	var buf [128]byte
	n, _ := unix.Read(info, buf[:])
	_, rest, _ := strings.Cut(string(buf[:max(n, 0)]), "\nflags:\t")
	text, _, _ := strings.Cut(rest, "\n")
	flags, err := strconv.ParseUint(text, 8, 64)
	return err == nil && flags&unix.O_PATH != 0
}

// openat2 retries if a rename raced (EAGAIN, openat2(2)).
func openat2(dir int, p string, how *unix.OpenHow) (fd int, err error) {
	for range 16 {
		fd, err = unix.Openat2(dir, p, how)
		if err != unix.EINTR && err != unix.EAGAIN {
			break
		}
	}
	return fd, err
}

// realPath returns the path of the mediator's descriptor. A removed file has none.
func realPath(fd int) (string, error) {
	p, err := readlink(unix.AT_FDCWD, fdPath(fd))
	switch {
	case err != nil:
		return "", err
	case !strings.HasPrefix(p, "/"):
		return "", errElsewhere
	case strings.HasSuffix(p, " (deleted)"):
		return "", unix.ENOENT
	}
	return p, nil
}

// fdPath is a path to a descriptor's target, for calls that accept no O_PATH
// descriptor.
func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func readlink(dir int, p string) (string, error) {
	var short [256]byte
	if n, err := unix.Readlinkat(dir, p, short[:]); err != nil || n < len(short) {
		return string(short[:max(n, 0)]), err
	}
	for size := 1024; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(dir, p, buf)
		if err != nil {
			return "", err
		}
		if n < len(buf) {
			return string(buf[:n]), nil
		}
		if size > unix.PathMax {
			return "", unix.ENAMETOOLONG
		}
	}
}

// errnoOf is the errno in a system call's error.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
