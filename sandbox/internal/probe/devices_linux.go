package probe

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// devices are attacks through device nodes and modes.
func devices() []Probe {
	probes := []Probe{
		{ID: "mknod-null", Loss: "any device whose number is known: the disk", How: "mknod(2) of a character device in the project",
			Want: "EPERM", By: Namespaces | Seccomp | Landlock, Twin: TwinRoot,
			Run: func(w World) Result {
				return made(filepath.Join(w.Project, "node"), unix.S_IFCHR|0o600, unix.Mkdev(1, 3))
			}},
		{ID: "mknod-disk", Loss: "the disk", How: "mknod(2) of a block device in the private /tmp",
			Want: "EPERM", By: Namespaces | Seccomp | Landlock, Twin: TwinRoot,
			Run: func(w World) Result {
				return made(filepath.Join(w.Tmp, "node"), unix.S_IFBLK|0o600, unix.Mkdev(7, 0))
			}},
		{ID: "bind-socket-project", Loss: "a rendezvous for two sandboxes that share a folder (SCM_RIGHTS)", How: "bind(2) of a unix socket in the project",
			Want: "EACCES|EROFS", By: Landlock | Mediation,
			Run: func(w World) Result {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(fd)
				path := filepath.Join(w.Project, "s")
				defer os.Remove(path)
				return outcome(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), "")
			}},
		{ID: "sys-present", Loss: "a map of the machine, and knobs", How: "getdents64(2) on /sys",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(World) Result { return listed("/sys", "") }},
		{ID: "cgroup-present", Loss: "the limits", How: "getdents64(2) on /sys/fs/cgroup",
			Want: "ENOENT", By: Namespaces | Landlock, Absent: "ENOENT",
			Run: func(World) Result { return listed("/sys/fs/cgroup", "") }},
	}
	for _, d := range []struct {
		name, loss string
		twin       Twin
	}{
		{"kmsg", "the kernel's log", TwinRoot},
		{"kvm", "the hypervisor", TwinRoot},
		{"fuse", "a file system of the attacker's", TwinPlain},
		{"mem", "physical memory", TwinRoot},
		{"loop-control", "block devices of the attacker's", TwinRoot},
		{"net/tun", "a network interface", TwinPlain},
		{"vhost-vsock", "the host of a virtual machine", TwinRoot},
		{"snapshot", "the memory image", TwinRoot},
		{"userfaultfd", "a way to win kernel races", TwinRoot},
	} {
		probes = append(probes, Probe{ID: "dev-" + filepath.Base(d.name), Loss: d.loss, How: "open(2) of /dev/" + d.name,
			Want: "ENOENT", By: Namespaces | Landlock, Twin: d.twin, Absent: "ENOENT|ENXIO|ENODEV|EACCES|EBADFD",
			Run: func(World) Result { return openDevice("/dev/" + d.name) }})
	}
	probes = append(probes, Probe{ID: "dev-ptmx", Loss: "terminals", How: "open(2) of /dev/ptmx, TIOCGPTN",
		Want: "ENOTTY", By: Namespaces | Landlock, Twin: TwinPlain, Absent: "ENOENT|EACCES", // ENOTTY: a pipe is there
		Run: func(World) Result { return openTerminal("/dev/ptmx") }})
	return append(probes, modes()...)
}

// modes are the ways to leave a set-user-id or set-group-id file in a user's folder,
// where it takes effect as soon as somebody outside executes it.
func modes() []Probe {
	const loss = "the user's account to other users, root's account to everybody where root runs the server"
	row := func(id, how string, run func(*arena, string) error) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: "EPERM", By: Seccomp,
			Absent: "ENOSYS",
			Run: func(w World) Result {
				path := filepath.Join(w.Project, id)
				if r := created(path); !r.OK {
					return r
				}
				defer os.RemoveAll(path)
				return outcome(run(new(arena), path), "")
			}}
	}
	cwd := unix.AT_FDCWD
	at := uintptr(cwd)
	return []Probe{
		row("fchmodat-suid", "fchmodat(2) with S_ISUID", func(a *arena, p string) error {
			_, err := sys(a, unix.SYS_FCHMODAT, at, a.str(p), 0o4755)
			return err
		}),
		row("fchmodat-sgid", "fchmodat(2) with S_ISGID", func(a *arena, p string) error {
			_, err := sys(a, unix.SYS_FCHMODAT, at, a.str(p), 0o2755)
			return err
		}),
		row("fchmodat-suid-high", "fchmodat(2) with S_ISUID and a bit above the sixteen of a mode", func(a *arena, p string) error {
			_, err := sys(a, unix.SYS_FCHMODAT, at, a.str(p), 1<<16|0o4755)
			return err
		}),
		row("fchmodat-suid-bit32", "fchmodat(2) with S_ISUID and bit 32 set", func(a *arena, p string) error {
			_, err := sys(a, unix.SYS_FCHMODAT, at, a.str(p), 1<<32|0o4755)
			return err
		}),
		row("fchmodat2-suid", "fchmodat2(2) with S_ISUID", func(a *arena, p string) error {
			_, err := sys(a, unix.SYS_FCHMODAT2, at, a.str(p), 0o4755, 0)
			return err
		}),
		row("fchmod-suid", "fchmod(2) with S_ISUID", func(_ *arena, p string) error {
			f, err := os.OpenFile(p, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			return unix.Fchmod(int(f.Fd()), 0o4755)
		}),
		row("openat-suid", "openat(2) with O_CREAT and S_ISUID", func(a *arena, p string) error {
			return openMode(a, p, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o4755)
		}),
		row("openat-suid-tmpfile", "openat(2) with O_TMPFILE and S_ISUID", func(a *arena, p string) error {
			return openMode(a, filepath.Dir(p), unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o4755)
		}),
		row("mkdirat-sgid", "mkdirat(2) with S_ISGID, then chmod", func(a *arena, p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			_, err := sys(a, unix.SYS_MKDIRAT, at, a.str(p), 0o2755)
			return err
		}),
		row("mknodat-suid", "mknodat(2) of a file with S_ISUID", func(a *arena, p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			_, err := sys(a, unix.SYS_MKNODAT, at, a.str(p), unix.S_IFREG|0o4755, 0)
			return err
		}),
	}
}

// openMode creates the file with a raw openat(2).
func openMode(a *arena, path string, flags, mode uintptr) error {
	if flags&unix.O_CREAT != 0 && flags&unix.O_TMPFILE != unix.O_TMPFILE {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	at := unix.AT_FDCWD
	fd, err := sys(a, unix.SYS_OPENAT, uintptr(at), a.str(path), flags, mode)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// made makes a device node and removes it again.
func made(path string, mode uint32, dev uint64) Result {
	defer os.Remove(path)
	return outcome(unix.Mknod(path, mode, int(dev)), "")
}

// openTerminal makes a terminal. A terminal device counts as one, whatever it answers.
func openTerminal(path string) Result {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return outcome(err, path)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFCHR {
		_, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	return outcome(err, path)
}

// openDevice opens a device for reading, or for writing if it cannot be read.
func openDevice(path string) Result {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return outcome(err, path)
}
