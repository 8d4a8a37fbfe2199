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
)

// body is the first process of a sandbox, as the launcher holds it.
type body interface {
	wait() error    // until it and everything inside is gone; how it ended is not an error
	kill()          // it, at once; may be called at any time
	destroy() error // gives back what the kernel keeps of it
}

// launch starts the first process with the files that it reads: the boot and its
// end of the control socket. It returns the cgroups, known only now, that a killed
// launcher leaves behind.
type launch func(files []*os.File) (cgroups []string, err error)

// contained prepares a sandbox with namespaces: its root and its configuration.
func (b *Box) contained() (launch, []child.Pin, error) {
	rootfs := filepath.Join(b.session.dir, "root")
	if err := container.Skeleton(rootfs, b.plan); err != nil {
		return nil, nil, &Lack{Step: "prepare the sandbox's root", Err: err}
	}
	var err error
	if b.terminal, err = newTerminal(rootfs, b.plan); err != nil {
		return nil, nil, &Lack{Step: "hear who asks for a terminal", Err: err}
	}
	pins, err := container.Pins(b.plan)
	if err != nil {
		return nil, nil, &Lack{Step: "open what the plan mounts", Err: err}
	}
	cfg, err := container.Config(b.plan, rootfs, b.session.id)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(cfg.Sysctl, container.Counters())
	if b.groups, err = container.NewGroups(b.plan, b.session.id); err != nil {
		return nil, nil, &Lack{Step: "find the sandbox's control groups", Err: err, grouping: true}
	}
	c, err := container.Create(filepath.Join(b.session.dir, "state"), "mcpen-"+b.session.id, cfg, b.groups)
	if err != nil {
		return nil, nil, &Lack{Step: "create the sandbox", Err: err, grouping: true}
	}
	return func(files []*os.File) ([]string, error) {
		cage := &cage{container: c, process: &libcontainer.Process{
			// The sealed copy of this binary that libcontainer made: nothing of the
			// host needs mounting for it (CVE-2019-5736).
			Args:       []string{"/proc/self/exe", child.Pid1Name},
			Env:        []string{"GOMAXPROCS=1"},
			Cwd:        "/",
			Init:       true,
			Stdin:      b.carrier.inside[0],
			Stdout:     b.carrier.inside[1],
			Stderr:     b.carrier.inside[2],
			ExtraFiles: files,
		}}
		err := b.groups.Make()
		if err == nil {
			err = b.groups.Within(func() error { return c.Start(cage.process) })
		}
		pid, none := cage.process.Pid()
		if none == nil { // else libcontainer cannot be asked about a process that never was
			b.body = cage
		}
		if err == nil {
			err = b.groups.Hold(pid)
		}
		grouping := err != nil
		if err == nil {
			err = container.Unlink(rootfs, b.plan)
		}
		if err == nil {
			err = c.Exec() // it waited until now
		}
		if err != nil {
			return nil, &Lack{Step: "build the sandbox", Err: err, grouping: grouping}
		}
		if b.groups != nil {
			return nil, nil // they are written down already
		}
		return cage.cgroups(), nil
	}, pins, nil
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

// bare starts a server without namespaces: Landlock and seccomp alone.
func (b *Box) bare(files []*os.File) ([]string, error) {
	if err := os.MkdirAll(b.plan.Scratch, 0o700); err != nil {
		return nil, &Lack{Step: "make a place for the server's files", Err: err}
	}
	cmd := exec.Command("/proc/self/exe", child.Pid1Name)
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = b.carrier.inside[0], b.carrier.inside[1], b.carrier.inside[2]
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, &Lack{Step: "start a process", Err: err}
	}
	b.body = &loose{cmd}
	return nil, nil
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
