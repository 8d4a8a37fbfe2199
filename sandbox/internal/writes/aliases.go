package writes

import (
	"path"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// inode is what a file is, whatever its names.
type inode struct{ dev, ino uint64 }

// aliases are the protected files that have several names, by their inodes, with
// one protected name each.
type aliases struct {
	inodes map[inode]string
	cut    bool // there may be more
}

// maxAliases bounds the memory for them.
const maxAliases = 1 << 20

// findAliases looks through the protected places. It is done when a file with
// several names is first opened to be changed.
func findAliases(places []string) aliases {
	a := aliases{inodes: map[inode]string{}}
	for _, place := range places {
		dir, err := unix.Open(path.Dir(place), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			a.cut = a.cut || lacking(err)
			continue
		}
		a.add(dir, path.Base(place), place)
		w := walk{lax: true, lost: func(error) { a.cut = true }, each: func(rel string, at int, kind uint8) (bool, plan.Held, bool) {
			if kind == unix.DT_REG {
				a.add(at, path.Base(rel), place+"/"+rel)
			}
			return true, plan.Held{}, false
		}}
		w.run(dir, path.Base(place))
		unix.Close(dir)
	}
	return a
}

func (a *aliases) add(dir int, base, p string) {
	var st unix.Stat_t
	if unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Nlink < 2 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	if len(a.inodes) >= maxAliases {
		a.cut = true
		return
	}
	a.inodes[inode{uint64(st.Dev), st.Ino}] = p
}
