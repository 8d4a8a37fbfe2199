package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/egress"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// pid1 is the sandbox's init. It returns the exit status of the process, which
// nobody reads: what happened is told over the control socket.
func pid1() int {
	// One os.File for each inherited descriptor, alive to the end: a second one
	// would close the descriptor when it is collected.
	boot, control := os.NewFile(bootFD, "boot"), os.NewFile(ctlFD, "control")
	filter := os.NewFile(filterFD, "filter")
	defer runtime.KeepAlive(filter)
	defer runtime.KeepAlive(boot)
	defer runtime.KeepAlive(control)
	ctl := &Control{control}
	pid, err := begin(ctl, boot, filter)
	if err != nil {
		ctl.Send(failure(err)) // if the launcher is gone, so are we
		return 1
	}
	s := &server{pid: pid}
	go s.obey(ctl)
	ctl.Send(Message{Kind: Started, PID: pid})
	time.AfterFunc(ShrinkAfter, Shrink)
	status, err := s.reap()
	if os.Getpid() != 1 {
		endAll() // no kernel does it for us
	}
	if err != nil {
		ctl.Send(failure(err))
		return 1
	}
	m := Message{Kind: Exited, Code: status.ExitStatus()}
	if status.Signaled() {
		m.Code, m.Signal = 0, int(status.Signal())
	}
	ctl.Send(m)
	return 0 // and the kernel ends every process that is left
}

// begin does all that needs pid 1's namespaces and capabilities, starts the
// exec stage, and drops everything.
func begin(ctl *Control, bootFile, filter *os.File) (pid int, err error) {
	// libcontainer's own death signal does not reach this process: it is set on
	// an earlier stage and cleared by fork. The end of the control socket covers
	// a launcher that died before this line, and alone has the keeper of a server
	// without namespaces end the server's processes before it ends itself.
	if os.Getpid() == 1 {
		if err := prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)); err != nil {
			return 0, step("die with the launcher", err)
		}
	}
	// Nothing in here may be read by the server: not its memory, not its
	// descriptors, not its environment.
	if err := prctl(unix.PR_SET_DUMPABLE, 0); err != nil {
		return 0, step("hide pid 1", err)
	}
	boot, err := unpack()
	if err != nil {
		return 0, err
	}
	var user *syscall.SysProcAttr
	if boot.Plan.Holds(policy.LayerNamespaces) {
		user, err = furnish(ctl, boot)
	} else {
		user, err = adopt()
	}
	if err != nil {
		return 0, err
	}
	pid, report, err := spawn(user, bootFile, ctl.f, filter)
	if err != nil {
		return 0, err
	}
	if err := drop(bootFile, filter); err != nil {
		return 0, step("drop what pid 1 no longer needs", err)
	}
	return pid, awaitExec(report)
}

// furnish does what needs the sandbox's own namespaces, and says how the exec
// stage is started: in a user namespace that maps the user's own id back. The
// map needs CAP_SETFCAP, since it maps id 0 of this namespace (Linux 5.12,
// user_namespaces(7)).
func furnish(ctl *Control, boot Boot) (*syscall.SysProcAttr, error) {
	if err := verify(boot.Pins); err != nil {
		return nil, err
	}
	if err := late(boot.Plan.Root); err != nil {
		return nil, err
	}
	if err := listen(ctl, boot.Plan.Network); err != nil {
		return nil, err
	}
	p := boot.Plan.Process
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: p.UID, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: p.GID, HostID: 0, Size: 1}},
		// The exec stage empties the bounding set, which takes SETPCAP.
		AmbientCaps: []uintptr{unix.CAP_SETPCAP},
	}, nil
}

// verify checks that each mount is of the inode that was planned.
func verify(pins []Pin) error {
	for _, p := range pins {
		var st unix.Stat_t
		if err := unix.Lstat(p.Target, &st); err != nil {
			return step("look at a mount", &os.PathError{Op: "lstat", Path: p.Target, Err: err})
		}
		if uint64(st.Dev) != p.Dev || st.Ino != p.Ino {
			return step("trust a mount", fmt.Errorf("%q is not what was planned: it was exchanged while the sandbox was built", p.Target))
		}
	}
	return nil
}

