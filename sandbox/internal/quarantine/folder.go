package quarantine

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// folder is one writable folder and what was protected in it from the start. It
// is held by a descriptor: where folders lie in each other, a server can put
// something else at the inner one's name.
type folder struct {
	dir    string
	file   *os.File
	names  []string        // guarded wherever the scan finds them
	top    []string        // guarded in the folder itself, where the scan does not look for them
	except map[string]bool // and not guarded, relative to dir
	known  map[identity]bool
}

func openFolder(w plan.Watch) (folder, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, w.Dir, &how)
	if err != nil {
		return folder{}, &os.PathError{Op: "open", Path: w.Dir, Err: err}
	}
	f := folder{dir: w.Dir, file: os.NewFile(uintptr(fd), w.Dir), except: map[string]bool{}, known: map[identity]bool{}}
	for _, name := range w.Names {
		if own, ok := strings.CutPrefix(name, "/"); ok {
			f.top = append(f.top, own)
		} else {
			f.names = append(f.names, name)
		}
	}
	for _, rel := range w.Except {
		f.except[rel] = true
	}
	return f, nil
}

// remember takes what is there now as known.
func (f folder) remember(scan Scan) error {
	found, err := scan(f.path())
	if err != nil {
		return err // what is not known could be taken for planted
	}
	for _, rel := range append(found, f.top...) {
		if id, err := look(f.file, rel); err == nil {
			f.known[id] = true
		}
	}
	return nil
}

// knows is a first answer; move asks again of what it holds.
func (f folder) knows(rel string) bool {
	id, err := look(f.file, rel)
	return err == nil && f.known[id]
}

// path leads to the folder whatever is at its name. The dot keeps it from being
// a symlink itself.
func (f folder) path() string { return procPath(f.file) + "/." }

// guards reports whether the place is one that this run watches: the profile may
// name some that it makes writable on purpose.
func (f folder) guards(rel string) bool {
	if f.except[rel] {
		return false
	}
	return slices.Contains(f.top, rel) || slices.ContainsFunc(f.names, func(name string) bool {
		return rel == name || strings.HasSuffix(rel, "/"+name)
	})
}

// list lists the guarded places that exist. Where the scan gives up, because a
// server has closed a directory or filled one, a slower walk looks everywhere.
func (f folder) list(scan Scan) ([]string, error) {
	found, err := scan(f.path())
	if err != nil {
		found, err = f.walk()
	}
	for _, name := range f.top {
		if _, lookErr := look(f.file, name); lookErr == nil {
			found = append(found, name)
		}
	}
	found = slices.DeleteFunc(found, func(rel string) bool { return !f.guards(rel) })
	slices.Sort(found)
	return slices.Compact(found), err
}

// identity tells a place from another that took its name, and perhaps, once the
// first is gone, its inode number.
type identity struct {
	dev, ino   uint64
	kind       uint16
	born, nano int64  // zero where the file system does not tell
	text       string // of a symlink
}

// look says what is at a name of an open directory; the name may be of two parts
// (node_modules/.bin), and no symlink is followed.
func look(dir *os.File, name string) (identity, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	if err != nil {
		return identity{}, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		return identity{}, os.NewSyscallError("statx", err)
	}
	id := identity{dev: unix.Mkdev(st.Dev_major, st.Dev_minor), ino: st.Ino, kind: st.Mode & unix.S_IFMT}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born, id.nano = st.Btime.Sec, int64(st.Btime.Nsec)
	}
	if id.kind == unix.S_IFLNK {
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(fd, "", buf)
		if err != nil {
			return identity{}, os.NewSyscallError("readlinkat", err)
		}
		id.text = string(buf[:n])
	}
	return id, nil
}
