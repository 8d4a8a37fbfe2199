package seccomp

// The constants of the argument rules, from the kernel's headers. Both
// architectures share every value here; a test compares them with
// golang.org/x/sys/unix.
const (
	// cloneNew lacks CLONE_NEWTIME, whose bit is part of the exit signal in clone.
	cloneNew = cloneNewNS | cloneNewCgroup | cloneNewUTS | cloneNewIPC |
		cloneNewUser | cloneNewPID | cloneNewNet
	cloneNewNS     = 0x00020000
	cloneNewCgroup = 0x02000000
	cloneNewUTS    = 0x04000000
	cloneNewIPC    = 0x08000000
	cloneNewUser   = 0x10000000
	cloneNewPID    = 0x20000000
	cloneNewNet    = 0x40000000

	afUnix    = 1
	afInet    = 2
	afInet6   = 10
	afNetlink = 16

	sockStream    = 1
	sockDgram     = 2
	sockRaw       = 3
	sockSeqpacket = 5
	sockType      = whole &^ (0x80000 | 0x800) // all but SOCK_CLOEXEC and SOCK_NONBLOCK

	protoDefault = 0
	protoTCP     = 6
	protoUDP     = 17
	protoMPTCP   = 262
	netlinkRoute = 0
	msgFastopen  = 0x20000000
	msgProxy     = 0x10
	msgNoSignal  = 0x4000
	openCreate   = 0x40 | 0x400000             // O_CREAT | __O_TMPFILE: the calls that take a mode
	openWrite    = 3 | 0x40 | 0x200 | 0x400000 // O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE: the flags of an open that may change something
	openPath     = 0x200000                    // O_PATH: no file is opened, and the flags above have no effect
	accessWrite  = 2                           // W_OK
	setID        = 0o6000                      // S_ISUID | S_ISGID
	typeMask     = 0o170000                    // S_IFMT
	typeRegular  = 0o100000
	typeFIFO     = 0o010000
	typeSocket   = 0o140000
	filterMode   = 1 // SECCOMP_SET_MODE_FILTER
	newListener  = 8 // SECCOMP_FILTER_FLAG_NEW_LISTENER
)

// setIDIn refuses set-user-ID and set-group-ID bits in the mode: on a user's folder
// they would outlive the sandbox and its nosuid mounts.
func setIDIn(arg int) rule { return when(deny, bits(arg, setID)) }

// setIDOnCreate is setIDIn for a mode that counts only if the flags create a file.
func setIDOnCreate(flags, mode int) rule {
	return when(deny, bits(flags, openCreate), bits(mode, setID))
}

// writesIf hands the call to the mediator if the argument has one of the bits. The
// kernel itself makes the reads: a loader fails if another process makes its library's
// descriptor.
func writesIf(arg int, mask uint32) rule {
	return rule{when: []check{bits(arg, mask)}, then: write, mediated: true}
}

// opens are the rules of an open with its flags and mode in these arguments.
func opens(flags, mode int) []rule {
	return []rule{
		setIDOnCreate(flags, mode),
		{when: []check{bits(flags, openPath)}, then: open, mediated: true},
		writesIf(flags, openWrite),
	}
}

// unnamed removes a call under mediation: its path lies behind a pointer, and the
// mediator would have to read that memory twice.
func unnamed() []rule { return []rule{{then: absent, mediated: true}} }

// noDevice refuses to make any node except a regular file, a FIFO or a socket.
func noDevice(arg int) rule {
	return when(deny, maskedNot(arg, typeMask, 0, typeRegular, typeFIFO, typeSocket))
}

// fastopen refuses to connect by sending, which bypasses Landlock's connect rule.
func fastopen(flags int) rule { return when(fail(eopnotsupp), bits(flags, msgFastopen)) }

// addressed traces a send that names its destination: the kernel takes the length of the
// address as an int, and of an address without a length nothing.
func addressed(length int) rule { return when(trace, bits(length, whole)) }

