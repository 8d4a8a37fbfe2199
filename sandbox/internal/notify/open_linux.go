package notify

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// look reports an open that is about to fail for lack of a rule: the path as seen
// inside, and the errno or 0. Everything that it reads belongs to the calling process,
// so the result is for a log and nothing else.
func look(n notification, name string, outside func(string) bool) (string, syscall.Errno) {
	dir, at, flags := unix.AT_FDCWD, n.args[0], uint64(unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	switch name {
	case "open":
		flags = n.args[1]
	case "openat":
		dir, at, flags = int(int32(n.args[0])), n.args[1], n.args[2]
	}
	path, err := readString(int(n.tid), at)
	if err != nil || path == "" {
		return "", 0
	}
	path, err = absolute(int(n.tid), dir, path)
	if err != nil {
		return "", 0
	}
	root, err := place(fmt.Sprintf("/proc/%d/root", n.tid))
	if err != nil {
		return "", 0
	}
	defer unix.Close(root)
	v := view{root: root, tid: int(n.tid), outside: outside}
	return printable(path), v.open(path, int(flags), 0)
}

// view examines files through another process's root.
type view struct {
	root    int // its root directory
	tid     int // as seen here
	outside func(string) bool
}

// open returns the errno with which the open will fail for lack of a rule. It returns 0
// if the open will succeed or fail for another reason, or if that is unknown.
func (v view) open(path string, flags, links int) syscall.Errno {
	path = v.own(path)
	fd, err := v.find(path, 0)
	switch err {
	case nil:
		defer unix.Close(fd)
		return access(fd, flags)
	case unix.EACCES, unix.EROFS:
		return err.(syscall.Errno)
	case unix.ENOENT, unix.ENOTDIR:
	default: // a magic link of /proc, a loop
		return 0
	}
	if to, ok := v.link(path); ok && links < 8 {
		return v.open(to, flags, links+1)
	}
	if flags&unix.O_CREAT != 0 {
		if fd, err := v.find(filepath.Dir(path), unix.O_DIRECTORY); err == nil {
			defer unix.Close(fd)
			return access(fd, unix.O_WRONLY)
		}
		path = filepath.Dir(path)
	}
	if v.outside != nil && v.outside(path) {
		return syscall.ENOENT
	}
	return 0
}

// find resolves a path as the process would, without opening the file.
func (v view) find(path string, flags uint64) (fd int, err error) {
	for range 8 { // bounded: a process that renames on and on would make others wait
		fd, err = unix.Openat2(v.root, path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC | flags,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: a rename raced
			break
		}
	}
	return fd, err
}

// link returns the text of a symlink whose target does not exist for this process.
func (v view) link(path string) (string, bool) {
	fd, err := v.find(path, unix.O_NOFOLLOW)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil || n == 0 {
		return "", false
	}
	if to := string(buf[:n]); filepath.IsAbs(to) {
		return to, true
	}
	return filepath.Join(filepath.Dir(path), string(buf[:n])), true
}

// own replaces /proc/self by the process that uses it: for this process the link would
// lead to itself, or to nothing.
func (v view) own(path string) string {
	if rest, ok := strings.CutPrefix(path, "/dev/fd/"); ok {
		path = "/proc/self/fd/" + rest
	}
	for _, self := range []string{"/proc/self", "/proc/thread-self"} {
		if rest, ok := strings.CutPrefix(path, self); ok && (rest == "" || rest[0] == '/') {
			return "/proc/" + innerPID(v.tid) + rest
		}
	}
	return path
}

// access asks the kernel whether the file's mode and its mount would grant the flags'
// access to this user.
func access(fd, flags int) syscall.Errno {
	var mode uint32
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		mode = unix.R_OK
	case unix.O_WRONLY:
		mode = unix.W_OK
	default:
		mode = unix.R_OK | unix.W_OK
	}
	if flags&unix.O_PATH != 0 {
		return 0
	}
	switch err := unix.Faccessat2(fd, "", mode, unix.AT_EMPTY_PATH|unix.AT_EACCESS); err {
	case unix.EACCES, unix.EROFS, unix.EPERM:
		return err.(syscall.Errno)
	}
	return 0
}
