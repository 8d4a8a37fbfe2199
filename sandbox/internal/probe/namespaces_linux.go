package probe

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountAttrSize is the size of struct mount_attr (mount_setattr(2)).
const mountAttrSize = 32

// spaces are the namespaces with their flags.
var spaces = []struct {
	name string
	flag uintptr
	loss string
}{
	{"user", unix.CLONE_NEWUSER, "every capability over new namespaces, and with them the kernel's least tested code"},
	{"mnt", unix.CLONE_NEWNS, "the protection that mounts give"},
	{"pid", unix.CLONE_NEWPID, "the guarantee that everything ends with pid 1"},
	{"net", unix.CLONE_NEWNET, "nftables, xfrm and more of the kernel's network code"},
	{"ipc", unix.CLONE_NEWIPC, "kernel code that a server has no use for"},
	{"uts", unix.CLONE_NEWUTS, "kernel code that a server has no use for"},
	{"cgroup", unix.CLONE_NEWCGROUP, "the view of the limits"},
	{"time", unix.CLONE_NEWTIME, "clocks that agree"},
}

// namespaces are attempts to make or join namespaces, by every call that can.
func namespaces() []Probe {
	var probes []Probe
	for _, s := range spaces {
		twin := TwinUserns
		if s.name == "user" {
			twin = TwinPlain
		}
		probes = append(probes, Probe{ID: "unshare-" + s.name, Loss: s.loss, How: "unshare(2)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: twin,
			Run: func(World) Result { return alone(new(arena), unix.SYS_UNSHARE, s.flag) }})
		if s.name == "time" {
			continue // clone(2) has no flag for it
		}
		probes = append(probes, Probe{ID: "clone-" + s.name, Loss: s.loss, How: "clone(2)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: twin,
			Run: func(World) Result {
				return clone(new(arena), unix.SYS_CLONE, s.flag|uintptr(unix.SIGCHLD))
			}})
	}
	return append(probes,
		Probe{ID: "clone-user-bit32", Loss: spaces[0].loss, How: "clone(2), whose flags the kernel cuts to 32 bits, with bit 32 set",
			Want: "EPERM", By: Namespaces | Seccomp,
			Run: func(World) Result {
				return clone(new(arena), unix.SYS_CLONE, 1<<32|unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))
			}},
		Probe{ID: "clone3-user", Loss: spaces[0].loss, How: "clone3(2), whose flags a filter cannot see",
			Want: "ENOSYS", By: Namespaces | Seccomp,
			Run: func(World) Result { return clone3(unix.CLONE_NEWUSER) }},
		Probe{ID: "clone3-mnt", Loss: spaces[1].loss, How: "clone3(2), whose flags a filter cannot see",
			Want: "ENOSYS", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(World) Result { return clone3(unix.CLONE_NEWNS) }},
		Probe{ID: "setns-own", Loss: "the namespaces of whoever can be named", How: "setns(2) with a file below /proc/self/ns",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(World) Result { return setns("/proc/self/ns/uts", unix.CLONE_NEWUTS) }},
		Probe{ID: "setns-pid1", Loss: "the namespaces of pid 1", How: "setns(2) with a file below /proc/1/ns",
			Want: "EACCES|EPERM", By: Namespaces | Landlock | Seccomp, Twin: TwinRoot,
			Run: func(w World) Result { return setns("/proc/"+itoa(w.Pid)+"/ns/uts", unix.CLONE_NEWUTS) }},
		Probe{ID: "setns-pidfd", Loss: "the namespaces of pid 1", How: "setns(2) with a pidfd",
			Want: "EPERM", By: Namespaces | Landlock | Seccomp, Twin: TwinRoot,
			Run: func(w World) Result {
				fd, err := unix.PidfdOpen(w.Pid, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(fd)
				return alone(new(arena), unix.SYS_SETNS, uintptr(fd), unix.CLONE_NEWUTS)
			}},
		Probe{ID: "chroot", Loss: "the root that Landlock and mounts agree on", How: "chroot(2)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(w World) Result {
				a := new(arena)
				return alone(a, unix.SYS_CHROOT, a.str(w.Project))
			}},
		Probe{ID: "sethostname", Loss: "the machine's name", How: "sethostname(2)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(World) Result { return outcome(unix.Sethostname([]byte("hostile")), "") }},
		Probe{ID: "setdomainname", Loss: "the machine's name", How: "setdomainname(2)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(World) Result { return outcome(unix.Setdomainname([]byte("hostile")), "") }},
	)
}

// clone3 makes a child with clone3(2).
func clone3(flags uint64) Result {
	a := new(arena)
	addr, args := a.bytes(88)
	binary.NativeEndian.PutUint64(args, flags)
	binary.NativeEndian.PutUint64(args[32:], uint64(unix.SIGCHLD))
	return clone(a, unix.SYS_CLONE3, addr, 88)
}

// setns joins the namespace of a file in a forked child.
func setns(path string, kind uintptr) Result {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	return alone(new(arena), unix.SYS_SETNS, uintptr(fd), kind)
}

// mounts are the mount calls, old and new (CVE-2021-41133 shows why the new ones
// matter).
func mounts() []Probe {
	const loss = "the root of the sandbox: read-only, protected and hidden places"
	row := func(id, how string, run func(World) Result) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: "EPERM",
			By: Namespaces | Landlock | Seccomp, Twin: TwinUserns, Absent: "ENOSYS", Run: run}
	}
	// Landlock refuses calls that change the mount tree, not calls that prepare a
	// change.
	prepare := func(id, how string, run func(World) Result) Probe {
		p := row(id, how, run)
		p.By = Namespaces | Seccomp
		return p
	}
	// Calls that only read or copy need no privilege: only seccomp refuses them.
	open := func(id, how string, run func(World) Result) Probe {
		p := row(id, how, run)
		p.By, p.Twin = Seccomp, TwinPlain
		return p
	}
	// The filter does not know the newest of them: they get its default errno.
	newest := func(id, how string, run func(World) Result) Probe {
		p := open(id, how, run)
		p.Want = "ENOSYS"
		return p
	}
	return []Probe{
		row("mount-tmpfs", "mount(2) of a tmpfs over the project", func(w World) Result {
			return mounted(unix.Mount("none", w.Project, "tmpfs", 0, ""), w.Project)
		}),
		row("mount-bind", "mount(2) with MS_BIND", func(w World) Result {
			return mounted(unix.Mount(w.Docs, w.Project, "", unix.MS_BIND, ""), w.Project)
		}),
		row("mount-proc", "mount(2) of another /proc, without what hides parts of it", func(w World) Result {
			return mounted(unix.Mount("proc", w.Project, "proc", 0, ""), w.Project)
		}),
		row("mount-remount", "mount(2) with MS_REMOUNT, to make the root writable", func(World) Result {
			// Outside, / may have flags that a namespace cannot clear, and EPERM would
			// hide the difference: the twin makes its propagation private instead.
			return outcome(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), "")
		}),
		row("umount", "umount2(2) of /proc", func(World) Result {
			// In the twin the mount is inherited and locked. The kernel then answers
			// EINVAL to a caller with the right.
			return reached(unix.Unmount("/proc", unix.MNT_DETACH), unix.EINVAL)
		}),
		row("pivot-root", "pivot_root(2)", func(w World) Result {
			return reached(unix.PivotRoot(w.Docs, w.Docs), unix.EINVAL, unix.EBUSY)
		}),
		prepare("fsopen", "fsopen(2) of a tmpfs", func(World) Result {
			fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
			if err == nil {
				unix.Close(fd)
			}
			return outcome(err, "")
		}),
		prepare("fspick", "fspick(2) of the root", func(World) Result {
			a := new(arena)
			cwd := unix.AT_FDCWD
			fd, err := sys(a, unix.SYS_FSPICK, uintptr(cwd), a.str("/"), unix.FSPICK_CLOEXEC)
			if err == nil {
				unix.Close(fd)
			}
			return reached(err, unix.EINVAL)
		}),
		open("fsconfig", "fsconfig(2), with a descriptor that is none", func(World) Result {
			_, err := sys(new(arena), unix.SYS_FSCONFIG, 1<<20, unix.FSCONFIG_CMD_CREATE, 0, 0, 0)
			return reached(err, unix.EBADF)
		}),
		prepare("fsmount", "fsmount(2), with a descriptor that is none", func(World) Result {
			_, err := sys(new(arena), unix.SYS_FSMOUNT, 1<<20, 0, 0)
			return reached(err, unix.EBADF)
		}),
		open("open-tree", "open_tree(2) without a clone", func(World) Result {
			fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLOEXEC)
			if err == nil {
				unix.Close(fd)
			}
			return outcome(err, "")
		}),
		prepare("open-tree-clone", "open_tree(2) with OPEN_TREE_CLONE", func(World) Result {
			fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLOEXEC|unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE)
			if err == nil {
				unix.Close(fd)
			}
			return outcome(err, "")
		}),
		prepare("open-tree-attr", "open_tree_attr(2) with OPEN_TREE_CLONE", func(World) Result {
			a := new(arena)
			cwd := unix.AT_FDCWD
			attr := &unix.MountAttr{}
			fd, err := sys(a, unix.SYS_OPEN_TREE_ATTR, uintptr(cwd), a.str("/"),
				unix.OPEN_TREE_CLOEXEC|unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE, put(a, attr), mountAttrSize)
			if err == nil {
				unix.Close(fd)
			}
			return outcome(err, "")
		}),
		row("move-mount", "move_mount(2) of the root", func(w World) Result {
			err := unix.MoveMount(unix.AT_FDCWD, "/", unix.AT_FDCWD, w.Project, 0)
			return reached(err, unix.EINVAL, unix.ELOOP)
		}),
		prepare("mount-setattr", "mount_setattr(2) of the root", func(World) Result {
			attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV}
			return outcome(unix.MountSetattr(unix.AT_FDCWD, "/", 0, attr), "")
		}),
		newest("statmount", "statmount(2) of the root: where the host keeps things", func(World) Result {
			a := new(arena)
			req, b := a.bytes(24)
			buf, _ := a.bytes(4096)
			var st unix.Statx_t
			if err := unix.Statx(unix.AT_FDCWD, "/", 0, 0x4000 /* STATX_MNT_ID_UNIQUE */, &st); err != nil {
				return refused(err)
			}
			binary.NativeEndian.PutUint32(b, 24)
			binary.NativeEndian.PutUint64(b[8:], st.Mnt_id)
			binary.NativeEndian.PutUint64(b[16:], 2 /* STATMOUNT_MNT_BASIC */)
			_, err := sys(a, unix.SYS_STATMOUNT, req, buf, 4096, 0)
			return outcome(err, "")
		}),
		newest("listmount", "listmount(2) of the root", func(World) Result {
			a := new(arena)
			req, b := a.bytes(24)
			buf, _ := a.bytes(8 * 64)
			binary.NativeEndian.PutUint32(b, 24)
			binary.NativeEndian.PutUint64(b[8:], ^uint64(0) /* LSMT_ROOT */)
			_, err := sys(a, unix.SYS_LISTMOUNT, req, buf, 64, 0)
			return outcome(err, "")
		}),
	}
}

