package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"
)

// look finds out whether an open is about to fail for want of a rule: the path
// as seen inside, and the errno or 0. All that it reads belongs to the process
// that asks, so that it answers a log and nothing else.
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
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", n.tid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", 0
	}
	defer unix.Close(root)
	v := view{root: root, tid: int(n.tid), outside: outside}
	return printable(path), v.open(path, int(flags), 0)
}

// view looks at files through another process's root.
type view struct {
	root    int // its root directory
	tid     int // as seen here
	outside func(string) bool
}

// open says how the open will fail for want of a rule, or 0: it will not, or for
// another reason, or that cannot be told.
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

// find opens a path as the process would find it, without opening the file.
func (v view) find(path string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(v.root, path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC | flags,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: a rename raced
			return fd, err
		}
	}
}

// link is where a symlink that leads nowhere, as seen from here, points to.
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

// own replaces /proc/self by the process that meant itself: to this one the
// link would mean this one, or nothing.
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

// access asks the kernel whether the flags' access would be granted to this
// user: by the file's mode and by its mount.
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

// readString reads a path from a process's memory, page by page up to PATH_MAX.
func readString(pid int, at uint64) (string, error) {
	page := uint64(os.Getpagesize())
	var path []byte
	for len(path) < unix.PathMax {
		buf := make([]byte, min(page-at%page, uint64(unix.PathMax-len(path))))
		local := []unix.Iovec{{Base: &buf[0]}}
		local[0].SetLen(len(buf))
		n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(buf)}}, 0)
		if err != nil {
			return "", os.NewSyscallError("process_vm_readv", err)
		}
		if end := bytes.IndexByte(buf[:n], 0); end >= 0 {
			return string(append(path, buf[:end]...)), nil
		}
		if n < len(buf) {
			break
		}
		path = append(path, buf...)
		at += uint64(n)
	}
	return "", fmt.Errorf("a path without an end")
}

// absolute resolves a path against the descriptor or the working directory.
func absolute(pid, dir int, path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	link := fmt.Sprintf("/proc/%d/cwd", pid)
	if dir != unix.AT_FDCWD {
		link = fmt.Sprintf("/proc/%d/fd/%d", pid, dir)
	}
	base, err := os.Readlink(link)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(base) {
		return "", fmt.Errorf("a directory without a path")
	}
	return filepath.Join(base, path), nil
}

// whois is the process behind a thread, or 0 and nothing.
func whois(tid int) (int, string) {
	pid, err := strconv.Atoi(statusField(tid, "Tgid:", 0))
	if err != nil {
		return 0, ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return pid, ""
	}
	return pid, printable(strings.TrimSuffix(string(comm), "\n"))
}

// innerPID is the process's id in its own pid namespace.
func innerPID(tid int) string { return statusField(tid, "NStgid:", -1) }

// statusField is a word of a line in the thread's status; -1 is the last word.
func statusField(tid int, key string, word int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, key)
		words := strings.Fields(rest)
		if !ok || len(words) == 0 {
			continue
		}
		if word < 0 {
			word = len(words) - 1
		}
		return words[word]
	}
	return ""
}

// printable keeps a program from writing to the log's reader.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