// handsListener lets the message pass by which the stage hands the listener out, after
// its filter is in force. The stage then refuses the same flags to the program: see exec.c.
func handsListener(flags int) rule { return when(allow, is(flags, msgNoSignal|msgProxy)) }

// sockets are the rules of socket(family, type, protocol). An unsupported family fails
// as on a kernel without it, and programs fall back.
func sockets() []rule {
	return []rule{
		{then: fail(eafnosupport), alone: true}, // those of the host's network, of its users' agents and of its container engine
		when(fail(eafnosupport), maskedNot(0, 0x3f, afUnix, afInet, afInet6, afNetlink)),
		noDatagram(),
		when(allow, is(0, afUnix), masked(1, sockType, sockStream, sockDgram, sockSeqpacket)),
		when(allow, is(0, afInet, afInet6), masked(1, sockType, sockStream), is(2, protoDefault, protoTCP)),
		when(allow, is(0, afInet, afInet6), masked(1, sockType, sockDgram), is(2, protoDefault, protoUDP)),
		when(hush(eprotonosupport), is(0, afInet, afInet6), masked(1, sockType, sockStream), is(2, protoMPTCP)), // bypasses Landlock; every Go program tries it
		when(allow, is(0, afNetlink), masked(1, sockType, sockRaw, sockDgram), is(2, netlinkRoute)),
		when(deny, is(0, afInet, afInet6), masked(1, sockType, sockRaw, 10)), // SOCK_RAW, SOCK_PACKET
	}
}

// noDatagram refuses datagram sockets of the unix family under mediation, also in
// pairs: each datagram can name its destination socket in memory that no filter reads
// (unix(7), sendmsg(2)). Logs and service notifications use them; streams and
// SOCK_SEQPACKET connect first.
func noDatagram() rule {
	return rule{when: []check{is(0, afUnix), masked(1, sockType, sockDgram)}, then: fail(esocktnosupport), mediated: true}
}

func socketPairs() []rule {
	return []rule{
		noDatagram(),
		when(allow, is(0, afUnix), masked(1, sockType, sockStream, sockDgram, sockSeqpacket)),
	}
}

// option refuses options of setsockopt(fd, level, option, …) by some of their bits. A
// level has fewer than 128 options. The bits outside of the mask never distinguish a
// refused option from one that a program needs.
func option(level, mask uint32, options ...uint32) rule {
	return when(fail(enoprotoopt), is(1, level), masked(2, mask, options...))
}

// socketOptions allow the levels of the supported sockets. A refused option fails as on
// a kernel without it, and libraries fall back.
func socketOptions() []rule {
	return []rule{
		option(1, 0x7e, 26, 50, 52),            // SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF: code in the kernel (and SO_DETACH_FILTER, SO_CNX_ADVICE)
		option(protoTCP, 0x7f, 19, 20, 21, 22), // TCP_REPAIR, _REPAIR_QUEUE, TCP_QUEUE_SEQ, _REPAIR_OPTIONS: forged connections
		option(protoTCP, 0x7c, 28),             // TCP_REPAIR_WINDOW; TCP_FASTOPEN_CONNECT: bypasses Landlock's connect rule; TCP_ULP: kernel TLS, a history of bugs (and TCP_SAVED_SYN, which cannot be set)
		option(protoUDP, 0x0f, 100&0x0f),       // UDP_ENCAP: the IPsec stack
		option(0, 0x7e, 16),                    // IP_IPSEC_POLICY, IP_XFRM_POLICY
		option(0, 0x40, 64),                    // IPT_SO_SET_REPLACE and the rest of iptables and arptables
		option(41, 0x7e, 34, 64),               // IPV6_IPSEC_POLICY, IPV6_XFRM_POLICY, IP6T_SO_SET_REPLACE, IP6T_SO_SET_ADD_COUNTERS
		when(allow, is(1, 0, 1, protoTCP, protoUDP, 41)),
		when(allow, is(1, 270)), // SOL_NETLINK
	}
}

// request refuses ioctl requests by type and number, whatever their size and direction.
func request(requests ...uint32) rule { return when(deny, masked(1, 0xffff, requests...)) }

