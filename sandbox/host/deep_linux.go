package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Step is one operation that Deep tried.
type Step struct {
	Name  string     `json:"name"`
	Done  bool       `json:"done"`            // false with no Errno: not reached
	Errno unix.Errno `json:"errno,omitempty"` // 0 where it succeeded, or failed without an errno
	Text  string     `json:"text,omitempty"`  // the failure in words
}

// The steps, in the order in which Deep tries them. The namespace steps depend on each
// other: the first failure leaves the rest unreached. The last steps are independent.
const (
	stepUser      = "new user namespace"
	stepGroups    = "write setgroups"
	stepUIDs      = "write uid_map"
	stepGIDs      = "write gid_map"
	stepRoot      = "become its root"
	stepMount     = "new mount namespace"
	stepIPC       = "new ipc namespace"
	stepUTS       = "new uts namespace"
	stepHostname  = "set the host name"
	stepCgroup    = "new cgroup namespace"
	stepNet       = "new network namespace"
	stepPID       = "new pid namespace"
	stepPrivate   = "make mounts private"
	stepProc      = "mount proc"
	stepTmpfs     = "mount tmpfs"
	stepReadOnly  = "bind read-only"
	stepNested    = "nested user namespace"
	stepPivot     = "pivot_root"
	stepLoopback  = "loopback up"
	stepRoutes    = "local default route"
	stepRoutes6   = "local default route, IPv6"
	stepMemfd     = "execute a sealed memfd"
	stepFilter    = "install a seccomp filter"
	stepListener  = "seccomp listener"
	stepLandlock  = "restrict with Landlock"
	stepReachable = "connect to any address"
)

var namespaceSteps = []string{
	stepUser, stepGroups, stepUIDs, stepGIDs, stepRoot, stepMount, stepIPC, stepUTS, stepHostname, stepCgroup, stepNet,
	stepPID, stepPrivate, stepProc, stepTmpfs, stepReadOnly, stepNested, stepPivot,
}

var routeSteps = []string{stepLoopback, stepRoutes, stepReachable}

// Depths is the result of Deep: every step, in order.
type Depths []Step

// Deep tries the operations of a sandbox's start in child processes, which are gone
// when it returns. It takes some tens of milliseconds. The program must call Hook first
// in main. The error means that Deep could not run the trial or that ctx ended; a
// failed step is not an error but a Step.
func Deep(ctx context.Context) (Depths, error) {
	runtime.LockOSThread() // a child's death signal is tied to the thread that started it
	defer runtime.UnlockOSThread()
	var steps Depths
	for _, trial := range []func(context.Context) ([]Step, error){tryNamespaces, tryFilters, tryMemfd} {
		s, err := trial(ctx)
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		steps = append(steps, s...)
	}
	return steps, nil
}

// step returns the step of that name. A step that was not reached is not Done and has
// no Errno.
func (d Depths) step(name string) Step {
	i := slices.IndexFunc(d, func(s Step) bool { return s.Name == name })
	if i < 0 {
		return Step{Name: name}
	}
	return d[i]
}

// failed is the first of the named steps that was not done.
func (d Depths) failed(names ...string) (Step, bool) {
	for _, n := range names {
		if s := d.step(n); !s.Done {
			return s, true
		}
	}
	return Step{}, false
}

// fact is yes where all named steps were done, no where one failed, and unknown
// where one was not reached.
func (d Depths) fact(names ...string) plan.Fact {
	s, failed := d.failed(names...)
	switch {
	case !failed:
		return plan.Fact{Is: plan.Yes}
	case s.Errno == 0 && s.Text == "":
		return plan.Fact{Why: s.Name + ": not reached"}
	}
	return plan.Fact{Is: plan.No, Why: s.Name + ": " + s.Text}
}

// namespaces says whether this process can make every namespace that a start needs.
func (d Depths) namespaces() plan.Fact { return d.fact(namespaceSteps...) }

// routes says whether a network namespace can route every address to itself.
func (d Depths) routes() plan.Fact { return d.fact(routeSteps...) }

// Into sets those facts of a Host that Deep tried.
func (d Depths) Into(h *plan.Host) {
	h.Namespaces, h.Routes = d.namespaces(), d.routes()
	h.Memfd, h.Notify = d.fact(stepMemfd), d.fact(stepListener)
	h.Mediation = mediation(h.Notify)
	if f := d.fact(stepFilter); f.Is != plan.Unknown && h.Seccomp.Is != plan.No {
		h.Seccomp = f
	}
}

