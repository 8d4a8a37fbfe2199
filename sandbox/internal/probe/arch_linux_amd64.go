package probe

import (
	"golang.org/x/sys/unix"
)

// sysLookupDcookie is a call that Linux 6.7 removed; x/sys has its number on this
// architecture only.
const sysLookupDcookie = unix.SYS_LOOKUP_DCOOKIE

// int80 makes a system call through the gate of 32-bit programs. It returns the call's
// result: negative for an errno.
func int80(nr, a, b, c uint32) int32

// arch are this architecture's other ways into the kernel, and calls that only it has.
func arch() []Probe {
	const surface = "kernel code with a long list of holes"
	return []Probe{
		{ID: "x32", Loss: "every rule of the filter, which sees other numbers", How: "getpid(2) with the bit of the x32 ABI",
			Want: "SIGSYS", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result { return alone(new(arena), 0x40000000|unix.SYS_GETPID) }},
		{ID: "i386", Loss: "every rule of the filter, which sees other numbers", How: "getpid(2) by int 0x80",
			Want: "SIGSYS", By: Seccomp, Absent: "SIGSEGV",
			Run: func(World) Result {
				if pid := int80(20, 0, 0, 0); pid < 0 {
					return refused(unix.Errno(-pid))
				}
				return worked("getpid answered")
			}},
		{ID: "i386-socketcall", Loss: "the bar on socket families", How: "socketcall(2) by int 0x80, whose arguments lie in memory",
			Want: "SIGSYS", By: Seccomp, Absent: "SIGSEGV",
			Run: func(World) Result {
				// A null pointer: EFAULT proves that the call exists.
				return reached(int80Err(102, 1, 0, 0), unix.EFAULT)
			}},
		{ID: "modify-ldt", Loss: surface, How: "modify_ldt(2)",
			Want: "EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				a := new(arena)
				buf, _ := a.bytes(64)
				_, err := sys(a, unix.SYS_MODIFY_LDT, 0, buf, 64)
				return outcome(err, "")
			}},
		{ID: "iopl", Loss: "the machine's ports", How: "iopl(3)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinRoot, Absent: "ENOSYS",
			Run: func(World) Result {
				_, err := sys(new(arena), unix.SYS_IOPL, 3)
				return outcome(err, "")
			}},
		{ID: "ioperm", Loss: "the machine's ports", How: "ioperm(2)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinRoot, Absent: "ENOSYS",
			Run: func(World) Result {
				_, err := sys(new(arena), unix.SYS_IOPERM, 0x80, 1, 1)
				return outcome(err, "")
			}},
		{ID: "uselib", Loss: surface, How: "uselib(2) of a file that is not there",
			Want: "ENOSYS|EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				a := new(arena)
				_, err := sys(a, unix.SYS_USELIB, a.str("/nonexistent"))
				return reached(err, unix.ENOENT)
			}},
		{ID: "ustat", Loss: surface, How: "ustat(2) of no device",
			Want: "ENOSYS|EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				_, err := sys(new(arena), unix.SYS_USTAT, 0, 0)
				return reached(err, unix.EINVAL)
			}},
		{ID: "sysfs", Loss: surface, How: "sysfs(2)",
			Want: "ENOSYS|EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				_, err := sys(new(arena), unix.SYS_SYSFS, 3)
				return outcome(err, "")
			}},
		{ID: "sysctl", Loss: surface, How: "_sysctl(2), which Linux 5.5 took out",
			Want: "ENOSYS|EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				_, err := sys(new(arena), unix.SYS__SYSCTL, 0)
				return outcome(err, "")
			}},
		{ID: "chmod-suid", Loss: "the user's account to other users", How: "chmod(2) with S_ISUID, the call of 1991",
			Want: "EPERM", By: Seccomp,
			Run: func(w World) Result {
				return oldMode(w, "chmod-suid", func(a *arena, p uintptr) error {
					_, err := sys(a, unix.SYS_CHMOD, p, 0o4755)
					return err
				})
			}},
		{ID: "creat-suid", Loss: "the user's account to other users", How: "creat(2) with S_ISUID",
			Want: "EPERM", By: Seccomp,
			Run: func(w World) Result {
				return oldMode(w, "creat-suid-2", func(a *arena, p uintptr) error {
					unix.Unlink(w.Project + "/creat-suid-2")
					return closed(sys(a, unix.SYS_CREAT, p, 0o4755))
				})
			}},
		{ID: "open-suid", Loss: "the user's account to other users", How: "open(2) with O_CREAT and S_ISUID",
			Want: "EPERM", By: Seccomp,
			Run: func(w World) Result {
				return oldMode(w, "open-suid", func(a *arena, p uintptr) error {
					unix.Unlink(w.Project + "/open-suid")
					return closed(sys(a, unix.SYS_OPEN, p, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o4755))
				})
			}},
	}
}

// oldMode makes a file in the project and passes its path to a call.
func oldMode(w World, name string, run func(*arena, uintptr) error) Result {
	path := w.Project + "/" + name
	if r := created(path); !r.OK {
		return r
	}
	defer unix.Unlink(path)
	a := new(arena)
	return outcome(run(a, a.str(path)), "")
}

func int80Err(nr, a, b, c uint32) error {
	if r := int80(nr, a, b, c); r < 0 {
		return unix.Errno(-r)
	}
	return nil
}