// types allows the remaining requests of these types.
func types(kinds ...uint32) rule { return when(allow, masked(1, 0xff00, kinds...)) }

// ioctls are the requests that terminals, pipes, sockets and files support. Those of
// devices are absent, and so are VT_* and KD* of the console and NS_GET_* of /proc. A
// request is an unsigned int: bit 32 once hid TIOCSTI (CVE-2019-10063).
func ioctls() []rule {
	return []rule{
		request(0x5412),                       // TIOCSTI: types into the terminal (CVE-2017-5226)
		request(0x541c),                       // TIOCLINUX: pastes into the console (CVE-2023-28100)
		request(0x541d),                       // TIOCCONS: takes the console's output
		request(0x541e, 0x541f),               // TIOCGSERIAL, TIOCSSERIAL: ports and interrupts of a serial line
		request(0x5423),                       // TIOCSETD: line disciplines, a history of bugs
		request(0x5437),                       // TIOCVHANGUP: hangs up a terminal
		request(0x5456, 0x5457),               // TIOCGLCKTRMIOS, TIOCSLCKTRMIOS: locks a terminal's settings
		when(deny, masked(1, 0xff80, 0x6680)), // FS_IOC_ENABLE_VERITY and its kin: makes a user's file read-only for good
		request(0x6613),                       // FS_IOC_SET_ENCRYPTION_POLICY: locks a user's folder
		types(0x0000),                         // FIGETBSZ
		types(0x5400),                         // terminals; FIONREAD, FIONBIO, FIOCLEX
		types(0x5800, 0x6600, 0x7600),         // attributes, extents and versions of files
		types(0x8900),                         // sockets and interfaces
		// FICLONE, FICLONERANGE, FIDEDUPERANGE: copies. The rest of the type belongs to
		// btrfs: until Linux 6.7 SNAP_CREATE copied a whole subvolume from any of the
		// caller's files in it.
		when(allow, is(1, 0x40049409, 0x4020940d, 0xc0189436)),
	}
}

// shared refuses calls that reach other processes of the user if there is no ipc
// namespace.
func shared() []rule { return []rule{{then: absent, alone: true}} }

// own refuses to change other processes than the caller's where no pid namespace
// hides them: a limit on CPU time ends a process like a signal. A process may name
// itself by 0 only, as its number cannot be told from another's here; with another
// one the call is as absent.
func own(pid int) []rule {
	return []rule{
		{when: []check{is(pid, 0)}, then: allow, alone: true},
		{then: absent, alone: true},
	}
}

// ownOf is own for calls whose first argument says whether the second one names a
// process, a group or a user. A user's processes always include others, so naming a
// user is refused.
func ownOf(process, group uint32) []rule {
	return []rule{
		{when: []check{is(0, process, group), is(1, 0)}, then: allow, alone: true},
		{then: absent, alone: true},
	}
}

