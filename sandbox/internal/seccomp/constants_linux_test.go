package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The constants are literals so that the compiler builds anywhere. A wrong one would
// check for something that does not exist.
func TestConstantsAreTheKernels(t *testing.T) {
	pairs := []struct {
		name        string
		have, wants uint64
	}{
		{"CLONE_NEW*", cloneNew, unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET},
		{"AF_UNIX", afUnix, unix.AF_UNIX}, {"AF_INET", afInet, unix.AF_INET},
		{"AF_INET6", afInet6, unix.AF_INET6}, {"AF_NETLINK", afNetlink, unix.AF_NETLINK},
		{"SOCK_STREAM", sockStream, unix.SOCK_STREAM}, {"SOCK_DGRAM", sockDgram, unix.SOCK_DGRAM},
		{"SOCK_RAW", sockRaw, unix.SOCK_RAW}, {"SOCK_SEQPACKET", sockSeqpacket, unix.SOCK_SEQPACKET},
		{"the type of a socket", sockType, whole &^ (unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK)},
		{"IPPROTO_TCP", protoTCP, unix.IPPROTO_TCP}, {"IPPROTO_UDP", protoUDP, unix.IPPROTO_UDP},
		{"IPPROTO_MPTCP", protoMPTCP, unix.IPPROTO_MPTCP}, {"NETLINK_ROUTE", netlinkRoute, unix.NETLINK_ROUTE},
		{"MSG_FASTOPEN", msgFastopen, unix.MSG_FASTOPEN}, {"MSG_NOSIGNAL", msgNoSignal, unix.MSG_NOSIGNAL}, {"MSG_PROXY", msgProxy, unix.MSG_PROXY},
		{"O_CREAT | __O_TMPFILE", openCreate, unix.O_CREAT | unix.O_TMPFILE&^unix.O_DIRECTORY},
		{"S_ISUID | S_ISGID", setID, unix.S_ISUID | unix.S_ISGID}, {"S_IFMT", typeMask, unix.S_IFMT},
		{"S_IFREG", typeRegular, unix.S_IFREG}, {"S_IFIFO", typeFIFO, unix.S_IFIFO}, {"S_IFSOCK", typeSocket, unix.S_IFSOCK},
		{"SECCOMP_SET_MODE_FILTER", filterMode, unix.SECCOMP_SET_MODE_FILTER},
		{"SECCOMP_FILTER_FLAG_NEW_LISTENER", newListener, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER},
		{"SECCOMP_RET_KILL_PROCESS", retKill, unix.SECCOMP_RET_KILL_PROCESS}, {"SECCOMP_RET_ERRNO", retErrno, unix.SECCOMP_RET_ERRNO},
		{"SECCOMP_RET_USER_NOTIF", retNotify, unix.SECCOMP_RET_USER_NOTIF}, {"SECCOMP_RET_ALLOW", retAllow, unix.SECCOMP_RET_ALLOW},
		{"AUDIT_ARCH_X86_64", uint64(arches[0].audit), unix.AUDIT_ARCH_X86_64}, {"AUDIT_ARCH_AARCH64", uint64(arches[1].audit), unix.AUDIT_ARCH_AARCH64},
		{"EPERM", eperm, uint64(unix.EPERM)}, {"ENOSYS", enosys, uint64(unix.ENOSYS)},
		{"ENOPROTOOPT", enoprotoopt, uint64(unix.ENOPROTOOPT)}, {"EPROTONOSUPPORT", eprotonosupport, uint64(unix.EPROTONOSUPPORT)},
		{"EOPNOTSUPP", eopnotsupp, uint64(unix.EOPNOTSUPP)}, {"EAFNOSUPPORT", eafnosupport, uint64(unix.EAFNOSUPPORT)},
	}
	for _, p := range pairs {
		if p.have != p.wants {
			t.Errorf("%s is %#x here and %#x in the kernel's headers", p.name, p.have, p.wants)
		}
	}
}

// has reports whether a rule of the call has the action for the value.
func has(rules []rule, then action, arg int, value uint32) bool {
	for _, r := range rules {
		if r.then == then && holds(r.when[len(r.when)-1], data{args: args(arg, value)}) {
			return true
		}
	}
	return false
}

func args(arg int, value uint32) (all [6]uint64) {
	all[arg] = uint64(value)
	return all
}

func TestNumbersInRulesAreTheKernels(t *testing.T) {
	for _, request := range []uint32{unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCCONS, unix.TIOCSETD, unix.TIOCSSERIAL, unix.TIOCVHANGUP, unix.FS_IOC_ENABLE_VERITY, unix.FS_IOC_SET_ENCRYPTION_POLICY} {
		if !has(ioctls(), deny, 1, request) {
			t.Errorf("ioctl %#x is not refused", request)
		}
	}
	for _, option := range []uint32{unix.PR_SET_MM, unix.PR_SET_PTRACER, unix.PR_SET_SECUREBITS, unix.PR_SET_SYSCALL_USER_DISPATCH, unix.PR_SCHED_CORE, unix.PR_SET_IO_FLUSHER} {
		if !has(prctls(), deny, 0, option) {
			t.Errorf("prctl %d is not refused", option)
		}
	}
	for _, option := range []uint32{unix.PR_SET_PDEATHSIG, unix.PR_SET_NAME, unix.PR_SET_NO_NEW_PRIVS, unix.PR_SET_TIMERSLACK, unix.PR_SET_CHILD_SUBREAPER, unix.PR_SET_THP_DISABLE, unix.PR_SET_DUMPABLE, unix.PR_GET_AUXV, unix.PR_SET_MDWE, unix.PR_SVE_SET_VL, unix.PR_PAC_RESET_KEYS, unix.PR_SET_TAGGED_ADDR_CTRL} {
		if !has(prctls(), allow, 0, option) {
			t.Errorf("prctl %d is refused", option)
		}
	}
	for _, option := range []uint32{unix.TCP_REPAIR, unix.TCP_REPAIR_QUEUE, unix.TCP_REPAIR_OPTIONS, unix.TCP_REPAIR_WINDOW, unix.TCP_QUEUE_SEQ} {
		if !has(socketOptions(), fail(enoprotoopt), 2, option) {
			t.Errorf("setsockopt of TCP, %d is not refused", option)
		}
	}
}
