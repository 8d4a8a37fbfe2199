package writes

import (
	"path"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// inode identifies a file, whatever its names.
type inode struct{ dev, ino uint64 }

// aliases are the protected files with several names, by their inodes, with one
// protected name each.
type aliases struct {
	inodes map[inode]string
	cut    bool // the list may be incomplete
}

// maxAliases bounds their number, and so the memory.
const maxAliases = 1 << 20

// maxStarts is the largest number of protected places held open for a later search: a
// quarter of the descriptors that this process may have.
const maxStarts = 256

func starts() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(l.Cur/4, maxStarts))
}

// protectedPlace is an existing protected place, with a descriptor if there are not too
// many: the descriptor stays valid when somebody outside moves the place's parent.
type protectedPlace struct {
	path string
	fd   int // O_PATH; -1: none
}

// startAt returns a place, held open if open is set.
func startAt(p string, open bool) protectedPlace {
	at := protectedPlace{p, -1}
	if open {
		if fd, err := unix.Open(p, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err == nil {
			at.fd = fd
		}
	}
	return at
}

// findAliases searches the protected places and closes their descriptors. It runs when
// a file with several names is first opened for a change. If a place can no longer be
// found, any such file may belong to it.
func findAliases(places []protectedPlace) aliases {
	a := aliases{inodes: map[inode]string{}}
	for _, place := range places {
		fd := place.fd
		if fd < 0 {
			var err error
			if fd, err = unix.Open(place.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
				a.cut = a.cut || lacking(err) || err == unix.ENOENT || err == unix.ENOTDIR
				continue
			}
		}
		a.add(fd, "", place.path)
		w := walk{lax: true, lost: func(error) { a.cut = true }, each: func(rel string, at int, kind uint8) (bool, plan.ProtectedPlace, bool) {
			if kind == unix.DT_REG {
				a.add(at, path.Base(rel), place.path+"/"+rel)
			}
			return true, plan.ProtectedPlace{}, false
		}}
		w.run(fd, ".") // ENOTDIR for a file
		unix.Close(fd)
	}
	return a
}

func (a *aliases) add(dir int, base, p string) {
	var st unix.Stat_t
	if unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != nil || st.Nlink < 2 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	if len(a.inodes) >= maxAliases {
		a.cut = true
		return
	}
	a.inodes[inode{uint64(st.Dev), st.Ino}] = p
}
