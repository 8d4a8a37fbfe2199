package probe

import (
	"os"

	"golang.org/x/sys/unix"
)

// The numbers of ioctl(2) on terminals that x/sys has no name for.
const (
	tioclinux = 0x541c
	kdgkbent  = 0x4b46
)

// terminals are attacks on the terminal in which mcpen, or its client, was started. A
// server has no terminal.
func terminals() []Probe {
	const typed = "the user's shell: what is typed there is executed"
	row := func(id, loss, how string, want string, by Layers, twin Twin, req uintptr) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: want, By: by, Twin: twin, Absent: "EIO|ENOENT|ENXIO",
			Run: func(World) Result { return ttyIoctl(req) }}
	}
	probes := []Probe{
		{ID: "stdio-tty", Loss: "the user's terminal", How: "isatty(3) on descriptors 0, 1 and 2",
			Want: Held, By: Namespaces,
			Run: func(World) Result {
				for fd := range 3 {
					if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
						return worked("descriptor " + itoa(fd))
					}
				}
				return held("")
			}},
		{ID: "controlling-tty", Loss: "the user's terminal", How: "open(2) of /dev/tty",
			Want: "ENOENT|ENXIO", By: Namespaces,
			Run: func(World) Result { return openDevice("/dev/tty") }},
		row("tiocsti", typed, "ioctl(TIOCSTI) (CVE-2017-5226)", "EPERM", Namespaces|Seccomp, TwinPlain, unix.TIOCSTI),
		row("tiocsti-bit32", typed, "ioctl(TIOCSTI) with bit 32 set (CVE-2019-10063)", "EPERM", Namespaces|Seccomp, TwinPlain, 1<<32|unix.TIOCSTI),
		row("tioclinux", typed, "ioctl(TIOCLINUX) (CVE-2023-28100)", "EPERM", Namespaces|Seccomp, TwinRoot, tioclinux),
		row("tioclinux-bit32", typed, "ioctl(TIOCLINUX) with bit 32 set", "EPERM", Namespaces|Seccomp, TwinRoot, 1<<32|tioclinux),
		row("tiocsetd", "line disciplines, a line of kernel holes", "ioctl(TIOCSETD)", "EPERM|ENOTTY", Namespaces|Seccomp, TwinPlain, unix.TIOCSETD),
		row("tioccons", "what the console says", "ioctl(TIOCCONS)", "EPERM|ENOTTY", Namespaces|Seccomp, TwinRoot, unix.TIOCCONS),
		row("kdgkbent", "the keyboard", "ioctl(KDGKBENT)", "ENOSYS|ENOTTY", Namespaces|Seccomp, TwinRoot, kdgkbent),
	}
	for i := range probes {
		probes[i].TTY = true
	}
	return probes
}

// ttyIoctl makes a request on descriptor 0, which may be a terminal. Requests of the
// Linux console go to /dev/tty0 if it exists.
func ttyIoctl(req uintptr) Result {
	a := new(arena)
	fd := 0
	arg, b := a.bytes(16)
	switch req & 0xffffffff {
	case unix.TIOCSTI:
		b[0] = ' '
	case tioclinux:
		b[0] = 6 // the state of the shift keys
		fallthrough
	case kdgkbent:
		if f, err := os.OpenFile("/dev/tty0", os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
			defer f.Close()
			fd = int(f.Fd())
		}
	case unix.TIOCCONS:
		// On the slave side of a terminal the request redirects the console; on the
		// console itself it undoes that. The console must end up without redirection.
		defer func() {
			if f, err := os.OpenFile("/dev/tty0", os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
				unix.IoctlSetInt(int(f.Fd()), unix.TIOCCONS, 0)
				f.Close()
			}
		}()
	}
	_, err := sys(a, unix.SYS_IOCTL, uintptr(fd), req, arg)
	return outcome(err, "")
}
