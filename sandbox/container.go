package sandbox

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/runc/libcontainer"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/container"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// body is the first process of a sandbox, as the launcher holds it.
type body interface {
	wait() error    // until it and everything inside is gone; how it ended is not an error
	kill()          // it, at once; may be called at any time
	destroy() error // frees the kernel's remains of it
}

// launch starts the first process with its stdio and the files that it reads: the boot
// and its end of the control socket. It returns the cgroups, known only now, that a
// killed launcher leaves behind. A body that is returned beside an error has to be
// destroyed.
type launch func(stdio [3]*os.File, files []*os.File) (b body, cgroups []string, err error)

// housing is the surroundings of a sandbox: its root, groups and mounts. The zero
// housing has none.
type housing struct {
	launch   launch
	pins     []child.Pin       // of the plan's binds
	groups   *container.Groups // nil: no group of version 1 holds a limit
	terminal *terminal         // nil: the server has terminals, or the machine's
}

// houseOf prepares the housing of a plan, with the session's directory and name. The
// caller takes down a housing that comes with an error, too.
func houseOf(p plan.Plan, s *session) (h housing, err error) {
	if !p.Holds(policy.LayerNamespaces) {
		h.launch = func(stdio [3]*os.File, files []*os.File) (body, []string, error) {
			return bare(p.Scratch, stdio, files)
		}
		return h, nil
	}
	rootfs := filepath.Join(s.dir, "root")
	if err := container.Skeleton(rootfs, p); err != nil {
		return h, &Lack{Step: "prepare the sandbox's root", Err: err}
	}
	if h.terminal, err = newTerminal(rootfs, p); err != nil {
		return h, &Lack{Step: "hear who asks for a terminal", Err: err}
	}
	if h.pins, err = container.Pins(p); err != nil {
		return h, &Lack{Step: "open what the plan mounts", Err: err}
	}
	cfg, err := container.Config(p, rootfs, s.id)
	if err != nil {
		return h, err
	}
	maps.Copy(cfg.Sysctl, container.Counters())
	if h.groups, err = container.NewGroups(p, s.id); err != nil {
		return h, &Lack{Step: "find the sandbox's control groups", Err: err, grouping: true}
	}
	c, err := container.Create(filepath.Join(s.dir, "state"), "mcpen-"+s.id, cfg, h.groups)
	if err != nil {
		return h, &Lack{Step: "create the sandbox", Err: err, grouping: true}
	}
	groups := h.groups
	h.launch = func(stdio [3]*os.File, files []*os.File) (body, []string, error) {
		return contained(c, groups, stdio, files, func() error { return container.Unlink(rootfs, p) })
	}
	return h, nil
}

// contained starts the first process of a container. ready is called when it waits
// with its root built.
func contained(c *libcontainer.Container, groups *container.Groups, stdio [3]*os.File, files []*os.File, ready func() error) (body, []string, error) {
	cage := &cage{container: c, process: &libcontainer.Process{
		// The sealed copy of this binary that libcontainer made: nothing of the
		// host needs mounting for it (CVE-2019-5736).
		Args:       []string{"/proc/self/exe", child.Pid1Name},
		Env:        []string{"GOMAXPROCS=1"},
		Cwd:        "/",
		Init:       true,
		Stdin:      stdio[0],
		Stdout:     stdio[1],
		Stderr:     stdio[2],
		ExtraFiles: files,
	}}
	err := groups.Make()
	if err == nil {
		err = groups.Within(func() error { return c.Start(cage.process) })
	}
	var begun body
	pid, none := cage.process.Pid()
	if none == nil { // else libcontainer cannot be asked about a process that never was
		begun = cage
	}
	if err == nil {
		err = groups.Hold(pid)
	}
	grouping := err != nil
	if err == nil {
		err = ready()
	}
	if err == nil {
		err = c.Exec() // it waited until now
	}
	if err != nil {
		return begun, nil, &Lack{Step: "build the sandbox", Err: err, grouping: grouping}
	}
	if groups != nil {
		return begun, nil, nil // they are written down already
	}
	return begun, cage.cgroups(), nil
}

// cage is a body in namespaces.
type cage struct {
	container *libcontainer.Container
	process   *libcontainer.Process
}

func (c *cage) wait() error {
	_, err := c.process.Wait()
	return unlessExited(err)
}

func (c *cage) kill() { _ = c.container.Signal(unix.SIGKILL) } // an error: it is gone

func (c *cage) destroy() error {
	c.kill()
	return c.container.Destroy()
}

// cgroups are the directories that a killed launcher leaves behind.
func (c *cage) cgroups() []string {
	st, err := c.container.State()
	if err != nil {
		return nil
	}
	var out []string
	for name, p := range st.CgroupPaths {
		if name != container.NoGroup {
			out = append(out, p)
		}
	}
	return out
}

// bare starts a server without namespaces: Landlock and seccomp alone. scratch is its
// place for files.
func bare(scratch string, stdio [3]*os.File, files []*os.File) (body, []string, error) {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, nil, &Lack{Step: "make a place for the server's files", Err: err}
	}
	cmd := exec.Command("/proc/self/exe", child.Pid1Name)
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio[0], stdio[1], stdio[2]
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, &Lack{Step: "start a process", Err: err}
	}
	return &loose{cmd}, nil, nil
}

// loose is a body without namespaces.
type loose struct{ cmd *exec.Cmd }

func (l *loose) wait() error { return unlessExited(l.cmd.Wait()) }

// kill asks rather than kills: without a pid namespace the server's processes
// would outlive their keeper. The end of the control socket, which comes first,
// has it end them.
func (l *loose) kill() {}

func (l *loose) destroy() error { return nil }

// unlessExited is the error of a wait that failed, not of a process that ended
// badly.
func unlessExited(err error) error {
	var exit *exec.ExitError
	var code interface{ ExitCode() int }
	if errors.As(err, &exit) || errors.As(err, &code) {
		return nil
	}
	return err
}
