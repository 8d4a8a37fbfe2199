package seccomptest

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Refusals are calls that the kernel without the filter answers differently.
var Refusals = []Probe{
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, [6]uintptr{}, syscall.ENOSYS},
	{"clone3", unix.SYS_CLONE3, [6]uintptr{}, syscall.ENOSYS},
	{"openat2", unix.SYS_OPENAT2, [6]uintptr{}, syscall.ENOSYS},
	{"unshare CLONE_FS", unix.SYS_UNSHARE, [6]uintptr{unix.CLONE_FS}, syscall.EPERM},
	{"clone CLONE_NEWUSER|CLONE_NEWNS|CLONE_FS", unix.SYS_CLONE, [6]uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_FS}, syscall.EPERM},
	{"setns", unix.SYS_SETNS, [6]uintptr{File}, syscall.EPERM},
	{"ptrace PTRACE_CONT", unix.SYS_PTRACE, [6]uintptr{7, 1 << 30}, syscall.EPERM},
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [6]uintptr{1 << 30}, syscall.EPERM},
	{"keyctl KEYCTL_GET_KEYRING_ID", unix.SYS_KEYCTL, [6]uintptr{99}, syscall.EPERM},
	{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, [6]uintptr{}, syscall.EPERM},
	{"personality ADDR_NO_RANDOMIZE", unix.SYS_PERSONALITY, [6]uintptr{0x40000}, syscall.EPERM},
	{"personality, bit 32 set", unix.SYS_PERSONALITY, [6]uintptr{1<<32 | 0x40000}, syscall.EPERM},
	{"prctl PR_SET_PTRACER", unix.SYS_PRCTL, [6]uintptr{unix.PR_SET_PTRACER}, syscall.EPERM},
	{"prctl PR_SCHED_CORE, bit 32 set", unix.SYS_PRCTL, [6]uintptr{1<<32 | unix.PR_SCHED_CORE, 99}, syscall.EPERM},
	{"socket AF_VSOCK, bit 32 set", unix.SYS_SOCKET, [6]uintptr{1<<32 | unix.AF_VSOCK, unix.SOCK_STREAM}, syscall.EAFNOSUPPORT},
	{"socket AF_PACKET", unix.SYS_SOCKET, [6]uintptr{unix.AF_PACKET, unix.SOCK_RAW}, syscall.EAFNOSUPPORT},
	{"socket MPTCP", unix.SYS_SOCKET, [6]uintptr{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, syscall.EPROTONOSUPPORT},
	{"socket NETLINK_GENERIC", unix.SYS_SOCKET, [6]uintptr{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC}, syscall.ENOSYS},
	{"socketpair AF_INET", unix.SYS_SOCKETPAIR, [6]uintptr{unix.AF_INET, unix.SOCK_STREAM}, syscall.ENOSYS},
	{"fchmod 04755", unix.SYS_FCHMOD, [6]uintptr{File, 0o4755}, syscall.EPERM},
	{"fchmod 02755, bit 32 set", unix.SYS_FCHMOD, [6]uintptr{File, 1<<32 | 0o2755}, syscall.EPERM},
	{"ioctl TIOCSTI", unix.SYS_IOCTL, [6]uintptr{File, unix.TIOCSTI}, syscall.EPERM},
	{"ioctl TIOCLINUX, bit 32 set", unix.SYS_IOCTL, [6]uintptr{File, 1<<32 | unix.TIOCLINUX}, syscall.EPERM},
	{"sendto MSG_FASTOPEN", unix.SYS_SENDTO, [6]uintptr{File, 0, 0, unix.MSG_FASTOPEN}, syscall.EOPNOTSUPP},
	{"sendmsg MSG_FASTOPEN, bit 32 set", unix.SYS_SENDMSG, [6]uintptr{File, 0, 1<<32 | unix.MSG_FASTOPEN}, syscall.EOPNOTSUPP},
	{"setsockopt TCP_ULP", unix.SYS_SETSOCKOPT, [6]uintptr{File, unix.IPPROTO_TCP, unix.TCP_ULP}, syscall.ENOPROTOOPT},
	{"mknodat, a device", unix.SYS_MKNODAT, [6]uintptr{^uintptr(0), 0, unix.S_IFCHR | 0o600}, syscall.EPERM},
	{"openat O_CREAT 04755", unix.SYS_OPENAT, [6]uintptr{^uintptr(0), 0, unix.O_CREAT | unix.O_WRONLY, 0o4755}, syscall.EPERM},
	{"fsopen", unix.SYS_FSOPEN, [6]uintptr{0, 99}, syscall.EPERM},
}
