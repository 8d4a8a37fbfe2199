/*
 * The exec stage: the process that becomes the server. pid 1 forks it. It may only
 * call functions that signal-safety(7) allows in the child of a process with threads:
 * it makes system calls on memory that pid 1 prepared. Executing this binary again, to
 * do the same in Go, took a third of the start.
 *
 * No other order works: first the steps that need rights, then Landlock, then the
 * system call filter, then execve. Landlock and seccomp apply to a thread, and the
 * stage has only one.
 */
#define _GNU_SOURCE
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* The number of the kernel's signals. glibc hides two of them. */
#define SIGNALS 64
static const unsigned long all_signals = ~0UL, no_signals = 0;

static long mask_signals(const unsigned long *set, unsigned long *old)
{
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, set, old, sizeof *set);
}

/* execve resets the handlers anyway. Until then a handler of the Go runtime must not
 * run here. */
static void default_signals(void)
{
	unsigned long action[4] = {0};

	for (int sig = 1; sig <= SIGNALS; sig++)
		syscall(SYS_rt_sigaction, sig, action, NULL, sizeof no_signals);
	mask_signals(&no_signals, NULL);
}

static void fail(const struct mcpen_exec *x, int step, int which)
{
	struct mcpen_failure f = {step, errno, which};

	if (write(x->report, &f, sizeof f) < 0)
		_exit(2); /* pid 1 is gone, or will see that no program was executed */
	_exit(1);
}

/* Empties every set, the bounding set first: otherwise root's execve would fill the
 * permitted set from it. Without its own user namespace an ordinary user has no
 * capability and cannot empty the bounding set, but gains nothing from it under
 * no_new_privs. */
static void drop_capabilities(const struct mcpen_exec *x)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2];

	for (int c = 0; c < 64; c++) {
		int has = prctl(PR_CAPBSET_READ, c, 0, 0, 0);

		if (has < 0 && errno == EINVAL)
			break; /* past the last capability of this kernel */
		if (has < 0)
			fail(x, MCPEN_BOUNDING, 0);
		if (has == 0)
			continue; /* root in a container may not drop it, and has nothing to drop */
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0)
			continue;
		if (errno == EPERM && !x->user && getuid() != 0)
			break;
		fail(x, MCPEN_BOUNDING, 0);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		fail(x, MCPEN_AMBIENT, 0);
	memset(none, 0, sizeof none);
	if (syscall(SYS_capset, &head, none))
		fail(x, MCPEN_CAPSET, 0);
}

/* Makes the user's folders read-only in the stage's mount namespace. They stay writable
 * in that of pid 1, the mediator. Read-only is the only attribute that a less
 * privileged namespace may always set (mount_namespaces(7)). */
static void close_folders(const struct mcpen_exec *x)
{
	struct {
		unsigned long long set, clear, propagation, userns;
	} readonly = {.set = 1}; /* MOUNT_ATTR_RDONLY */

	for (int i = 0; i < x->nreadonly; i++)
		if (syscall(SYS_mount_setattr, AT_FDCWD, x->readonly[i], AT_RECURSIVE | AT_SYMLINK_NOFOLLOW, &readonly, sizeof readonly))
			fail(x, MCPEN_READONLY, i);
}

static void send_listener(const struct mcpen_exec *x, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec data = {(void *)x->notify, x->notify_len};
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c.room};

	memset(&c, 0, sizeof c);
	c.head.cmsg_level = SOL_SOCKET;
	c.head.cmsg_type = SCM_RIGHTS;
	c.head.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&c.head), &fd, sizeof fd);
	/* With these flags the filter of a trial lets a message pass without asking the
	 * listener, which nobody has yet (handsListener in package seccomp). MSG_PROXY means
	 * nothing on Linux. end_handing then ends that. */
	while (sendmsg(x->control, &m, MSG_NOSIGNAL | MSG_PROXY) < 0)
		if (errno != EINTR)
			fail(x, MCPEN_LISTENER, 0);
}

/* Refuses the flags with which the listener was sent, by a second filter: of several the
 * strictest answer counts (seccomp(2)). Calls of another architecture end at the first. */
static void end_handing(const struct mcpen_exec *x)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])), /* the low half */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MSG_NOSIGNAL | MSG_PROXY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		fail(x, MCPEN_SECCOMP, 0);
}

/* Sets the limit on open files, or all the others. That one comes after the listener is
 * sent: the kernel counts a user's descriptors in flight and compares the count with
 * the sender's limit on open files (too_many_unix_fds in net/unix), so another server
 * with as many in flight as it may have could keep this one from sending. */
static void set_limits(const struct mcpen_exec *x, int files)
{
	for (int i = 0; i < x->nlimits; i++) {
		struct rlimit l = {x->limits[i].value, x->limits[i].value};

		if ((x->limits[i].resource == RLIMIT_NOFILE) == files && setrlimit(x->limits[i].resource, &l))
			fail(x, MCPEN_LIMITS, i);
	}
}

static void load_filter(const struct mcpen_exec *x)
{
	unsigned long flags = 0;
	long fd;

	/* Without the second flag a signal to the waiting process interrupts a call that
	 * the listener has already received, again and again (Linux 5.19). */
	if (x->listen)
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &x->filter);
	if (fd < 0 && errno == EINVAL && x->listen)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &x->filter);
	if (fd < 0)
		fail(x, MCPEN_SECCOMP, 0);
	if (x->listen)
		send_listener(x, fd);
	if (x->trace)
		end_handing(x);
}

static void become(const struct mcpen_exec *x, pid_t parent)
{
	char byte;
	ssize_t n;

	default_signals();
	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		fail(x, MCPEN_DEATH_SIGNAL, 0);
	if (getppid() != parent)
		_exit(2); /* pid 1 died before the death signal was set */
	do
		n = read(x->go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(2); /* pid 1 failed, and reports why itself */
	close_folders(x);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail(x, MCPEN_NO_NEW_PRIVS, 0);
	drop_capabilities(x);
	set_limits(x, 0);
	umask(x->mask);
	if (chdir(x->dir))
		fail(x, MCPEN_DIRECTORY, 0);
	if (access(x->path, X_OK))
		fail(x, MCPEN_ACCESS, 0);
	if (x->ruleset >= 0 && syscall(SYS_landlock_restrict_self, x->ruleset, 0))
		fail(x, MCPEN_LANDLOCK, 0);
	/* No descriptor but stdin, stdout and stderr survives execve. The stage still
	 * needs the others until then. */
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC))
		fail(x, MCPEN_CLOSE, 0);
	if (x->filter.len > 0)
		load_filter(x);
	set_limits(x, 1);
	execve(x->path, x->argv, x->envv);
	fail(x, MCPEN_EXECVE, 0);
}

pid_t mcpen_spawn(const struct mcpen_exec *x)
{
	unsigned long flags = SIGCHLD, old;
	pid_t parent = getpid();
	long pid;
	int error;

	if (x->user)
		flags |= CLONE_NEWUSER;
	if (x->nreadonly > 0)
		flags |= CLONE_NEWNS;
	mask_signals(&all_signals, &old);
	pid = syscall(SYS_clone, flags, 0, 0, 0, 0);
	if (pid == 0)
		become(x, parent);
	error = errno;
	mask_signals(&old, NULL);
	return pid < 0 ? -error : pid;
}
