package seccomp

import (
	_ "embed" // the filters
	"fmt"
)

//go:generate go test -run TestLauncherFiltersAreLibseccomps -update

// The filters of the launcher itself, compiled like those of servers, in the order of
// Launcher.place; those of the eye and of the other threads come last.
var (
	//go:embed filters/launcher-amd64.bpf
	amd64Launchers string
	//go:embed filters/launcher-arm64.bpf
	arm64Launchers string
)

// Launcher selects the filter for a launcher whose server runs. The zero value has no
// socket and maps no code.
type Launcher struct {
	Dials bool // TCP connections and the list of interfaces, for the egress
	Asks  bool // UDP datagrams: DNS queries, to any address
	Unix  bool // streams to the host's unix sockets
	Loads bool // the C library's resolver loads its modules at its first use (nsswitch.conf(5))
}

// launchers is the number of filters that Launcher selects from.
const launchers = 16

// place is the filter's index among those of its architecture.
func (l Launcher) place() int {
	n := 0
	for i, on := range []bool{l.Dials, l.Asks, l.Unix, l.Loads} {
		if on {
			n |= 1 << i
		}
	}
	return n
}

// ForLauncher returns the filter of a launcher for the architecture ("amd64" or
// "arm64", as in GOARCH). For does the same for a server.
func ForLauncher(l Launcher, arch string) (Filter, error) { return launcherFilter(l.place(), arch) }

// ForEye returns the additional filter of the thread that examines other processes.
func ForEye(arch string) (Filter, error) { return launcherFilter(launchers, arch) }

// forRest is the additional filter of all other threads.
func forRest(arch string) (Filter, error) { return launcherFilter(launchers+1, arch) }

func launcherFilter(place int, arch string) (Filter, error) {
	rest, ok := map[string]string{"amd64": amd64Launchers, "arm64": arm64Launchers}[arch]
	if !ok {
		return Filter{}, fmt.Errorf("no system call table for architecture %q", arch)
	}
	for range place {
		n, err := encodedLen(rest)
		if err != nil {
			return Filter{}, err
		}
		rest = rest[n:]
	}
	n, err := encodedLen(rest)
	if err != nil {
		return Filter{}, err
	}
	var f Filter
	if err := f.UnmarshalBinary([]byte(rest[:n])); err != nil {
		return Filter{}, err
	}
	if f.arch != arch || f.listens {
		return Filter{}, fmt.Errorf("internal error: the seccomp filter is not a launcher's")
	}
	return f, nil
}

// Constants of the launcher's rules, in addition to those of a server's.
const (
	cloneThread = 0x00010000
	protWrite   = 2
	protExec    = 4
	openIsPath  = 0x200000 // O_PATH
)

