package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// landlock returns the Landlock ABI of the kernel, 0 where there is none, and a bit
// mask of the errata that it fixed (landlock_create_ruleset(2), flags
// LANDLOCK_CREATE_RULESET_VERSION and _ERRATA).
func landlock() (abi, errata int) {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, 0
	}
	e, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_ERRATA)
	if errno != 0 {
		e = 0 // a kernel that cannot list its fixed errata counts as one with none
	}
	return int(n), int(e)
}

// landlockErr says why there is no Landlock: ENOSYS for a kernel without it, EOPNOTSUPP
// for one whose lsm= leaves it out.
func landlockErr() error {
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return errno
	}
	return nil
}

// The filter actions that the package asks for, from linux/seccomp.h.
const (
	retKillProcess = 0x80000000
	retErrno       = 0x00050000
	retAllow       = 0x7fff0000
	retNotify      = 0x7fc00000
)

// seccomp says whether a filter can fail a call with an errno and end a process. Deep
// tries whether this process can install one.
func seccomp() plan.Fact {
	for _, action := range []struct {
		name string
		code uint32
	}{{"SECCOMP_RET_ERRNO", retErrno}, {"SECCOMP_RET_KILL_PROCESS", retKillProcess}} {
		if err := actionAvail(action.code); err != nil {
			return plan.Fact{Is: absent(err), Why: fmt.Sprintf("seccomp(SECCOMP_GET_ACTION_AVAIL, %s): %s", action.name, name(err))}
		}
	}
	return plan.Fact{Is: plan.Yes}
}

// notify says whether a filter can report refused calls. A process tree can have one
// listener only. Only a trial tells whether a container or WSL's init has it already
// (EBUSY, seccomp(2)).
func notify() plan.Fact {
	if err := actionAvail(retNotify); err != nil {
		return plan.Fact{Is: absent(err), Why: "seccomp(SECCOMP_GET_ACTION_AVAIL, SECCOMP_RET_USER_NOTIF): " + name(err)}
	}
	if err := notifSizes(); err != nil {
		return plan.Fact{Is: absent(err), Why: "seccomp(SECCOMP_GET_NOTIF_SIZES): " + name(err)}
	}
	if err := onThread(listen); err != nil {
		return plan.Fact{Is: plan.No, Why: stepListener + ": " + name(err)}
	}
	return plan.Fact{Is: plan.Yes}
}

// listen installs a filter that allows everything, with a listener, on the calling
// thread.
func listen() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	fd, err := setFilter([]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: retAllow}}, flagNewListener)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// onThread calls f on a thread that ends afterwards, together with everything that f
// changed on it. The first thread of a process does not end (runtime.LockOSThread), so f
// never runs there.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f) // while this goroutine holds the first thread
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}

// absent is No where the kernel says that it lacks the feature, and Unknown where
// another error stood in the way.
func absent(err error) plan.Tri {
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return plan.No
	}
	return plan.Unknown
}

// memfd says whether this process can make an executable memfd. With vm.memfd_noexec=2
// it fails with EACCES (memfd_create(2)). Deep tries to execute one.
func memfd() plan.Fact {
	fd, err := executableMemfd()
	if err != nil {
		return plan.Fact{Is: plan.No, Why: "memfd_create: " + name(err)}
	}
	defer unix.Close(fd)
	return plan.Fact{Why: "one can be made; executing it was not tried"}
}

// executableMemfd makes a memfd that can be sealed and executed.
func executableMemfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("mcpen-probe", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before 6.3 there was no MFD_EXEC, and every memfd was executable
		fd, err = unix.MemfdCreate("mcpen-probe", flags)
	}
	return fd, err
}

// namespaces returns No where the kernel or a limit rules out new namespaces, and
// otherwise Unknown: only a trial shows whether a start can make them.
func namespaces(ask Ask) plan.Fact {
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		if _, err := os.Lstat(ask.at("/proc/thread-self/ns/" + ns)); errors.Is(err, os.ErrNotExist) {
			if _, err := os.Lstat(ask.at("/proc/thread-self/status")); err != nil {
				return plan.Fact{Why: "/proc is not there to ask"}
			}
			return plan.Fact{Is: plan.No, Why: "the kernel has no " + ns + " namespaces"}
		}
		if sysctl(ask, "user/max_"+ns+"_namespaces") == "0" {
			return plan.Fact{Is: plan.No, Why: "user.max_" + ns + "_namespaces is 0"}
		}
	}
	if os.Geteuid() != 0 && sysctl(ask, "kernel/unprivileged_userns_clone") == "0" {
		return plan.Fact{Is: plan.No, Why: "kernel.unprivileged_userns_clone is 0"}
	}
	return plan.Fact{Why: "not tried"}
}

// sysctl returns a value below /proc/sys, or "" if it is missing or unreadable.
func sysctl(ask Ask, key string) string {
	b, err := os.ReadFile(ask.at("/proc/sys/" + key))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// statusField returns the value of a line of /proc/thread-self/status.
func statusField(ask Ask, field string) (string, error) {
	b, err := os.ReadFile(ask.at("/proc/thread-self/status"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("/proc/thread-self/status has no line %q", field)
}

// name returns an errno's name and text, "EPERM (operation not permitted)". People
// search for the name.
func name(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		if errno == unix.EOPNOTSUPP { // the same number as ENOTSUP, a name that no manual page of the kernel uses
			return fmt.Sprintf("EOPNOTSUPP (%v)", errno)
		}
		if n := unix.ErrnoName(errno); n != "" {
			return fmt.Sprintf("%s (%v)", n, errno)
		}
	}
	return err.Error()
}
