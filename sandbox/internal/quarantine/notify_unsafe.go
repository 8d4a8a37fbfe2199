package quarantine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// How far the watch reaches: as far as the scan looks, and no more directories
// than a user's inotify limit bears. What lies beyond is seen by the last sweep.
const (
	depth      = 3
	maxWatched = 2048
)

// notify tells when something may have appeared.
type notify struct {
	fd      int // of file, whose Fd method would make it blocking
	file    *os.File
	base    map[int32]watched
	watched int
}

// watched is one directory: by a path that leads through its folder's
// descriptor, and its level.
type watched struct {
	dir   string
	level int
}

const appeared = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW

func newNotify(folders []folder) (*notify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	n := &notify{fd: fd, file: os.NewFile(uintptr(fd), "inotify"), base: map[int32]watched{}}
	for _, f := range folders {
		n.add(f.path(), 1)
	}
	return n, nil
}

// add watches a directory and those in it. Directories that cannot be watched
// are left to the last sweep.
func (n *notify) add(dir string, level int) {
	if level > depth || n.watched >= maxWatched {
		return
	}
	wd, err := unix.InotifyAddWatch(n.fd, dir, appeared)
	if err != nil {
		return
	}
	if _, again := n.base[int32(wd)]; !again {
		n.watched++
	}
	n.base[int32(wd)] = watched{dir, level}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			n.enter(watched{dir, level}, e.Name())
		}
	}
}

// enter watches a directory in another: of node_modules only what appears in it,
// of .git nothing.
func (n *notify) enter(in watched, name string) {
	switch name {
	case ".git":
	case "node_modules":
		n.add(in.dir+"/"+name, depth)
	default:
		n.add(in.dir+"/"+name, in.level+1)
	}
}

// run calls sweep whenever a name that could matter appeared, until close.
func (n *notify) run(sweep func()) {
	buf := make([]byte, 16<<10)
	for {
		got, err := n.file.Read(buf)
		if err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return
		}
		if n.matters(buf[:got]) {
			sweep()
		}
	}
}

// matters reads events; directories that appeared are watched, too.
func (n *notify) matters(b []byte) bool {
	found := false
	for len(b) >= unix.SizeofInotifyEvent {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&b[0]))
		end := unix.SizeofInotifyEvent + int(e.Len)
		name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:end]), "\x00")
		b = b[end:]
		if e.Mask&unix.IN_Q_OVERFLOW != 0 {
			return true
		}
		at, ok := n.base[e.Wd]
		if !ok {
			continue
		}
		if e.Mask&unix.IN_IGNORED != 0 { // the directory is gone, and so is its watch
			delete(n.base, e.Wd)
			n.watched--
			continue
		}
		if e.Mask&unix.IN_ISDIR != 0 {
			n.enter(at, name)
			found = true // something may have been put into it before it was watched
		}
		found = found || suspect(name)
	}
	return found
}

// suspect reports whether a name is the last part of a protected one.
func suspect(name string) bool {
	for _, p := range plan.Protected {
		if name == filepath.Base(p) {
			return true
		}
	}
	return false
}

func (n *notify) close() error { return n.file.Close() }