// rows are the calls that a launcher makes once its server runs. All others fail with
// ENOSYS, and those that an attacker would try first with EPERM.
func (l Launcher) rows() []row {
	rows := append(runtimeRows(l.Loads), []row{
		// Bytes in and out of descriptors.
		{name: "readv", then: allow, why: "Go"},
		{name: "writev", then: allow, why: "Go"},
		{name: "pread64", then: allow, why: "files"},
		{name: "pwrite64", then: allow, why: "files"},
		{name: "lseek", then: allow, why: "files"},
		{name: "dup", then: allow, why: "os.File of net's connections"},
		{name: "dup3", then: allow, why: "os.File"},
		{name: "fcntl", then: allow, why: "flags"},
		{name: "flock", then: allow, why: "log and pins"},
		{name: "fsync", then: allow, why: "pins"},
		{name: "ftruncate", then: allow, why: "pins"},
		{name: "pipe2", then: allow, why: "splice"},
		{name: "splice", then: allow, why: "the egress joins sockets by it"},
		{name: "sendfile", then: allow, why: "Go copies by it"},
		{name: "copy_file_range", then: allow, why: "Go copies by it"},
		{name: "ioctl", then: absent, why: "the listener of a server's filter, waiting bytes, terminals' sizes", rules: launcherIoctls()},

		// Files by name. Landlock decides which. It has no rights for modes, owners,
		// times and attributes of files: the launcher cannot change those by name at
		// all.
		{name: "open", then: allow, why: "C library", rules: []rule{setIDOnCreate(1, 2)}},
		{name: "openat", then: allow, why: "files", rules: []rule{setIDOnCreate(2, 3)}},
		{name: "openat2", then: allow, why: "paths below another root; without set-ID bits, for the files are its own"},
		{name: "stat", then: allow, why: "names and attributes"},
		{name: "lstat", then: allow, why: "names and attributes"},
		{name: "fstat", then: allow, why: "names and attributes"},
		{name: "newfstatat", then: allow, why: "names and attributes"},
		{name: "statx", then: allow, why: "names and attributes"},
		{name: "statfs", then: allow, why: "names and attributes"},
		{name: "fstatfs", then: allow, why: "names and attributes"},
		{name: "access", then: allow, why: "C library"},
		{name: "faccessat", then: allow, why: "names and attributes"},
		{name: "faccessat2", then: allow, why: "names and attributes"},
		{name: "getdents64", then: allow, why: "folders"},
		{name: "readlink", then: allow, why: "names"},
		{name: "readlinkat", then: allow, why: "names"},
		{name: "mkdir", then: allow, why: "state", rules: []rule{setIDIn(1)}},
		{name: "mkdirat", then: allow, why: "state", rules: []rule{setIDIn(2)}},
		{name: "rename", then: allow, why: "log and pins"},
		{name: "renameat", then: allow, why: "log and pins"},
		{name: "renameat2", then: allow, why: "log and pins"},
		{name: "unlink", then: allow, why: "the run's directory"},
		{name: "unlinkat", then: allow, why: "the run's directory, control groups"},
		{name: "rmdir", then: allow, why: "control groups"},
		{name: "fchmod", then: allow, why: "log and pins", rules: []rule{setIDIn(1)}},
		{name: "inotify_add_watch", then: allow, why: "folders that are watched"},
		{name: "inotify_rm_watch", then: allow, why: "folders that are watched"},

		// Waiting.
		{name: "poll", then: allow, why: "C library"},
		{name: "ppoll", then: allow, why: "descriptors of the client's"},
		{name: "select", then: allow, why: "C library"},
		{name: "pselect6", then: allow, why: "Go's threads"},
		{name: "epoll_create1", then: allow, why: "Go's poller"},
		{name: "epoll_ctl", then: allow, why: "Go's poller"},
		{name: "epoll_wait", then: allow, why: "Go's poller"},
		{name: "epoll_pwait", then: allow, why: "Go's poller"},
		{name: "eventfd2", then: allow, why: "Go's poller, the relay"},

		// The launcher's own threads, and the end of its server.
		{name: "clone", then: absent, why: "threads, and no process", rules: []rule{when(allow, masked(0, cloneThread|cloneNew, cloneThread))}},
		{name: "clone3", then: probed, why: "its flags are behind a pointer; every C library falls back to clone"},
		{name: "set_robust_list", then: allow, why: "threads"},
		{name: "set_tid_address", then: allow, why: "threads"},
		{name: "rseq", then: allow, why: "threads"},
		{name: "sched_getaffinity", then: allow, why: "threads"},
		{name: "kill", then: allow, why: "pid 1 of the sandbox; Landlock's scope decides whom else"},
		{name: "pidfd_open", then: allow, why: "pid 1 of the sandbox"},
		{name: "pidfd_send_signal", then: allow, why: "pid 1 of the sandbox"},
		{name: "wait4", then: allow, why: "pid 1 of the sandbox"},
		{name: "waitid", then: allow, why: "pid 1 of the sandbox"},
		{name: "prlimit64", then: absent, why: "no core of a launcher that ends by its server's signal", rules: []rule{when(allow, is(0, 0))}},
		{name: "getrlimit", then: allow, why: "limits"},
		{name: "setrlimit", then: allow, why: "no core"},
		{name: "getrusage", then: allow, why: "accounting of its own"},
		{name: "getppid", then: allow, why: "identity"},
		{name: "getuid", then: allow, why: "identity"},
		{name: "geteuid", then: allow, why: "identity"},
		{name: "getgid", then: allow, why: "identity"},
		{name: "getegid", then: allow, why: "identity"},
		{name: "uname", then: allow, why: "C library"},
		{name: "sysinfo", then: allow, why: "C library"},
		{name: "getcwd", then: allow, why: "relative names in errors"},

		// Existing sockets; the egress has some in any case.
		{name: "accept", then: allow, why: "the egress"},
		{name: "accept4", then: allow, why: "the egress"},
		{name: "getsockname", then: allow, why: "where a connection was to lead"},
		{name: "getpeername", then: allow, why: "the egress"},
		{name: "setsockopt", then: absent, why: "the egress", rules: egressOptions()},
		{name: "sendto", then: allow, why: "answers of DNS", rules: []rule{fastopen(3)}},
		{name: "sendmmsg", then: allow, why: "the C library's resolver", rules: []rule{fastopen(3)}},
		{name: "recvfrom", then: allow, why: "questions of DNS"},
		{name: "recvmmsg", then: allow, why: "the C library's resolver"},
		{name: "shutdown", then: allow, why: "the egress"},
		{name: "getsockopt", then: allow, why: "the egress, and whether a client's descriptor is a socket"},
		{name: "sendmsg", then: allow, why: "the control socket", rules: []rule{fastopen(2)}},
		{name: "recvmsg", then: allow, why: "the control socket"},

		// Until the process is confined; then for the eye only: see restRows.
		{name: "process_vm_readv", then: allow, why: "a path or an address that a server's call names"},
		{name: "getxattr", then: allow, why: "of which protocol a server's socket is"},
		{name: "landlock_restrict_self", then: allow, why: "the next step"},
		{name: "seccomp", then: absent, why: "the last step", rules: []rule{when(allow, is(0, filterMode), is(1, 0))}},

		// The calls that an attacker would try first.
		{name: "execve", then: deny, why: "programs"},
		{name: "execveat", then: deny, why: "programs"},
		{name: "fork", then: deny, why: "processes"},
		{name: "vfork", then: deny, why: "processes"},
		{name: "ptrace", then: deny, why: "code in other processes"},
		{name: "process_vm_writev", then: deny, why: "memory of other processes"},
		{name: "pidfd_getfd", then: deny, why: "descriptors of other processes"},
		{name: "mount", then: deny, why: "mounts"},
		{name: "umount2", then: deny, why: "mounts"},
		{name: "pivot_root", then: deny, why: "mounts"},
		{name: "chroot", then: deny, why: "mounts"},
		{name: "open_tree", then: deny, why: "mounts"},
		{name: "move_mount", then: deny, why: "mounts"},
		{name: "mount_setattr", then: deny, why: "mounts"},
		{name: "fsopen", then: deny, why: "mounts"},
		{name: "setns", then: deny, why: "namespaces"},
		{name: "unshare", then: deny, why: "namespaces"},
		{name: "bpf", then: deny, why: "code in the kernel"},
		{name: "perf_event_open", then: deny, why: "what else runs"},
		{name: "userfaultfd", then: deny, why: "stops the kernel in mid-copy"},
		{name: "add_key", then: deny, why: "keyrings: the secrets are fetched before"},
		{name: "request_key", then: deny, why: "keyrings"},
		{name: "keyctl", then: deny, why: "keyrings"},
		{name: "open_by_handle_at", then: deny, why: "files past mounts and Landlock"},
		{name: "name_to_handle_at", then: deny, why: "files past mounts and Landlock"},
		{name: "socketpair", then: deny, why: "none is made any more"},
		{name: "listen", then: deny, why: "nobody connects to it"},
	}...)
	return append(rows, l.sockets()...)
}

