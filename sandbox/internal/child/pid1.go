package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// pid1 is the sandbox's init, or the keeper of a server without namespaces. It returns
// the exit status of the process, which nobody reads: the control socket carries the
// result.
func pid1() int {
	// One os.File for each inherited descriptor, alive to the end: a second one would
	// close the descriptor when it is collected.
	boot, control := os.NewFile(bootFD, "boot"), os.NewFile(ctlFD, "control")
	defer runtime.KeepAlive(boot)
	defer runtime.KeepAlive(control)
	ctl := &Control{control}
	stage, err := begin(ctl)
	if err == nil && os.Getpid() == 1 {
		err = stage.keep() // does not return on success
	} else if err == nil {
		err = errors.Join(drop(stage.ruleset, boot), stage.await())
	}
	if err != nil {
		ctl.Send(failure(err)) // if the launcher is gone, this process ends as well
		return 1
	}
	ctl.Send(Message{Kind: Started, PID: stage.pid})
	s := &server{pid: stage.pid}
	go s.obey(ctl)
	time.AfterFunc(ShrinkAfter, Shrink)
	status, err := s.reap()
	endAll() // without a pid namespace the kernel does not do it
	if err != nil {
		ctl.Send(failure(err))
		return 1
	}
	m := Message{Kind: Exited, Code: status.ExitStatus()}
	if status.Signaled() {
		m.Code, m.Signal = 0, int(status.Signal())
	}
	ctl.Send(m)
	return 0
}

// keeperName is the argv by which keeper.c recognises the keeper.
const keeperName = "mcpen-keeper"

// keep turns pid 1 into the keeper, which is this binary without the Go runtime, or
// into the mediator, which also keeps the server and itself learns whether the exec
// stage succeeded. Messages that the launcher sends meanwhile wait in the socket.
// Nothing of this process remains: its threads and memory, with the secrets, end with
// the execve; its capabilities and descriptors end before it.
func (s *stage) keep() error {
	const what = "keep the server"
	if err := unix.Dup3(int(s.report.Fd()), reportFD, 0); err != nil {
		return step(what, os.NewSyscallError("dup3", err))
	}
	if err := silence(); err != nil {
		return step(what, err)
	}
	name, last := keeperName, ctlFD
	if s.handoff != nil {
		name, last = mediatorName, toldFD
		if err := s.inherit(); err != nil {
			return step(what, err)
		}
	}
	if err := unix.CloseRange(uint(last)+1, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return step(what, os.NewSyscallError("close_range", err))
	}
	if _, err := unix.FcntlInt(ctlFD, unix.F_SETFD, 0); err != nil {
		return step(what, os.NewSyscallError("fcntl(F_SETFD)", err))
	}
	// Only this thread is left. The bounding set may stay: under no_new_privs, which is
	// set, no execve restores a dropped capability.
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		return step(what, os.NewSyscallError("capset", err))
	}
	if s.handoff != nil {
		if err := blockSignals(); err != nil {
			return step(what, err)
		}
	}
	argv := []string{name, strconv.Itoa(s.pid)}
	if s.init != "" && s.handoff == nil {
		argv = append(argv, s.init)
	}
	return step(what, syscall.Exec("/proc/self/exe", argv, nil))
}

// begin does everything that needs pid 1's namespaces and capabilities, and starts the
// exec stage.
func begin(ctl *Control) (*stage, error) {
	// libcontainer's death signal does not reach this process: it is set on an earlier
	// stage, and fork clears it. If the launcher died before this line, the end of the
	// control socket covers it. Without namespaces, only that end makes the keeper kill
	// the server's processes before it exits itself.
	if os.Getpid() == 1 {
		if err := prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)); err != nil {
			return nil, step("die with the launcher", err)
		}
	}
	// The server must not read anything in this process: not its memory, not its
	// descriptors, not its environment.
	if err := prctl(unix.PR_SET_DUMPABLE, 0); err != nil {
		return nil, step("hide pid 1", err)
	}
	boot, err := unpack()
	if err != nil {
		return nil, err
	}
	contained := boot.Plan.Holds(policy.LayerNamespaces)
	if contained {
		err = furnish(ctl, boot)
	} else {
		err = adopt()
	}
	if err != nil {
		return nil, err
	}
	s, err := prepare(boot, ctl)
	if err != nil {
		return nil, err
	}
	if os.Getpid() == 1 {
		outlive() // from here on a process can send signals
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	if contained {
		if err := s.mapIDs(boot.Plan.Process.UID, boot.Plan.Process.GID); err != nil {
			return nil, err
		}
	}
	if err := s.proceed(); err != nil {
		return nil, err
	}
	return s, nil
}

// furnish does the set-up that needs the sandbox's own namespaces.
func furnish(ctl *Control, boot Boot) error {
	if err := verify(boot.Pins); err != nil {
		return err
	}
	if err := lateSymlinks(boot.Plan.Root); err != nil {
		return err
	}
	if err := arrange(ctl, boot.Plan.Desk); err != nil {
		return err
	}
	return listen(ctl, boot.Plan.Network)
}

// verify checks that each mount has the planned inode.
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

// lateSymlinks makes the symlinks in private file systems, which exist only now, and makes the
// private file systems read-only that must be.
func lateSymlinks(root []plan.Mount) error {
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

// listen makes the sockets on which the egress serves, and sends them to the launcher.
func listen(ctl *Control, n plan.Network) error {
	handles, err := listeners.Listen(n)
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

// drop gives up the privileges of the keeper of a server without namespaces: any
// capabilities, on all threads, the boot with the secrets, and the server's stdio.
func drop(ruleset int, boot *os.File) error {
	const what = "drop what the keeper no longer needs"
	if err := dropAll(); err != nil {
		return step(what, err)
	}
	if err := silence(); err != nil {
		return step(what, err)
	}
	if ruleset >= 0 {
		unix.Close(ruleset)
	}
	return step(what, boot.Close())
}

// silence replaces the server's stdio by /dev/null. Otherwise the other ends would
// never see the end of the stream.
func silence() error {
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
	return nil
}

// server is the process of a keeper without namespaces. After it is reaped, no signal
// is sent, since its pid may belong to another process.
type server struct {
	pid   int
	heard chan struct{} // closed once the launcher has acknowledged the end; nil: nobody waits for it

	mu     sync.Mutex
	reaped bool
}

// obey forwards signals until the launcher is gone, and then ends the server.
func (s *server) obey(ctl *Control) {
	for {
		m, err := ctl.Receive()
		if err != nil {
			if os.Getpid() != 1 { // otherwise the kernel does it
				endAll()
			}
			unix.Exit(1) // at once: under the race detector os.Exit lingers
		}
		if m.Kind == Signal && m.Signal == 0 {
			if s.heard != nil {
				close(s.heard)
			}
			return // the launcher sends nothing more
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

// reap waits for every process of the sandbox and returns once the server has ended.
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
