package writes

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// altering handles the calls that change the target of a path: resolve, decide, change.
// do gets an O_PATH descriptor of the object.
func (c *call) altering(dir, pathArg int, follow bool, do func(fd int) error) outcome {
	p, errno := c.path(pathArg)
	if errno != 0 {
		return outcome{errno: errno}
	}
	c.m.tree.RLock()
	defer c.m.tree.RUnlock()
	var fd int
	var real string
	var err error
	if n, ok := c.descriptorNamed(p); ok && follow {
		fd, real, err = c.descriptor(n)
	} else {
		fd, real, err = c.object(dir, p, follow)
	}
	return c.alter(fd, real, err, do)
}

// alteringFile is alteringOpen for a call that needs an open file: with O_PATH a
// descriptor is none (open(2)).
func (c *call) alteringFile(fdArg int, do func(fd int) error) outcome {
	if c.onlyPath(c.arg(fdArg)) {
		return outcome{errno: unix.EBADF}
	}
	return c.alteringOpen(fdArg, do)
}

// alteringOpen is altering for the target of the thread's descriptor.
func (c *call) alteringOpen(fdArg int, do func(fd int) error) outcome {
	c.m.tree.RLock()
	defer c.m.tree.RUnlock()
	fd, real, err := c.descriptor(c.arg(fdArg))
	return c.alter(fd, real, err, do)
}

func (c *call) alter(fd int, real string, err error, do func(fd int) error) outcome {
	if err != nil {
		return elsewhere(err)
	}
	if !c.changing(real, always) {
		return native
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return failed(err)
	}
	if c.aliased(&st, real) {
		return native
	}
	return failed(do(fd))
}

// truncate handles truncate(2), whose length takes a whole register.
func truncate(c *call) outcome {
	if int64(c.r.Args[1]) < 0 {
		return native // EINVAL, whatever the path
	}
	return c.altering(unix.AT_FDCWD, 0, true, func(fd int) error { return unix.Truncate(fdPath(fd), int64(c.r.Args[1])) })
}

// chmod handles chmod and fchmodat; flagsArg is -1 if the call has no flags.
func chmod(dirArg, pathArg, modeArg, flagsArg int) func(*call) outcome {
	return func(c *call) outcome {
		mode := uint32(c.r.Args[modeArg])
		if flagsArg >= 0 && c.arg(flagsArg) != 0 {
			return c.chmodLink(dirArg, pathArg, mode, c.arg(flagsArg))
		}
		return c.altering(c.dir(dirArg), pathArg, true, func(fd int) error { return unix.Chmod(fdPath(fd), mode) })
	}
}

// chmodLink handles fchmodat2 with flags: on a symlink, which has no mode to change, or
// on a descriptor.
func (c *call) chmodLink(dirArg, pathArg int, mode uint32, flags int) outcome {
	if flags != unix.AT_SYMLINK_NOFOLLOW {
		return native
	}
	return c.altering(c.dir(dirArg), pathArg, false, func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return unix.EOPNOTSUPP
		}
		return unix.Chmod(fdPath(fd), mode)
	})
}

func fchmod(c *call) outcome {
	return c.alteringFile(0, func(fd int) error { return unix.Chmod(fdPath(fd), uint32(c.r.Args[1])) })
}

// chown handles the calls that change owners; flagsArg is -1 if follow alone decides.
func chown(dirArg, pathArg, ownerArg, flagsArg int, follow bool) func(*call) outcome {
	return func(c *call) outcome {
		follow := follow
		if flagsArg >= 0 {
			switch c.arg(flagsArg) {
			case 0:
			case unix.AT_SYMLINK_NOFOLLOW:
				follow = false
			case unix.AT_EMPTY_PATH, unix.AT_EMPTY_PATH | unix.AT_SYMLINK_NOFOLLOW:
				return c.alteringEmpty(dirArg, pathArg, c.arg(flagsArg) == unix.AT_EMPTY_PATH, c.chownTo(ownerArg))
			default:
				return native
			}
		}
		return c.altering(c.dir(dirArg), pathArg, follow, c.chownTo(ownerArg))
	}
}

func (c *call) chownTo(ownerArg int) func(fd int) error {
	return func(fd int) error {
		return unix.Fchownat(fd, "", c.arg(ownerArg), c.arg(ownerArg+1), unix.AT_EMPTY_PATH)
	}
}

// alteringEmpty is altering for calls that name a descriptor by an empty path
// (AT_EMPTY_PATH).
func (c *call) alteringEmpty(dirArg, pathArg int, follow bool, do func(fd int) error) outcome {
	p, errno := c.path(pathArg)
	switch {
	case errno != 0:
		return outcome{errno: errno}
	case p != "":
		return c.altering(c.dir(dirArg), pathArg, follow, do)
	case c.dir(dirArg) == unix.AT_FDCWD:
		return native
	}
	return c.alteringOpen(dirArg, do)
}

func fchown(c *call) outcome { return c.alteringFile(0, c.chownTo(1)) }

// utimensat handles utimensat(2): on a path, or on the descriptor if there is no path.
func utimensat(c *call) outcome {
	times, errno := c.timespecs(2)
	if errno != 0 {
		return outcome{errno: errno}
	}
	set := func(fd int) error { return setTimes(fd, times) }
	flags := c.arg(3)
	if c.r.Args[1] == 0 {
		if c.arg(0) == unix.AT_FDCWD {
			return native // EFAULT
		}
		return c.alteringFile(0, set)
	}
	switch flags {
	case 0, unix.AT_SYMLINK_NOFOLLOW:
		return c.altering(c.arg(0), 1, flags == 0, set)
	case unix.AT_EMPTY_PATH, unix.AT_EMPTY_PATH | unix.AT_SYMLINK_NOFOLLOW:
		return c.alteringEmpty(0, 1, flags&unix.AT_SYMLINK_NOFOLLOW == 0, set)
	}
	return native
}