// sockets are the calls that open new connections.
func (l Launcher) sockets() []row {
	if !l.Dials && !l.Asks && !l.Unix {
		return []row{
			{name: "socket", then: deny, why: "the server has no network"},
			{name: "connect", then: deny, why: "the server has no network"},
			{name: "bind", then: deny, why: "the server has no network"},
		}
	}
	// A rule's cases leave out results that equal the default: with another errno the
	// filter would be three times as long, and every thread loads it.
	var rules []rule
	bind := row{name: "bind", then: deny, why: "no address of its own"}
	if l.Unix {
		rules = append(rules, when(allow, is(0, afUnix), masked(1, sockType, sockStream)))
	}
	if l.Dials {
		bind = row{name: "bind", then: allow, why: "netlink, and Go's question what this machine's sockets can do; nothing listens"}
		rules = append(rules,
			when(allow, is(0, afInet, afInet6), masked(1, sockType, sockStream), is(2, protoDefault, protoTCP)),
			when(allow, is(0, afNetlink), masked(1, sockType, sockRaw, sockDgram), is(2, netlinkRoute)))
	}
	if l.Asks {
		rules = append(rules, when(allow, is(0, afInet, afInet6), masked(1, sockType, sockDgram), is(2, protoDefault, protoUDP)))
	}
	return []row{
		{name: "socket", then: absent, why: "what the egress dials", rules: rules},
		{name: "connect", then: allow, why: "the egress; Landlock knows the ports of TCP"},
		bind,
	}
}

// egressOptions are the options that package net, the C library's resolver and the
// egress set.
func egressOptions() []rule {
	return []rule{
		when(allow, is(1, 1), is(2, 2, 6, 9, 13)),       // SO_REUSEADDR, _BROADCAST, _KEEPALIVE, _LINGER
		when(allow, is(1, protoTCP), is(2, 1, 4, 5, 6)), // TCP_NODELAY, _KEEPIDLE, _KEEPINTVL, _KEEPCNT
		when(allow, is(1, 0), is(2, 10, 11)),            // IP_MTU_DISCOVER, IP_RECVERR
		when(allow, is(1, 41), is(2, 23, 25, 26)),       // IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_V6ONLY
		when(allow, is(1, 270)),                         // SOL_NETLINK
	}
}