// mounted undoes a successful mount, which would affect later probes.
func mounted(err error, target string) Result {
	if err != nil {
		return refused(err)
	}
	return outcome(unix.Unmount(target, unix.MNT_DETACH), "mounted, and unmounted")
}

// handles are file handles, which name an inode without a path: the "Shocker" attack on
// containers.
func handles() []Probe {
	return []Probe{
		{ID: "name-to-handle", Loss: "inode numbers, the first half of opening any file by handle", How: "name_to_handle_at(2)",
			Want: "EPERM", By: Seccomp, Absent: "ENOTSUP",
			Run: func(w World) Result {
				_, _, err := unix.NameToHandleAt(unix.AT_FDCWD, w.Project, 0)
				return outcome(err, "")
			}},
		{ID: "open-by-handle", Loss: "every file of the file system that holds the project", How: "open_by_handle_at(2) of the file system's root inode",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinRoot, Absent: "ENOTSUP",
			Run: func(w World) Result {
				dir, err := os.Open(w.Project)
				if err != nil {
					return refused(err)
				}
				defer dir.Close()
				for _, inode := range []uint32{2, 128, 256} { // ext4, xfs, btrfs
					id := make([]byte, 8)
					binary.NativeEndian.PutUint32(id, inode)
					var fd int
					fd, err = unix.OpenByHandleAt(int(dir.Fd()), unix.NewFileHandle(1, id), unix.O_RDONLY|unix.O_CLOEXEC)
					if err == nil {
						defer unix.Close(fd)
						return worked(filepath.Join("inode", itoa(int(inode))))
					}
					if !strings.Contains("ESTALE EINVAL", refused(err).Errno) {
						break
					}
				}
				return reached(err, unix.ESTALE)
			}},
		{ID: "fanotify", Loss: "what every process does with files", How: "fanotify_init(2) with FAN_CLASS_CONTENT",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinRoot, Absent: "ENOSYS",
			Run: func(World) Result {
				fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)
				if err == nil {
					unix.Close(fd)
				}
				return outcome(err, "")
			}},
		{ID: "fanotify-user", Loss: "what processes do with the user's files", How: "fanotify_init(2) without privileges, since Linux 5.13",
			Want: "EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID|unix.FAN_CLOEXEC, unix.O_RDONLY)
				if err == nil {
					unix.Close(fd)
				}
				return outcome(err, "")
			}},
	}
}