// timespecs copies two struct timespec; nil means the current time.
func (c *call) timespecs(arg int) (*[2]unix.Timespec, syscall.Errno) {
	if c.r.Args[arg] == 0 {
		return nil, 0
	}
	var buf [32]byte
	if errno := c.r.Bytes(arg, buf[:]); errno != 0 {
		return nil, errno
	}
	word := func(i int) int64 { return int64(binary.NativeEndian.Uint64(buf[8*i:])) }
	return &[2]unix.Timespec{{Sec: word(0), Nsec: word(1)}, {Sec: word(2), Nsec: word(3)}}, 0
}

// utimes handles the older calls, whose times are struct timeval (scale 1000) or whole
// seconds (scale 0).
func utimes(dirArg, pathArg, timesArg int, scale int64) func(*call) outcome {
	return func(c *call) outcome {
		if dirArg >= 0 && c.r.Args[pathArg] == 0 {
			return native // futimesat on a descriptor: no program uses it
		}
		times, errno := c.oldTimes(timesArg, scale)
		if errno != 0 {
			return outcome{errno: errno}
		}
		return c.altering(c.dir(dirArg), pathArg, true, func(fd int) error { return setTimes(fd, times) })
	}
}

func (c *call) oldTimes(arg int, scale int64) (*[2]unix.Timespec, syscall.Errno) {
	if c.r.Args[arg] == 0 {
		return nil, 0
	}
	if scale == 0 {
		var buf [16]byte
		if errno := c.r.Bytes(arg, buf[:]); errno != 0 {
			return nil, errno
		}
		word := func(i int) int64 { return int64(binary.NativeEndian.Uint64(buf[8*i:])) }
		return &[2]unix.Timespec{{Sec: word(0)}, {Sec: word(1)}}, 0
	}
	times, errno := c.timespecs(arg)
	if errno != 0 {
		return nil, errno
	}
	for i := range times {
		if times[i].Nsec < 0 || times[i].Nsec >= 1_000_000 {
			return nil, unix.EINVAL
		}
		times[i].Nsec *= scale
	}
	return times, 0
}

// setxattr handles setxattr and lsetxattr.
func setxattr(follow bool) func(*call) outcome {
	return func(c *call) outcome {
		x, errno := c.attribute()
		if errno != 0 {
			return outcome{errno: errno}
		}
		return c.altering(unix.AT_FDCWD, 0, follow, x.set)
	}
}

func fsetxattr(c *call) outcome {
	x, errno := c.attribute()
	if errno != 0 {
		return outcome{errno: errno}
	}
	return c.alteringFile(0, x.set)
}

// attribute is the extended attribute of a call: setxattr(path, name, value, size,
// flags).
type attribute struct {
	name  string
	value []byte
	flags int
}

func (c *call) attribute() (attribute, syscall.Errno) {
	name, errno := c.path(1)
	switch {
	case errno == unix.ENAMETOOLONG, errno == 0 && (name == "" || len(name) > unix.NAME_MAX):
		return attribute{}, unix.ERANGE
	case errno != 0:
		return attribute{}, errno
	case c.r.Args[3] > 64<<10: // XATTR_SIZE_MAX
		return attribute{}, unix.E2BIG
	}
	x := attribute{name: name, value: make([]byte, c.r.Args[3]), flags: c.arg(4)}
	return x, c.r.Bytes(2, x.value)
}

func (x attribute) set(fd int) error { return unix.Setxattr(fdPath(fd), x.name, x.value, x.flags) }

func removexattr(follow bool) func(*call) outcome {
	return func(c *call) outcome {
		name, errno := c.path(1)
		if errno != 0 {
			return outcome{errno: errno}
		}
		return c.altering(unix.AT_FDCWD, 0, follow, func(fd int) error { return unix.Removexattr(fdPath(fd), name) })
	}
}

func fremovexattr(c *call) outcome {
	name, errno := c.path(1)
	if errno != 0 {
		return outcome{errno: errno}
	}
	return c.alteringFile(0, func(fd int) error { return unix.Removexattr(fdPath(fd), name) })
}

// access answers whether a path is writable: the server's own mount would always say
// no.
func access(dirArg, pathArg, modeArg, flagsArg int) func(*call) outcome {
	return func(c *call) outcome {
		flags := 0
		if flagsArg >= 0 {
			flags = c.arg(flagsArg)
		}
		if flags&^(unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
			return native
		}
		p, errno := c.path(pathArg)
		if errno != 0 {
			return outcome{errno: errno}
		}
		c.m.tree.RLock()
		defer c.m.tree.RUnlock()
		var fd int
		var real string
		var err error
		if p == "" && flags&unix.AT_EMPTY_PATH != 0 {
			fd, real, err = c.descriptor(c.dir(dirArg))
		} else {
			fd, real, err = c.object(c.dir(dirArg), p, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
		}
		if err != nil {
			return elsewhere(err)
		}
		if !c.changing(real, never) {
			return native
		}
		return failed(unix.Faccessat(fd, "", uint32(c.r.Args[modeArg]), unix.AT_EMPTY_PATH|flags&unix.AT_EACCESS))
	}
}