// runtimeRows are the calls of any thread of a Go program: memory without code, locks,
// signals, exit.
func runtimeRows(loads bool) []row {
	return []row{
		{name: "read", then: allow, why: "descriptors"},
		{name: "write", then: allow, why: "descriptors"},
		{name: "close", then: allow, why: "descriptors"},
		{name: "brk", then: allow, why: "the C library's heap"},
		{name: "mmap", then: allow, why: "memory without code", rules: []rule{mapsCode(loads)}},
		{name: "munmap", then: allow, why: "memory"},
		{name: "mremap", then: allow, why: "memory"},
		{name: "mprotect", then: allow, why: "memory without code", rules: []rule{when(deny, bits(2, protExec))}},
		{name: "madvise", then: allow, why: "memory"},
		{name: "mincore", then: allow, why: "memory"},
		{name: "futex", then: allow, why: "locks"},
		{name: "sched_yield", then: allow, why: "locks"},
		{name: "nanosleep", then: allow, why: "time"},
		{name: "clock_nanosleep", then: allow, why: "time"},
		{name: "clock_gettime", then: allow, why: "time"},
		{name: "clock_getres", then: allow, why: "time"},
		{name: "gettimeofday", then: allow, why: "time"},
		{name: "restart_syscall", then: allow, why: "the kernel's own, after a stop"},
		{name: "rt_sigaction", then: allow, why: "signals"},
		{name: "rt_sigprocmask", then: allow, why: "signals"},
		{name: "rt_sigreturn", then: allow, why: "signals"},
		{name: "sigaltstack", then: allow, why: "signals"},
		{name: "tkill", then: allow, why: "a call on every thread"},
		{name: "tgkill", then: allow, why: "Go's preemption"},
		{name: "gettid", then: allow, why: "identity"},
		{name: "getpid", then: allow, why: "identity"},
		{name: "getrandom", then: allow, why: "randomness"},
		{name: "prctl", then: absent, why: "names, and what was given up stays given up", rules: []rule{
			when(allow, is(0, 15)),                   // PR_SET_NAME
			when(allow, is(0, 0x53564d41), is(1, 0)), // PR_SET_VMA_ANON_NAME
			when(allow, is(0, 3)),                    // PR_GET_DUMPABLE
			when(allow, is(0, 4), is(1, 0)),          // PR_SET_DUMPABLE: only to 0
			when(allow, is(0, 38, 39)),               // PR_SET_NO_NEW_PRIVS, GET
		}},
		{name: "exit", then: allow, why: "the end"},
		{name: "exit_group", then: allow, why: "the end"},
	}
}

// mapsCode refuses memory for code: all of it, or memory that is also writable.
func mapsCode(loads bool) rule {
	if loads {
		return when(deny, masked(2, protWrite|protExec, protWrite|protExec))
	}
	return when(deny, bits(2, protExec))
}

func launcherIoctls() []rule {
	return []rule{
		types(0x2100),              // SECCOMP_IOCTL_NOTIF_*
		when(allow, is(1, 0x5401)), // TCGETS: whether it is a terminal
		when(allow, is(1, 0x5413)), // TIOCGWINSZ
		when(allow, is(1, 0x541b)), // FIONREAD
		when(allow, is(1, 0x5421)), // FIONBIO
	}
}

// eyeRows are the calls of the thread that examines other processes. It opens only
// places (O_PATH), so it cannot read any file. The launcher applies Landlock and the
// last filter on every thread, or the process is killed; on this thread the calls do
// nothing and succeed.
func eyeRows() []row {
	return append(runtimeRows(false), []row{
		{name: "process_vm_readv", then: allow, why: "a path or an address that a call names"},
		{name: "openat", then: deny, why: "the root of a process, as a place", rules: []rule{when(allow, bits(2, openIsPath))}},
		{name: "readlinkat", then: allow, why: "where a process's descriptor leads"},
		{name: "getxattr", then: allow, why: "of which protocol a process's socket is"},
		{name: "poll", then: allow, why: "for a call of the server's"},
		{name: "ppoll", then: allow, why: "for a call of the server's"},
		{name: "ioctl", then: deny, why: "the listener of the server's filter", rules: []rule{types(0x2100)}}, // SECCOMP_IOCTL_NOTIF_*
		{name: "landlock_restrict_self", then: fail(0), why: "a restricted thread looks into no process outside"},
		{name: "seccomp", then: fail(0), why: "this thread has its filter"},
	}...)
}

// restRows are the calls that all threads but the eye lose at the end. The launcher's
// own filter decides all other calls. It is loaded once for all threads, which would be
// impossible if one of them had a different filter; a filter of its length for each
// thread would take as long as everything else together.
func restRows() []row {
	return []row{
		{name: "process_vm_readv", then: deny, why: "memory of other processes"},
		{name: "getxattr", then: deny, why: "no attribute is asked for"},
		{name: "landlock_restrict_self", then: deny, why: "it is done"},
		{name: "seccomp", then: deny, why: "it is done"},
	}
}
