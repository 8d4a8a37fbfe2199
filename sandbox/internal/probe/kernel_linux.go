package probe

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// kernel are calls into parts of the kernel that no server needs and that have a long
// history of vulnerabilities.
func kernel() []Probe {
	const surface = "kernel code with a long list of holes"
	row := func(id, loss, how, want string, by Layers, twin Twin, run func(*arena) error) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: want, By: by, Twin: twin, Absent: "ENOSYS",
			Run: func(World) Result { return outcome(run(new(arena)), "") }}
	}
	// gate is a row whose call has arguments that the kernel refuses only after the
	// permission check.
	gate := func(id, loss, how string, twin Twin, past unix.Errno, run func(*arena) error) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: "EPERM", By: Namespaces | Seccomp, Twin: twin, Absent: "ENOSYS",
			Run: func(World) Result { return reached(run(new(arena)), past) }}
	}
	either := func(p Probe, absent string) Probe { p.Absent += "|" + absent; return p }
	return []Probe{
		row("io-uring", "every rule of the filter: io_uring makes calls that no filter sees", "io_uring_setup(2)", "ENOSYS", Seccomp, TwinPlain,
			func(a *arena) error {
				params, _ := a.bytes(120)
				return closed(sys(a, unix.SYS_IO_URING_SETUP, 4, params))
			}),
		row("bpf-map", surface, "bpf(BPF_MAP_CREATE)", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(a *arena) error {
				attr, b := a.bytes(72)
				b[0], b[4], b[8], b[12] = 2 /* ARRAY */, 4, 4, 1
				return closed(sys(a, unix.SYS_BPF, unix.BPF_MAP_CREATE, attr, 72))
			}),
		either(row("perf-event", "timing of other programs, and "+surface, "perf_event_open(2) of this process", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				attr := &unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_TASK_CLOCK,
					Size: uint32(unix.PERF_ATTR_SIZE_VER0), Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv | unix.PerfBitDisabled}
				minusOne := -1
				return closed(sys(a, unix.SYS_PERF_EVENT_OPEN, put(a, attr), 0, uintptr(minusOne), uintptr(minusOne), unix.PERF_FLAG_FD_CLOEXEC))
			}), "EACCES"), // kernel.perf_event_paranoid is 3 in Debian
		row("userfaultfd", "races in the kernel that could not be won without it", "userfaultfd(2) with UFFD_USER_MODE_ONLY", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				return closed(sys(a, unix.SYS_USERFAULTFD, unix.O_CLOEXEC|1))
			}),
		row("keyctl-session", "the user's keyrings", "keyctl(KEYCTL_GET_KEYRING_ID) of the user keyring", "EPERM", Seccomp, TwinPlain,
			func(*arena) error {
				user := unix.KEY_SPEC_USER_KEYRING
				_, err := unix.KeyctlGetKeyringID(user, true)
				return err
			}),
		row("keyctl-join", "the user's keyrings", "keyctl(KEYCTL_JOIN_SESSION_KEYRING)", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0)
				return err
			}),
		row("add-key", "memory of the kernel, and "+surface, "add_key(2)", "EPERM", Seccomp, TwinPlain,
			func(*arena) error {
				_, err := unix.AddKey("user", "mcpen-probe", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
				return err
			}),
		{ID: "request-key", Loss: "keys of the user's, and programs that the kernel starts as root", How: "request_key(2)",
			Want: "EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				a := new(arena)
				_, err := sys(a, unix.SYS_REQUEST_KEY, a.str("user"), a.str("mcpen-probe-none"), 0, 0)
				return reached(err, unix.ENOKEY)
			}},
		{ID: "keyctl-parent", Loss: "the Landlock rules (CVE-2024-42318)", How: "keyctl(KEYCTL_SESSION_TO_PARENT)",
			Want: "EPERM", By: Seccomp, Absent: "ENOSYS",
			// The kernel demands that the parent has a single thread.
			Run: func(World) Result { return underneath(new(arena), unix.SYS_KEYCTL, unix.KEYCTL_SESSION_TO_PARENT) }},
		gate("swapon", "the machine", "swapon(2) of a file that is not there", TwinRoot, unix.ENOENT,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_SWAPON, a.str("/nonexistent"), 0)
				return err
			}),
		gate("swapoff", "the machine", "swapoff(2) of a file that is not there", TwinRoot, unix.ENOENT,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_SWAPOFF, a.str("/nonexistent"))
				return err
			}),
		gate("acct", "what every program on the machine does", "acct(2) of a file that is not there", TwinRoot, unix.ENOENT,
			func(*arena) error { return unix.Acct("/nonexistent") }),
		gate("reboot", "the machine", "reboot(2) with magic numbers that are none", TwinRoot, unix.EINVAL,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_REBOOT, 1, 2, 3, 0)
				return err
			}),
		gate("init-module", "the kernel", "init_module(2) of nothing", TwinRoot, unix.ENOEXEC,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_INIT_MODULE, 0, 0, a.str(""))
				return err
			}),
		gate("finit-module", "the kernel", "finit_module(2) of a descriptor that is none", TwinRoot, unix.EBADF,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_FINIT_MODULE, 1<<20, a.str(""), 0)
				return err
			}),
		gate("delete-module", "the kernel", "delete_module(2) of a module that is not there", TwinRoot, unix.ENOENT,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_DELETE_MODULE, a.str("nonexistent"), unix.O_NONBLOCK)
				return err
			}),
		gate("kexec-load", "the kernel", "kexec_load(2) of nothing, with flags that are none", TwinRoot, unix.EINVAL,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_KEXEC_LOAD, 0, 0, 0, 0xf0)
				return err
			}),
		gate("kexec-file-load", "the kernel", "kexec_file_load(2) with flags that are none", TwinRoot, unix.EINVAL,
			func(a *arena) error {
				minusOne := -1
				_, err := sys(a, unix.SYS_KEXEC_FILE_LOAD, uintptr(minusOne), uintptr(minusOne), 0, 0, 0xf0)
				return err
			}),
		row("syslog", "the kernel's log", "syslog(SYSLOG_ACTION_READ_ALL)", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(*arena) error {
				_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 64))
				return err
			}),
		row("quotactl", surface, "quotactl(Q_SYNC)", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_QUOTACTL, 0x80000100, 0, 0, 0)
				return err
			}),
		{ID: "quotactl-fd", Loss: surface, How: "quotactl_fd(2) of a descriptor that is none", Want: "EPERM", By: Seccomp, Absent: "ENOSYS",
			Run: func(World) Result {
				_, err := sys(new(arena), unix.SYS_QUOTACTL_FD, 1<<20, 0x80000100, 0, 0)
				return reached(err, unix.EBADF)
			}},
		row("vhangup", "the terminal", "vhangup(2), without a terminal", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(a *arena) error {
				if _, err := unix.Setsid(); err != nil && err != unix.EPERM {
					return err
				}
				_, err := sys(a, unix.SYS_VHANGUP)
				return err
			}),
		row("lookup-dcookie", surface, "lookup_dcookie(2)", "ENOSYS|EPERM", Seccomp, TwinRoot,
			func(a *arena) error {
				_, err := sys(a, sysLookupDcookie, 0, 0, 0)
				return err
			}),
		row("nfsservctl", surface, "nfsservctl(2)", "ENOSYS|EPERM", Seccomp, TwinRoot,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_NFSSERVCTL, 0, 0, 0)
				return err
			}),
		row("memfd-secret", "memory that nobody can look into", "memfd_secret(2)", "ENOSYS|EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				return closed(sys(a, unix.SYS_MEMFD_SECRET, 0))
			}),
		row("move-pages", "where another process's memory lies, and "+surface, "move_pages(2)", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_MOVE_PAGES, 0, 0, 0, 0, 0, 0)
				return err
			}),
		row("migrate-pages", surface, "migrate_pages(2)", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				mask, b := a.bytes(128)
				b[0] = 1
				_, err := sys(a, unix.SYS_MIGRATE_PAGES, 0, 64, mask, mask)
				return err
			}),
		row("mbind", surface, "mbind(2) with MPOL_DEFAULT", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_MBIND, 1<<30, 0, 0, 0, 0, 0)
				return err
			}),
		row("set-mempolicy", surface, "set_mempolicy(2) with MPOL_DEFAULT", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_SET_MEMPOLICY, 0, 0, 0)
				return err
			}),
		row("personality-rie", "memory protections (READ_IMPLIES_EXEC)", "personality(2)", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_PERSONALITY, 0x0400000)
				return err
			}),
		row("personality-aslr", "address randomisation (ADDR_NO_RANDOMIZE)", "personality(2)", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_PERSONALITY, 0x0040000)
				return err
			}),
		row("personality-bit32", "address randomisation", "personality(2), an int, with bit 32 set", "EPERM", Seccomp, TwinPlain,
			func(a *arena) error {
				_, err := sys(a, unix.SYS_PERSONALITY, 1<<32|0x0040000)
				return err
			}),
		row("clock-settime", "the machine's clock", "clock_settime(2) to the time it has", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(*arena) error {
				ts := unix.NsecToTimespec(time.Now().UnixNano())
				return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
			}),
		row("settimeofday", "the machine's clock", "settimeofday(2) of no time and the zone UTC", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(a *arena) error {
				zone, _ := a.bytes(8)
				_, err := sys(a, unix.SYS_SETTIMEOFDAY, 0, zone)
				return err
			}),
		row("adjtimex", "the machine's clock", "adjtimex(2) to the frequency it has", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(*arena) error {
				var t unix.Timex
				if _, err := unix.Adjtimex(&t); err != nil {
					return err
				}
				t = unix.Timex{Modes: unix.ADJ_FREQUENCY, Freq: t.Freq}
				_, err := unix.Adjtimex(&t)
				return err
			}),
		row("clock-adjtime", "the machine's clock", "clock_adjtime(2) to the frequency it has", "EPERM", Namespaces|Seccomp, TwinRoot,
			func(*arena) error {
				var t unix.Timex
				if _, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &t); err != nil {
					return err
				}
				t = unix.Timex{Modes: unix.ADJ_FREQUENCY, Freq: t.Freq}
				_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &t)
				return err
			}),
	}
}