// prctls are the rules of prctl(option, …).
func prctls() []rule {
	return []rule{
		when(deny, is(0, 35)),                    // PR_SET_MM: forges the memory map that others read
		when(deny, is(0, 0x59616d61)),            // PR_SET_PTRACER: invites a debugger
		when(deny, is(0, 28)),                    // PR_SET_SECUREBITS: the way to regain capabilities
		when(allow, is(0, 47), is(1, 1, 3, 4)),   // PR_CAP_AMBIENT: IS_SET, LOWER, CLEAR_ALL
		when(deny, is(0, 47), is(1, 2)),          // PR_CAP_AMBIENT_RAISE
		when(deny, is(0, 59)),                    // PR_SET_SYSCALL_USER_DISPATCH: hides calls from an observer
		when(deny, is(0, 62)),                    // PR_SCHED_CORE: shares a core's secrets by cookie
		when(deny, is(0, 57)),                    // PR_SET_IO_FLUSHER: special memory reserves
		when(deny, is(0, 67)),                    // PR_SET_MEMORY_MERGE: merged pages reveal others' memory
		when(allow, is(0, 53), is(2, 4, 8, 16)),  // PR_SET_SPECULATION_CTRL, towards safer only
		when(deny, is(0, 53), is(2, 2)),          // PR_SPEC_ENABLE, and not back
		when(allow, is(0, 0x53564d41), is(1, 0)), // PR_SET_VMA_ANON_NAME: names memory; allocators and JITs
		when(allow, is(0, 1, 2)),                 // PR_SET_PDEATHSIG, GET
		when(allow, is(0, 3, 4)),                 // PR_GET_DUMPABLE, SET
		when(allow, is(0, 7, 8)),                 // PR_GET_KEEPCAPS, SET: there is none to keep
		when(allow, is(0, 15, 16)),               // PR_SET_NAME, GET: thread names
		when(allow, is(0, 21, 22)),               // PR_GET_SECCOMP, SET: a filter below this one
		when(allow, is(0, 23, 24)),               // PR_CAPBSET_READ, DROP
		when(allow, is(0, 25, 27, 34)),           // PR_GET_TSC, PR_GET_SECUREBITS, PR_MCE_KILL_GET
		when(allow, is(0, 29, 30)),               // PR_SET_TIMERSLACK, GET
		when(allow, is(0, 36, 37)),               // PR_SET_CHILD_SUBREAPER, GET
		when(allow, is(0, 38, 39)),               // PR_SET_NO_NEW_PRIVS, GET
		when(allow, is(0, 40, 0x41555856)),       // PR_GET_TID_ADDRESS, PR_GET_AUXV
		when(allow, is(0, 41, 42)),               // PR_SET_THP_DISABLE, GET
		when(allow, is(0, 50, 51, 63, 64)),       // PR_SVE_SET_VL, GET, PR_SME_SET_VL, GET: vector length
		when(allow, is(0, 52)),                   // PR_GET_SPECULATION_CTRL
		when(allow, is(0, 54, 60, 61)),           // PR_PAC_*: pointer authentication keys
		when(allow, is(0, 55, 56)),               // PR_SET_TAGGED_ADDR_CTRL, GET: memory tagging
		when(allow, is(0, 65, 66)),               // PR_SET_MDWE, GET: no memory both writable and executable
		when(allow, is(0, 68)),                   // PR_GET_MEMORY_MERGE
		when(allow, is(0, 74, 75, 76)),           // PR_*_SHADOW_STACK_STATUS
	}
}

// archPrctls are the rules of arch_prctl(option, …), amd64 only.
func archPrctls() []rule {
	return []rule{
		when(allow, is(0, 0x1001, 0x1002, 0x1003, 0x1004)), // ARCH_SET_GS, SET_FS, GET_FS, GET_GS: thread-local storage
		when(allow, is(0, 0x1011)),                         // ARCH_GET_CPUID
		when(allow, is(0, 0x1021, 0x1022, 0x1023)),         // ARCH_*_XCOMP_*: AMX in numeric libraries
		when(allow, is(0, 0x5001, 0x5002, 0x5003, 0x5005)), // ARCH_SHSTK_*: shadow stacks (UNLOCK is ptrace's)
	}
}

// personalities allows Linux as it is, its 32-bit name, and the query, which sets every
// bit. Flags that weaken a program fail with EPERM; any other value fails as if the
// call were absent.
func personalities() []rule {
	return []rule{
		when(deny, masked(0, 1<<31|0x0040000, 0x0040000)), // ADDR_NO_RANDOMIZE
		when(deny, masked(0, 1<<31|0x0400000, 0x0400000)), // READ_IMPLIES_EXEC
		when(allow, is(0, 0, 8, whole)),
	}
}

// namespaced refuses clone with a new namespace: the namespace would bring capabilities
// over rarely tested kernel code.
func namespaced() []rule { return []rule{when(deny, bits(0, cloneNew))} }

// listeners refuses a second notification listener: if two filters answer "notify", the
// newer one's listener could allow a call that this one refuses.
func listeners() []rule { return []rule{when(deny, masked(0, 3, filterMode), bits(1, newListener))} }
