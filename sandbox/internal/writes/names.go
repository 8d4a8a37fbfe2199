package writes

import (
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// making handles the calls that make a name: resolve, decide, make. symlink says that
// the call makes a symlink: it must not redirect a protected name.
func (c *call) making(dir int, pathArg int, symlink bool, do func(e entry) error) outcome {
	p, errno := c.path(pathArg)
	if errno != 0 {
		return outcome{errno: errno}
	}
	c.m.tree.RLock()
	defer c.m.tree.RUnlock()
	e, err := c.find(dir, p)
	if err != nil {
		return elsewhere(err)
	}
	if e.base == "" || !c.changing(e.path(), absent(e)) {
		c.replacing(e, absent(e))
		return native
	}
	defer c.alone(e)()
	if c.completes(e) || symlink && absent(e)() && c.leads(e) {
		return native
	}
	return failed(do(e))
}

func mkdir(dirArg, pathArg, modeArg int) func(*call) outcome {
	return func(c *call) outcome {
		return c.making(c.dir(dirArg), pathArg, false, func(e entry) error {
			return c.masked(func() error { return unix.Mkdirat(e.dir, e.base, uint32(c.r.Args[modeArg])) })
		})
	}
}

// mknod makes regular files and FIFOs; the filter refuses devices. Sockets can be made
// only in the private file systems, as everywhere in mcpen.
func mknod(dirArg, pathArg, modeArg int) func(*call) outcome {
	return func(c *call) outcome {
		mode := uint32(c.r.Args[modeArg])
		if kind := mode & unix.S_IFMT; kind != 0 && kind != unix.S_IFREG && kind != unix.S_IFIFO {
			return native
		}
		return c.making(c.dir(dirArg), pathArg, false, func(e entry) error {
			if e.slash {
				return slashed(e)
			}
			return c.masked(func() error { return unix.Mknodat(e.dir, e.base, mode, 0) })
		})
	}
}

// slashed returns the errno for a path that ends in a slash when the call does not make
// a directory.
func slashed(e entry) error {
	if there(e)() {
		return unix.EEXIST
	}
	return unix.ENOENT
}

func symlink(textArg, dirArg, pathArg int) func(*call) outcome {
	return func(c *call) outcome {
		text, errno := c.path(textArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		if text == "" {
			return native // ENOENT, whatever the path
		}
		return c.making(c.dir(dirArg), pathArg, true, func(e entry) error {
			if e.slash {
				return slashed(e)
			}
			return unix.Symlinkat(text, e.dir, e.base)
		})
	}
}

// dir is an argument with a directory's descriptor; -1 means that the call has none.
func (c *call) dir(arg int) int {
	if arg < 0 {
		return unix.AT_FDCWD
	}
	return c.arg(arg)
}

// unlink handles unlink and rmdir.
func unlink(dirArg, pathArg int, flags func(*call) int) func(*call) outcome {
	return func(c *call) outcome {
		p, errno := c.path(pathArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		how := flags(c)
		if how&^unix.AT_REMOVEDIR != 0 {
			return native // EINVAL, whatever the path
		}
		if how&unix.AT_REMOVEDIR != 0 {
			c.m.tree.Lock()
			defer c.m.tree.Unlock()
		} else {
			c.m.tree.RLock()
			defer c.m.tree.RUnlock()
		}
		e, err := c.find(c.dir(dirArg), p)
		if err != nil {
			return elsewhere(err)
		}
		if e.base == "" || !c.changing(e.path(), there(e)) || c.m.judge.Folder(e.in) == "" {
			c.replacing(e, there(e))
			return native
		}
		if held, ok := c.m.judge.Contains(e.path(), c.m.known()); ok {
			if there(e)() {
				c.refused(e.path(), held)
			}
			return native
		}
		name := e.base
		if e.slash && how&unix.AT_REMOVEDIR == 0 {
			name += "/" // ENOTDIR, or EISDIR; a symlink is not followed (path_resolution(7))
		}
		return failed(unix.Unlinkat(e.dir, name, how))
	}
}

func link(oldDirArg, oldArg, newDirArg, newArg, flagsArg int) func(*call) outcome {
	return func(c *call) outcome {
		old, errno := c.path(oldArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		flags := 0
		if flagsArg >= 0 {
			flags = c.arg(flagsArg)
		}
		p, errno := c.path(newArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
			return native // EINVAL
		}
		c.m.tree.RLock()
		defer c.m.tree.RUnlock()
		from, real, err := c.linked(c.dir(oldDirArg), old, flags)
		if err != nil {
			return elsewhere(err)
		}
		e, err := c.find(c.dir(newDirArg), p)
		if err != nil {
			return elsewhere(err)
		}
		if e.base == "" || e.slash || !c.changing(e.path(), absent(e)) {
			c.replacing(e, absent(e))
			return native
		}
		return c.linkTo(from, real, e)
	}
}

// linkTo gives a file another name. real is "" if the file has none yet.
func (c *call) linkTo(from, real string, e entry) outcome {
	if real != "" && !c.changing(real, always) {
		return native
	}
	defer c.alone(e)()
	if c.completes(e) || absent(e)() && c.leads(e) {
		return native
	}
	return failed(unix.Linkat(unix.AT_FDCWD, from, e.dir, e.base, unix.AT_SYMLINK_FOLLOW))
}

// linked returns a path to the file that gets another name, and its real path: "" for a
// file without a name (O_TMPFILE, open(2)).
func (c *call) linked(dir int, old string, flags int) (from, real string, err error) {
	if n, ok := c.descriptorNamed(old); ok && flags&unix.AT_SYMLINK_FOLLOW != 0 {
		fd, real, err := c.descriptor(n)
		if err == nil {
			return fdPath(fd), real, nil
		}
		return c.nameless(n)
	}
	if flags&^unix.AT_SYMLINK_FOLLOW != 0 {
		return "", "", errElsewhere
	}
	fd, real, err := c.object(dir, old, flags&unix.AT_SYMLINK_FOLLOW != 0)
	return fdPath(fd), real, err
}

// nameless returns a file without a name that the mediator opened for the thread.
func (c *call) nameless(n int) (from, real string, err error) {
	fd, err := unix.Open(procFD(c.r.TID, n), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", "", errElsewhere
	}
	c.keep(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Nlink != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", "", errElsewhere
	}
	return fdPath(fd), "", nil
}

func rename(oldDirArg, oldArg, newDirArg, newArg, flagsArg int) func(*call) outcome {
	return func(c *call) outcome {
		old, errno := c.path(oldArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		p, errno := c.path(newArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		flags := uint(0)
		if flagsArg >= 0 {
			flags = uint(uint32(c.r.Args[flagsArg]))
		}
		const known = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
		if flags&^known != 0 || flags == known {
			return native // EINVAL, or EPERM for whiteouts
		}
		return c.renamePaths(c.dir(oldDirArg), old, c.dir(newDirArg), p, flags)
	}
}

// renamePaths resolves both paths and renames. No other call runs meanwhile: a file
// that was examined could otherwise be a directory or a symlink by then.
func (c *call) renamePaths(oldDir int, old string, newDir int, p string, flags uint) outcome {
	c.m.tree.Lock()
	defer c.m.tree.Unlock()
	a, err := c.find(oldDir, old)
	if err != nil {
		return elsewhere(err)
	}
	b, err := c.find(newDir, p)
	if err != nil {
		return elsewhere(err)
	}
	return c.renameTo(a, b, flags)
}

// renameTo renames an entry if that neither moves, makes nor loses a protected place.
func (c *call) renameTo(a, b entry, flags uint) outcome {
	exists := there(a)
	if a.base == "" || b.base == "" || c.m.judge.Folder(a.in) == "" || c.m.judge.Folder(b.in) == "" {
		c.replacing(a, exists)
		c.replacing(b, exists)
		return native
	}
	if !c.changing(a.path(), exists) || !c.changing(b.path(), exists) {
		return native
	}
	if exists() {
		if flags&unix.RENAME_EXCHANGE != 0 && !c.movable(b, a) || !c.movable(a, b) {
			return native
		}
	}
	from, to := a.base, b.base
	if a.slash {
		from += "/"
	}
	if b.slash {
		to += "/"
	}
	return failed(unix.Renameat2(a.dir, from, b.dir, to, flags))
}

// movable reports whether an entry may take the place of another.
func (c *call) movable(a, b entry) bool {
	known := c.m.known()
	for _, e := range []entry{a, b} {
		if held, ok := c.m.judge.Contains(e.path(), known); ok {
			c.refused(e.path(), held)
			return false
		}
	}
	var st unix.Stat_t
	if unix.Fstatat(a.dir, a.base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return true // the kernel reports the error
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		if c.leads(b) {
			return false
		}
	case unix.S_IFDIR:
		if held, ok := c.carries(a, b); ok {
			c.refused(a.path(), held)
			return false
		}
	}
	return !c.completes(b)
}

// carries finds a protected place in a directory that would get another name: under its
// current name or under the new one.
func (c *call) carries(a, b entry) (plan.ProtectedPlace, bool) {
	known := c.m.known()
	w := walk{each: func(rel string, dir int, _ uint8) (bool, plan.ProtectedPlace, bool) {
		for _, in := range []string{a.path(), b.path()} {
			p := in + "/" + rel
			if s, held := c.m.judge.At(p, known); s == plan.Kept {
				return false, held, true
			}
		}
		return true, plan.ProtectedPlace{}, false
	}, dir: func(rel string, dir int) (plan.ProtectedPlace, bool) {
		if plan.IsRepository(has(dir)) && !c.m.judge.Freed(a.path()+"/"+rel) {
			return plan.ProtectedPlace{Place: a.path() + "/" + rel, Why: "git takes the folder for a repository"}, true
		}
		return plan.ProtectedPlace{}, false
	}}
	return w.run(a.dir, a.base)
}
