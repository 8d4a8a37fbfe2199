package notify

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sight is one call of a program on trial, before the kernel gets it. All of it comes
// from the program's own memory, which the program can change meanwhile. So it is for a
// report, and must not decide anything.
type Sight struct {
	Name    string // of the call
	PID     int    // of the process, as this process sees it; 0: it was already gone
	Parent  int    // its current parent
	Program string // its name as it set it, printable

	Path  string         // of an open or a program: the path that the kernel finds, without symlinks, as far as it exists
	Write bool           // of an open: it may change the file
	Dir   bool           // of an open: it is a directory
	Errno syscall.Errno  // why the path is not found, or 0
	Args  []string       // of a program: the first ones
	Addr  netip.AddrPort // of a connection, a bind or a message
	Data  []byte         // of a message: its beginning
	TCP   bool           // of a connection: it uses TCP
	Other int            // of a signal: the target process, as the program names it
}

// see reports one call.
func (l *listener) see(n notification, then decision) {
	s := Sight{Name: then.Name}
	switch then.Name {
	case "open", "openat", "creat":
		l.seeOpen(n, &s)
	case "execve":
		s.Path, s.Errno, _ = resolved(n, unix.AT_FDCWD, n.args[0])
		s.Args = arguments(int(n.tid), n.args[1])
	case "execveat":
		s.Path, s.Errno, _ = resolved(n, int(int32(n.args[0])), n.args[1])
		s.Args = arguments(int(n.tid), n.args[2])
	case "connect":
		s.Addr, _ = readAddr(int(n.tid), n.args[1], n.args[2])
		s.TCP = s.Addr.IsValid() && streams(int(n.tid), int(int32(n.args[0])))
	case "bind":
		s.Addr, _ = readAddr(int(n.tid), n.args[1], n.args[2])
		s.TCP = s.Addr.IsValid() && streams(int(n.tid), int(int32(n.args[0])))
	case "kill":
		s.Other = int(int32(n.args[0]))
	}
	sights := []Sight{s}
	if strings.HasPrefix(then.Name, "send") {
		sights = sent(n, s)
	}
	pid, program := whois(int(n.tid))
	parent, _ := strconv.Atoi(statusField(int(n.tid), "PPid:", 0))
	if l.judge.Each == nil || !valid(l.fd, n.id) { // the id may be reused by now
		return
	}
	for _, s := range sights {
		s.PID, s.Program, s.Parent = pid, program, parent
		l.judge.Each(s)
	}
}

func (l *listener) seeOpen(n notification, s *Sight) {
	dir, at, flags := unix.AT_FDCWD, n.args[0], uint64(unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	switch s.Name {
	case "open":
		flags = n.args[1]
	case "openat":
		dir, at, flags = int(int32(n.args[0])), n.args[1], n.args[2]
	}
	s.Write = flags&unix.O_ACCMODE != unix.O_RDONLY || flags&(unix.O_CREAT|unix.O_TRUNC) != 0
	s.Path, s.Errno, s.Dir = resolved(n, dir, at)
}

// resolved returns a process's path as the kernel finds it: with symlinks followed if
// it exists, else absolute and with the reason.
func resolved(n notification, dir int, at uint64) (path string, errno syscall.Errno, isDir bool) {
	path, err := readString(int(n.tid), at)
	if err != nil || path == "" {
		return "", unix.ENOENT, false
	}
	if path, err = absolute(int(n.tid), dir, path); err != nil {
		return "", unix.ENOENT, false
	}
	root, err := place(fmt.Sprintf("/proc/%d/root", n.tid))
	if err != nil {
		return printable(path), 0, false
	}
	defer unix.Close(root)
	v := view{root: root, tid: int(n.tid)}
	fd, err := v.find(v.own(path), 0)
	if err != nil {
		errno, _ = err.(syscall.Errno)
		return printable(path), errno, false
	}
	defer unix.Close(fd)
	if real, err := follow("/proc/self/fd/" + strconv.Itoa(fd)); err == nil && real != "" && real[0] == '/' {
		path = real
	}
	var st unix.Stat_t
	isDir = unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
	return printable(path), 0, isDir
}

// Bounds on the recorded arguments of a program.
const (
	maxArguments = 12
	maxArgument  = 256 // bytes
)

// arguments reads the first elements of an argument vector.
func arguments(pid int, at uint64) []string {
	out := []string{}
	for i := range uint64(maxArguments) {
		var word [8]byte
		if readMemory(pid, at+8*i, word[:]) != nil {
			break
		}
		var p uint64
		for j, b := range word { // both architectures are little-endian
			p |= uint64(b) << (8 * j)
		}
		if p == 0 {
			break
		}
		s, err := readString(pid, p)
		if err != nil && s == "" {
			break
		}
		if len(s) > maxArgument {
			s = s[:maxArgument] + "…"
		}
		out = append(out, printable(s))
	}
	return out
}