// prctls are options of prctl(2) that change the process's rights or who may examine
// it.
func prctls() []Probe {
	row := func(id, loss, how string, by Layers, twin Twin, option uintptr, args ...uintptr) Probe {
		return Probe{ID: id, Loss: loss, How: "prctl(" + how + ")", Want: "EPERM", By: by, Twin: twin, Absent: "EINVAL",
			Run: func(World) Result {
				runtime.LockOSThread()
				_, err := sys(new(arena), unix.SYS_PRCTL, append([]uintptr{option}, args...)...)
				return outcome(err, "")
			}}
	}
	// PR_SET_MM_MAP_SIZE returns the size of the struct that PR_SET_MM_MAP takes.
	option := func(id, loss, how string, nr uintptr) Probe {
		p := row(id, loss, how, Seccomp, TwinPlain, nr)
		p.Run = func(World) Result {
			a := new(arena)
			size, _ := a.bytes(4)
			_, err := sys(a, unix.SYS_PRCTL, nr, unix.PR_SET_MM_MAP_SIZE, size, 0, 0)
			return outcome(err, "")
		}
		return p
	}
	return []Probe{
		option("prctl-mm", "what /proc says of the program", "PR_SET_MM", unix.PR_SET_MM),
		option("prctl-mm-bit32", "what /proc says of the program", "PR_SET_MM with bit 32 set", 1<<32|unix.PR_SET_MM),
		row("prctl-ptracer", "the bar on tracing that Yama gives", "PR_SET_PTRACER", Seccomp, TwinPlain, unix.PR_SET_PTRACER, ^uintptr(0)),
		row("prctl-securebits", "the rules by which capabilities are lost", "PR_SET_SECUREBITS", Namespaces|Seccomp, TwinRoot,
			unix.PR_SET_SECUREBITS, 1<<2 /* SECBIT_NO_SETUID_FIXUP */),
		{ID: "prctl-ambient", Loss: "capabilities that survive an exec", How: "prctl(PR_CAP_AMBIENT_RAISE)",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(World) Result {
				runtime.LockOSThread()
				// A raised capability must be inheritable, and a process that has it
				// may make it so.
				hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
				var sets [2]unix.CapUserData
				if err := unix.Capget(&hdr, &sets[0]); err != nil {
					return refused(err)
				}
				sets[0].Inheritable |= sets[0].Permitted & (1 << unix.CAP_NET_RAW)
				if err := unix.Capset(&hdr, &sets[0]); err != nil {
					return refused(err)
				}
				_, err := sys(new(arena), unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_RAW, 0, 0)
				return outcome(err, "")
			}},
		row("prctl-sched-core", "who shares a core with whom", "PR_SCHED_CORE", Seccomp, TwinPlain,
			unix.PR_SCHED_CORE, unix.PR_SCHED_CORE_CREATE, 0, 0, 0),
		row("prctl-dispatch", "system calls that are what they seem", "PR_SET_SYSCALL_USER_DISPATCH", Seccomp, TwinPlain,
			unix.PR_SET_SYSCALL_USER_DISPATCH, unix.PR_SYS_DISPATCH_OFF),
	}
}

// closed closes the descriptor of a successful call.
func closed(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}
