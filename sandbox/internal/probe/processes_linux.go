package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// itoa is strconv.Itoa under a short name.
func itoa(n int) string { return strconv.Itoa(n) }

// processes are attacks on other processes: on the sandbox's pid 1, which is mcpen, and
// on the user's processes outside.
func processes() []Probe {
	return []Probe{
		{ID: "see-stranger", Loss: "command lines of the user's programs", How: "reading /proc/PID/cmdline of a process outside",
			Want: "ENOENT", By: Namespaces,
			Run: func(w World) Result { return outcome(readable(fmt.Sprintf("/proc/%d/cmdline", w.Stranger)), "") }},
		{ID: "kill-stranger", Loss: "the user's other programs", How: "kill(2) of a process outside",
			Want: "ESRCH", By: Namespaces | Landlock, Since: 6,
			Run: func(w World) Result { return outcome(unix.Kill(w.Stranger, 0), "") }},
		{ID: "sigqueue-stranger", Loss: "the user's other programs", How: "pidfd_open(2) and pidfd_send_signal(2) of a process outside",
			Want: "ESRCH", By: Namespaces | Landlock, Since: 6,
			Run: func(w World) Result { return pidfdKill(w.Stranger) }},
		{ID: "prlimit-stranger", Loss: "the user's other programs", How: "prlimit(2) of a process outside",
			Want: "ESRCH|EPERM", By: Namespaces,
			Run: func(w World) Result { return sameLimit(w.Stranger) }},
		{ID: "kill-pid1", Loss: "mcpen's own process inside", How: "kill(2) of pid 1",
			Want: "EPERM", By: Landlock, Since: 6,
			Run: func(w World) Result { return outcome(unix.Kill(w.Pid, 0), "") }},
		{ID: "pidfd-kill-pid1", Loss: "mcpen's own process inside", How: "pidfd_send_signal(2) of pid 1",
			Want: "EPERM", By: Landlock, Since: 6,
			Run: func(w World) Result { return pidfdKill(w.Pid) }},
		{ID: "ptrace-attach", Loss: "everything the traced process may do", How: "ptrace(PTRACE_ATTACH) of pid 1",
			Want: "EPERM", By: Namespaces | Landlock | Seccomp,
			Run: func(w World) Result {
				a := new(arena)
				_, err := sys(a, unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(w.Pid), 0, 0)
				if err == nil {
					var status unix.WaitStatus
					unix.Wait4(w.Pid, &status, unix.WALL, nil)
					sys(a, unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(w.Pid), 0, 0)
				}
				return outcome(err, "")
			}},
		{ID: "ptrace-seize", Loss: "everything the traced process may do", How: "ptrace(PTRACE_SEIZE) of pid 1",
			Want: "EPERM", By: Namespaces | Landlock | Seccomp,
			Run: func(w World) Result {
				a := new(arena)
				_, err := sys(a, unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(w.Pid), 0, 0)
				return outcome(err, "let go when this process ends")
			}},
		{ID: "process-vm-readv", Loss: "secrets in another process's memory", How: "process_vm_readv(2) of pid 1",
			Want: "EPERM", By: Namespaces | Landlock | Seccomp,
			Run: func(w World) Result { return vmCopy(unix.SYS_PROCESS_VM_READV, w.Pid) }},
		{ID: "process-vm-writev", Loss: "everything the other process may do", How: "process_vm_writev(2) of pid 1",
			Want: "EPERM", By: Namespaces | Landlock | Seccomp,
			Run: func(w World) Result { return vmCopy(unix.SYS_PROCESS_VM_WRITEV, w.Pid) }},
		{ID: "pidfd-getfd", Loss: "open files and connections of another process", How: "pidfd_getfd(2) of pid 1's descriptor 0",
			Want: "EPERM", By: Namespaces | Landlock | Seccomp,
			Run: func(w World) Result {
				pidfd, err := unix.PidfdOpen(w.Pid, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(pidfd)
				fd, err := unix.PidfdGetfd(pidfd, 0, 0)
				if err == nil {
					unix.Close(fd)
				}
				return outcome(err, "")
			}},
		{ID: "kcmp", Loss: "the layout of kernel memory, a comparison at a time", How: "kcmp(2) of two processes",
			Want: "EPERM", By: Seccomp,
			Run: func(World) Result {
				self := uintptr(os.Getpid())
				_, err := sys(new(arena), unix.SYS_KCMP, self, self, 0 /* KCMP_FILE */, 0, 1)
				return outcome(err, "")
			}},
		{ID: "process-madvise", Loss: "another process's speed", How: "process_madvise(2) of pid 1",
			Want: "EPERM|ENOSYS", By: Namespaces | Seccomp, Twin: TwinRoot,
			Run: func(w World) Result {
				pidfd, err := unix.PidfdOpen(w.Pid, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(pidfd)
				a := new(arena)
				iov, _ := a.bytes(16) // a null base with no length
				_, err = sys(a, unix.SYS_PROCESS_MADVISE, uintptr(pidfd), iov, 1, unix.MADV_COLD, 0)
				return outcome(err, "")
			}},
		{ID: "setpriority-stranger", Loss: "the user's other programs", How: "setpriority(2) of a process outside",
			Want: "ESRCH", By: Namespaces,
			Run: func(w World) Result { return outcome(unix.Setpriority(unix.PRIO_PROCESS, w.Stranger, 19), "") }},
	}
}

// procfs are attacks through /proc.
func procfs() []Probe {
	probes := []Probe{
		{ID: "core-pattern", Loss: "root: the kernel runs what stands there at every crash", How: "opening /proc/sys/kernel/core_pattern for writing",
			Want: "EROFS|EACCES", By: Namespaces | Landlock, Twin: TwinRoot,
			Run: func(World) Result { return writable("/proc/sys/kernel/core_pattern") }},
		{ID: "proc-sys-write", Loss: "kernel settings", How: "opening files below /proc/sys for writing",
			Want: "EROFS|EACCES", By: Namespaces | Landlock, Twin: TwinRoot,
			Run: func(World) Result { return writable("/proc/sys/vm/overcommit_memory") }},
		{ID: "proc-sys-user", Loss: "the bar on user namespaces", How: "opening /proc/sys/user/max_user_namespaces for writing",
			Want: "EROFS|EACCES", By: Namespaces | Landlock, Twin: TwinUserns,
			Run: func(World) Result { return writable("/proc/sys/user/max_user_namespaces") }},
		{ID: "sysrq", Loss: "the machine", How: "opening /proc/sysrq-trigger for writing",
			Want: "ENOENT|EROFS|EACCES", By: Namespaces | Landlock, Twin: TwinRoot, Absent: "ENOENT",
			Run: func(World) Result { return writable("/proc/sysrq-trigger") }},
		{ID: "kcore", Loss: "the memory of everything", How: "reading /proc/kcore",
			Want: Held + "|ENOENT|EACCES|EPERM", By: Namespaces | Landlock, Twin: TwinRoot, Absent: "ENOENT",
			Run: func(World) Result { return anyByte("/proc/kcore") }},
		{ID: "proc-keys", Loss: "names of the user's keys", How: "reading /proc/keys",
			Want: Held + "|EACCES", By: Namespaces,
			Run: func(World) Result { return anyLine("/proc/keys") }},
		{ID: "timer-list", Loss: "what every process waits for", How: "reading /proc/timer_list",
			Want: Held + "|EACCES", By: Namespaces, Twin: TwinRoot, Absent: "ENOENT",
			Run: func(World) Result { return anyLine("/proc/timer_list") }},
		{ID: "self-mem", Loss: "read-only memory that hooks rely on", How: "opening /proc/self/mem for writing",
			Want: "EACCES", By: Landlock,
			Run: func(World) Result {
				fd, err := unix.Open("/proc/self/mem", unix.O_RDWR|unix.O_CLOEXEC, 0)
				if err == nil {
					unix.Close(fd)
				}
				return outcome(err, "")
			}},
		{ID: "self-oom", Loss: "other programs, when memory runs out", How: "lowering /proc/self/oom_score_adj",
			Want: "EACCES|EPERM", By: Namespaces | Landlock, Twin: TwinRoot, Absent: "EACCES", // root without CAP_SYS_RESOURCE
			Run: func(World) Result { return wrote("/proc/self/oom_score_adj", "-500") }},
	}
	const of = "/proc/PID of pid 1"
	for _, p := range []struct{ name, loss string }{
		{"root", "the host's file system"},
		{"cwd", "the host's file system"},
		{"exe", "the program outside (CVE-2019-5736)"},
		{"fd/0", "open files of another process"},
		{"environ", "secrets in another process's environment"},
		{"maps", "the memory layout of another process"},
		{"mem", "the memory of another process"},
	} {
		probes = append(probes, Probe{ID: "proc1-" + strings.ReplaceAll(p.name, "/", ""),
			Loss: p.loss, How: "opening " + p.name + " in " + of, Want: "EACCES|EPERM", By: Namespaces | Landlock,
			Run: func(w World) Result {
				fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", w.Pid, p.name), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
				if err == nil {
					// A file may open and still be unreadable: another process's maps
					// is empty.
					_, err = unix.Read(fd, make([]byte, 1))
					if err == unix.EISDIR || err == unix.EIO || err == unix.EAGAIN {
						err = nil
					}
					unix.Close(fd)
				}
				return outcome(err, "")
			}})
	}
	return probes
}

// pidfdKill sends signal 0 through a pidfd.
func pidfdKill(pid int) Result {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(pidfd)
	return outcome(unix.PidfdSendSignal(pidfd, 0, nil, 0), "")
}

// sameLimit sets a limit of another process to its current value.
func sameLimit(pid int) Result {
	var lim unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &lim); err != nil {
		return refused(err)
	}
	return outcome(unix.Prlimit(pid, unix.RLIMIT_CORE, &lim, nil), "")
}

// vmCopy copies no byte from or to another process. The kernel checks permission before
// it looks at the addresses, and answers a wrong address with EFAULT.
func vmCopy(nr uintptr, pid int) Result {
	a := new(arena)
	buf, _ := a.bytes(8)
	local := &unix.RemoteIovec{Base: buf, Len: 8}
	remote := &unix.RemoteIovec{Base: 8, Len: 8}
	_, err := sys(a, nr, uintptr(pid), put(a, local), 1, put(a, remote), 1, 0)
	return reached(err, unix.EFAULT)
}

// anyLine succeeds if a file is not empty.
func anyLine(path string) Result {
	b, err := os.ReadFile(path)
	if err != nil {
		return refused(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line == "" {
		return held("empty")
	}
	return worked(line)
}

// anyByte is anyLine for endless files.
func anyByte(path string) Result {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	switch n, err := unix.Read(fd, make([]byte, 16)); {
	case err != nil:
		return refused(err)
	case n == 0:
		return held("empty")
	}
	return worked(path)
}

// wrote writes text to an existing file, in one write.
func wrote(path, text string) Result {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return outcome(err, "")
}

// ipc are the host's shared memory, semaphores and queues.
func ipc() []Probe {
	const loss = "what the user's programs share in memory"
	row := func(id, how, want string, by Layers, run func(*arena, World) error) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: want, By: by, Absent: "ENOSYS",
			Run: func(w World) Result { return outcome(run(new(arena), w), "") }}
	}
	return []Probe{
		row("sysv-shm", "shmget(2) of a key that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			_, err := sys(a, unix.SYS_SHMGET, uintptr(w.IPC), 0, 0)
			return err
		}),
		row("sysv-sem", "semget(2) of a key that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			_, err := sys(a, unix.SYS_SEMGET, uintptr(w.IPC), 0, 0)
			return err
		}),
		row("sysv-msg", "msgget(2) of a key that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			_, err := sys(a, unix.SYS_MSGGET, uintptr(w.IPC), 0)
			return err
		}),
		row("mqueue", "mq_open(3) of a queue that exists outside", "ENOENT", Namespaces, func(a *arena, w World) error {
			return closed(sys(a, unix.SYS_MQ_OPEN, a.str(w.Queue), unix.O_RDWR|unix.O_CLOEXEC, 0, 0))
		}),
		row("posix-shm", "open(2) of a file in the host's /dev/shm", "ENOENT", Namespaces|Landlock, func(_ *arena, w World) error {
			return readable(filepath.Join("/dev/shm", w.Shm))
		}),
	}
}
