package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// The private names under which this binary starts itself to try something.
const (
	hookWait   = "mcpen-probe-wait"   // stays in a user namespace until the parent ends it
	hookRoot   = "mcpen-probe-root"   // root of that namespace
	hookInside = "mcpen-probe-inside" // pid 1 of the other namespaces
	hookFilter = "mcpen-probe-filter" // restricts itself
	hookShow   = "mcpen-probe-show"   // shows a folder without its name
	hookExit   = "mcpen-probe-exit"   // exits at once: that it was executed is the answer
)

// Hook runs the step for which Deep started this process, and exits. In every other
// process it returns at once. A program must call it first in main, and in TestMain
// where a test calls Deep.
func Hook() {
	if len(os.Args) == 0 {
		return
	}
	var err error
	switch os.Args[0] {
	default:
		return
	case hookExit:
	case hookWait:
		_, err = io.Copy(io.Discard, os.Stdin)
	case hookRoot:
		err = tryAsRoot()
	case hookInside:
		err = tryInside()
	case hookFilter:
		err = tryRestricting()
	case hookShow:
		err = tryShowing(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		unix.Exit(1)
	}
	unix.Exit(0) // nothing needs flushing, and the race detector would linger
}

// report reports one step to the parent and returns its error.
func report(step string, err error) error {
	if werr := json.NewEncoder(os.Stdout).Encode(failed(step, err)); werr != nil {
		unix.Exit(1) // nobody reads
	}
	return err
}

// errReported ends a child that has reported the failure of its last step.
var errReported = errors.New("reported")

// inOrder runs steps that depend on each other, up to the first failure.
func inOrder(steps []namedStep) error {
	for _, s := range steps {
		if report(s.name, s.do()) != nil {
			return errReported
		}
	}
	return nil
}

type namedStep struct {
	name string
	do   func() error
}

// told returns nil for a failure that the parent knows already.
func told(err error) error {
	if errors.Is(err, errReported) {
		return nil
	}
	return err
}

// lifeline ends this process once its parent is gone. A death signal alone is not
// enough: the kernel clears it when a process gains capabilities (prctl(2),
// PR_SET_PDEATHSIG).
func lifeline() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		unix.Exit(1)
	}()
}

// tryAsRoot makes the other namespaces, and a child in the pid namespace.
func tryAsRoot() error {
	lifeline()
	runtime.LockOSThread()
	unshare := func(flag int) func() error { return func() error { return unix.Unshare(flag) } }
	err := inOrder([]namedStep{
		{stepRoot, isRoot},
		{stepMount, unshare(unix.CLONE_NEWNS)},
		{stepIPC, unshare(unix.CLONE_NEWIPC)},
		{stepUTS, unshare(unix.CLONE_NEWUTS)},
		{stepHostname, func() error { return unix.Sethostname([]byte(plan.Hostname)) }},
		{stepCgroup, unshare(unix.CLONE_NEWCGROUP)},
		{stepNet, unshare(unix.CLONE_NEWNET)},
	})
	if err != nil {
		return told(err)
	}
	inside := exec.Command("/proc/self/exe")
	inside.Args, inside.Env, inside.Dir = append([]string{hookInside}, os.Args[1:]...), []string{}, "/"
	inside.Stdout, inside.Stderr = os.Stdout, os.Stderr
	if _, err := inside.StdinPipe(); err != nil { // the child's lifeline; it stays open until this process ends
		return err
	}
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := inside.Start(); err != nil {
		report(stepPID, err)
		return nil
	}
	report(stepPID, nil)
	return inside.Wait()
}

// isRoot checks that the map works and that the capabilities are there.
func isRoot() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("the map was written and the user is %d", os.Getuid())
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return errors.New("root of the namespace has no CAP_SYS_ADMIN")
	}
	return nil
}

// tryInside builds a root, enters it, and routes every address to loopback.
func tryInside() error {
	lifeline()
	runtime.LockOSThread()
	tryRoutes()
	return told(inOrder([]namedStep{
		{stepPrivate, func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{stepProc, func() error {
			return unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		}},
		{stepTmpfs, func() error {
			return unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=65536,nr_inodes=16,mode=755")
		}},
		{stepReadOnly, bindReadOnly},
		{stepNested, nestedUser},
		{stepPivot, pivot},
	}))
}

// bindReadOnly binds /usr with its submounts and makes all of them read-only: a plain
// remount would leave the submounts writable (mount_setattr(2)).
func bindReadOnly() error {
	if err := unix.Mkdir("/tmp/usr", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/usr", "/tmp/usr", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, "/tmp/usr", unix.AT_RECURSIVE,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV})
}

// nestedUser maps the user's own id back in a second user namespace. This needs
// CAP_SETFCAP since Linux 5.12.
func nestedUser() error {
	uid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Env, cmd.Dir = []string{hookExit}, []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: 0, Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd.Run()
}

// pivot makes the tmpfs the root and detaches the old one.
func pivot() error {
	if err := unix.Chdir("/tmp"); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}

// tryRoutes makes every address local and connects to one of each family. The IPv6 step
// is independent, as many machines have no IPv6.
func tryRoutes() {
	var lo netlink.Link
	err := inOrder([]namedStep{
		{stepLoopback, func() (err error) {
			if lo, err = netlink.LinkByName("lo"); err != nil {
				return err
			}
			return netlink.LinkSetUp(lo)
		}},
		{stepRoutes, func() error { return localDefault(lo, "0.0.0.0/0") }},
		{stepReachable, func() error { return connectTo("0.0.0.0:0", "192.0.2.1") }},
	})
	if err != nil {
		return
	}
	err = localDefault(lo, "::/0")
	if err == nil {
		err = connectTo("[::]:0", "2001:db8::1")
	}
	report(stepRoutes6, err)
}

// localDefault is "ip route add local default dev lo".
func localDefault(lo netlink.Link, all string) error {
	_, dst, err := net.ParseCIDR(all)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST, Table: unix.RT_TABLE_LOCAL,
	})
}

// connectTo listens on a wildcard address and connects to one from a documentation
// range, which nobody has (RFC 5737, RFC 3849).
func connectTo(listen, address string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	c, err := net.DialTimeout("tcp", net.JoinHostPort(address, strconv.Itoa(port)), time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// tryRestricting installs harmless forms of a server's last layers: a filter, a
// listener and a Landlock domain. The steps are independent.
func tryRestricting() error {
	lifeline()
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return report(stepFilter, err)
	}
	allow := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: retAllow}}
	_, err := setFilter(allow, 0)
	report(stepFilter, err)
	_, err = setFilter(allow, flagNewListener)
	report(stepListener, err)
	report(stepLandlock, restrict())
	return nil
}
