package probe

import (
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inherited are the things that a careless start would leave to the server:
// descriptors, stdio, environment, a working directory outside.
func inherited() []Probe {
	return []Probe{
		{ID: "leaked-fds", Loss: "open files and connections of mcpen and its client", How: "looking for descriptors above 2",
			Want: Held, By: Namespaces,
			Run: func(World) Result {
				// Descriptors that this program opened are close-on-exec; inherited
				// ones cannot be.
				for fd := 3; fd < 4096; fd++ {
					flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
					if err == nil && flags&unix.FD_CLOEXEC == 0 {
						name, _ := os.Readlink("/proc/self/fd/" + itoa(fd))
						return worked(itoa(fd) + " " + name)
					}
				}
				return held("")
			}},
		{ID: "stdio-reopen", Loss: "the file that a client keeps its server's output in", How: "ftruncate(2) of /proc/self/fd/1, opened anew",
			Want: "EINVAL|EACCES|ENXIO", By: Namespaces,
			Run: func(World) Result {
				fd, err := unix.Open("/proc/self/fd/1", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(fd)
				var st unix.Stat_t
				if err := unix.Fstat(fd, &st); err != nil {
					return refused(err)
				}
				return outcome(unix.Ftruncate(fd, st.Size), "to the size it had")
			}},
		{ID: "stdio-scm", Loss: "a way to hand open files to the client", How: "sendmsg(2) with SCM_RIGHTS on descriptor 0",
			Want: "ENOTSOCK", By: Namespaces,
			Run: func(World) Result {
				return outcome(unix.Sendmsg(0, []byte("x"), unix.UnixRights(2), nil, unix.MSG_DONTWAIT), "")
			}},
		{ID: "stdio-shutdown", Loss: "the client's connection to its other servers, where they share it", How: "shutdown(2) of descriptor 0",
			Want: "ENOTSOCK", By: Namespaces,
			Run: func(World) Result { return outcome(unix.Shutdown(0, unix.SHUT_RD), "") }},
		{ID: "environment", Loss: "tokens of other programs", How: "reading the own environment",
			Want: Held, By: Namespaces,
			Run: func(w World) Result {
				if v, ok := os.LookupEnv(w.Canary); ok {
					return worked(v)
				}
				return held("")
			}},
		{ID: "environ-pid1", Loss: "tokens of other programs", How: "reading pid 1's environment in /proc",
			Want: Held + "|EACCES|EPERM", By: Namespaces | Landlock,
			Run: func(w World) Result { return environOf(w.Pid, w.Canary) }},
		{ID: "environ-parent", Loss: "tokens of other programs", How: "reading the parent's environment in /proc",
			Want: Held + "|EACCES|EPERM", By: Namespaces,
			Run: func(w World) Result { return environOf(os.Getppid(), w.Canary) }},
		{ID: "cwd-outside", Loss: "the host's file system (CVE-2024-21626)", How: "getcwd(2) that cannot be reached from the root",
			Want: Held, By: Namespaces, Twin: TwinUserns,
			Run: cwd},
		{ID: "core-limit", Loss: "the memory of the server, on the disk or in the hands of a program that root runs", How: "raising RLIMIT_CORE",
			Want: "EPERM", By: Limits,
			Run: func(World) Result {
				return outcome(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}), "")
			}},
		{ID: "daemon", Loss: "the end: a process that goes on when the server was stopped", How: "fork(2) twice, setsid(2), PDEATHSIG cleared, every signal ignored",
			// It may start. A check from outside proves that nothing of it survives.
			Want: "", By: Namespaces,
			Run: func(World) Result { return daemon() }},
	}
}

// cwd checks the working directory. The twin changes its root without changing its
// directory, as a careless launcher would, and comes back through a descriptor.
func cwd(w World) Result {
	if !w.Inside {
		root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return refused(err)
		}
		defer unix.Close(root)
		if err := unix.Chroot(w.Outside); err != nil {
			return refused(err)
		}
		defer func() { unix.Fchdir(root); unix.Chroot(".") }()
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	if err != nil {
		return refused(err)
	}
	if out := string(buf[:n-1]); !strings.HasPrefix(out, "/") {
		return worked(out)
	}
	return held(string(buf[:n-1]))
}

// environOf searches another process's environment for a variable.
func environOf(pid int, name string) Result {
	b, err := os.ReadFile("/proc/" + itoa(pid) + "/environ")
	if err != nil {
		return refused(err)
	}
	for v := range strings.SplitSeq(string(b), "\x00") {
		if strings.HasPrefix(v, name+"=") {
			return worked(v)
		}
	}
	return held("not there")
}

// daemon starts a process that has left everything that ties it to its parent: session,
// group, parent and PDEATHSIG. Its pid is the detail. The program that ran the sandbox
// looks for the process afterwards.
func daemon() Result {
	self, err := os.Executable()
	if err != nil {
		return refused(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return refused(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return refused(err)
	}
	defer w.Close()
	cmd := again(self, verbDaemon)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return refused(err)
	}
	w.Close()
	defer r.Close()
	buf := make([]byte, 32)
	n, err := r.Read(buf)
	return outcome(err, string(buf[:n]))
}

// startLinger is the middle of the double fork: it starts the process that stays, and
// exits, which orphans that process.
func startLinger() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := again(self, verbLinger)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = os.NewFile(3, "pid").WriteString(strconv.Itoa(cmd.Process.Pid))
	return err
}

// linger ignores every signal it can and never ends.
func linger() {
	signal.Ignore()
	unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
	for {
		unix.Poll(nil, -1)
	}
}

// startOrphan starts a process that exits at once, and does not reap it. It prints the
// process's id.
func startOrphan() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := again(self, verbWait)
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(strconv.Itoa(cmd.Process.Pid))
	return err
}