// failed is a step with the errno of its failure, if there is one.
func failed(step string, err error) Step {
	if err == nil {
		return Step{Name: step, Done: true}
	}
	s := Step{Name: step, Text: name(err)}
	errors.As(err, &s.Errno)
	return s
}

// child is one child that reports steps.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser // the child ends when it is closed
	report io.Reader
	stderr *bytes.Buffer
}

// start starts this binary under a private name.
func start(ctx context.Context, hook string, attr *syscall.SysProcAttr, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = append([]string{hook}, args...)
	cmd.Dir = "/"
	cmd.Env = []string{}
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attr
	c := &child{cmd: cmd, stderr: new(bytes.Buffer)}
	cmd.Stderr = c.stderr
	var err error
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.report, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, cmd.Start()
}

// steps reads the child's report to its end and waits for the child.
func (c *child) steps() ([]Step, error) {
	var steps []Step
	dec := json.NewDecoder(c.report)
	for {
		var s Step
		err := dec.Decode(&s)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.end()
			return nil, fmt.Errorf("internal error: a child that is no probe answered (is Hook called first in main?): %w", err)
		}
		steps = append(steps, s)
	}
	c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		return steps, fmt.Errorf("a probe's child ended with %v: %s", err, bytes.TrimSpace(c.stderr.Bytes()))
	}
	return steps, nil
}

// end kills and waits.
func (c *child) end() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// tryNamespaces writes the maps of a child in a user namespace one by one, to learn
// which one the kernel refuses. Then it starts a second child with all maps in place,
// which tries the remaining steps. The second child has its maps before it executes: so
// root of the namespace keeps its capabilities even where this process has
// no-new-privileges set, as in a real start.
func tryNamespaces(ctx context.Context) ([]Step, error) {
	c, err := start(ctx, hookWait, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER})
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) && ctx.Err() == nil {
			return []Step{failed(stepUser, err)}, nil
		}
		return nil, err
	}
	maps, done := writeMaps(c.cmd.Process.Pid)
	steps := append([]Step{failed(stepUser, nil)}, maps...)
	c.end()
	if !done {
		return steps, nil
	}
	c, err = start(ctx, hookRoot, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}, strconv.Itoa(os.Getuid()))
	if err != nil {
		return append(steps, failed(stepRoot, err)), nil
	}
	more, err := c.steps()
	return append(steps, more...), err
}

// writeMaps maps root of a process's user namespace to this user.
func writeMaps(pid int) (steps []Step, done bool) {
	for _, w := range []struct{ step, file, text string }{
		{stepGroups, "setgroups", "deny"},
		{stepUIDs, "uid_map", fmt.Sprintf("0 %d 1", os.Getuid())},
		{stepGIDs, "gid_map", fmt.Sprintf("0 %d 1", os.Getgid())},
	} {
		err := writeProc(pid, w.file, w.text)
		steps = append(steps, failed(w.step, err))
		if err != nil {
			return steps, false
		}
	}
	return steps, true
}

// writeProc writes one file of a process in one write, as maps demand
// (user_namespaces(7)).
func writeProc(pid int, file, text string) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/%s", pid, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// tryFilters has a child restrict itself.
func tryFilters(ctx context.Context) ([]Step, error) {
	c, err := start(ctx, hookFilter, &syscall.SysProcAttr{})
	if err != nil {
		return nil, err
	}
	return c.steps()
}

// tryMemfd executes a sealed copy of this binary, as the start does.
func tryMemfd(ctx context.Context) ([]Step, error) {
	f, err := sealedSelf()
	if err != nil {
		return []Step{failed(stepMemfd, err)}, nil
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3")
	cmd.Args, cmd.Env, cmd.Dir = []string{hookExit}, []string{}, "/"
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return []Step{failed(stepMemfd, cmd.Run())}, ctx.Err()
}

// sealedSelf returns a sealed, executable memfd that holds this binary. Nobody can
// change it any more. The caller closes it.
func sealedSelf() (*os.File, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	fd, err := executableMemfd()
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	if _, err := io.Copy(f, self); err != nil {
		f.Close()
		return nil, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	// The descriptor for writing would make exec fail with ETXTBSY.
	r, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	f.Close()
	return r, err
}