// late makes the symlinks that lie in private file systems, which are there
// only now, and closes the private file systems that stay read-only.
func late(root []plan.Mount) error {
	for _, m := range root {
		if m.Kind != plan.MountSymlink {
			continue
		}
		if have, err := os.Readlink(m.Target); err == nil && have == m.Source {
			continue // made in the skeleton
		}
		if err := os.MkdirAll(filepath.Dir(m.Target), 0o755); err != nil {
			return step("make a symlink", err)
		}
		if err := os.Symlink(m.Source, m.Target); err != nil {
			return step("make a symlink", err)
		}
	}
	return nil
}

// listen makes the sockets on which the egress serves and hands them out.
func listen(ctl *Control, n plan.Network) error {
	handles, err := egress.Listen(n)
	if err != nil {
		return step("listen for the server's connections", err)
	}
	for len(handles) > 0 {
		batch := handles[:min(len(handles), maxFiles)]
		handles = handles[len(batch):]
		m := Message{Kind: Listeners}
		if m.Data, err = json.Marshal(batch); err != nil {
			return step("hand out listeners", err)
		}
		for _, h := range batch {
			m.Files = append(m.Files, h.File)
		}
		if err := ctl.Send(m); err != nil {
			return step("hand out listeners", err)
		}
		closeAll(m.Files)
	}
	return nil
}

// spawn starts the exec stage, and returns its number and the pipe on which it
// reports.
func spawn(attr *syscall.SysProcAttr, files ...*os.File) (pid int, report *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, step("start the exec stage", err)
	}
	defer w.Close()
	cmd := exec.Command("/proc/self/exe", execName)
	cmd.Args[0] = "mcpen"
	cmd.Env = []string{"GOMAXPROCS=1"} // fewer threads to reach; the server gets its own environment
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = append(files, w)
	attr.Pdeathsig, attr.Setsid = syscall.SIGKILL, true
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		r.Close()
		return 0, nil, step("start the exec stage", err)
	}
	return cmd.Process.Pid, r, nil
}

// drop gives up what pid 1 had: its capabilities, the boot with the secrets and
// the server's own stdio, whose ends would never be seen otherwise.
func drop(boot, filter *os.File) error {
	// On all threads: the runtime has others by now. The bounding set may stay:
	// this process never executes anything again, and no_new_privs is set.
	if err := dropAll(); err != nil {
		return err
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := 0; fd < 3; fd++ {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	return errors.Join(boot.Close(), filter.Close())
}

// awaitExec waits until the exec stage became the server: then its end of the
// pipe is closed by the kernel with nothing written.
func awaitExec(report *os.File) error {
	defer report.Close()
	data, err := io.ReadAll(io.LimitReader(report, maxMessage))
	if err != nil {
		return step("hear of the exec stage", err)
	}
	if len(data) == 0 {
		return nil
	}
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		return step("hear of the exec stage", err)
	}
	return &stepError{m.Step, reported{m.Error, syscall.Errno(m.Errno)}}
}

// reported is an error that another stage told of.
type reported struct {
	text  string
	errno syscall.Errno
}

func (r reported) Error() string { return r.text }
func (r reported) Unwrap() error {
	if r.errno == 0 {
		return nil
	}
	return r.errno
}

// server is the process that pid 1 is there for. No signal is sent once it was
// reaped, when its number may be somebody else's.
type server struct {
	pid int

	mu     sync.Mutex
	reaped bool
}

// obey forwards signals until the launcher is gone, and then ends the sandbox.
func (s *server) obey(ctl *Control) {
	for {
		m, err := ctl.Receive()
		if err != nil {
			if os.Getpid() != 1 {
				endAll()
			}
			unix.Exit(1) // now: under the race detector os.Exit lingers
		}
		if m.Kind == Signal {
			s.mu.Lock()
			if !s.reaped {
				unix.Kill(s.pid, syscall.Signal(m.Signal)) // ESRCH: it is gone
			}
			s.mu.Unlock()
		}
	}
}

// reap waits for every process of the sandbox and returns with the server's
// end.
func (s *server) reap() (syscall.WaitStatus, error) {
	for {
		var info unix.Siginfo
		// Look first, reap under the lock.
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, step("wait for the server", os.NewSyscallError("waitid", err))
		}
		var status syscall.WaitStatus
		s.mu.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		s.reaped = s.reaped || pid == s.pid
		s.mu.Unlock()
		if err != nil && err != syscall.EINTR {
			return 0, step("wait for the server", os.NewSyscallError("wait4", err))
		}
		if pid == s.pid {
			return status, nil
		}
	}
}
