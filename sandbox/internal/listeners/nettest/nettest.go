// Package nettest runs tests in networks of their own: one plays the host's, others are
// sandboxes on it.
package nettest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stageVar tells a copy of the test binary how far into its namespaces it is.
const stageVar = "NETTEST_STAGE"

// Weak is the stage of a copy without CAP_SYS_ADMIN.
const Weak = "weak"

// Stage is how far into its namespaces this process is; "" is the test's own.
func Stage() string { return os.Getenv(stageVar) }

// In runs f in a copy of the test binary that has a network of its own: once as the user
// who runs the tests and, if that is root, once as an unprivileged user.
func In(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	switch Stage() {
	case "":
		t.Run("self", func(t *testing.T) { again(t, "user", os.Getuid()) })
		if os.Getuid() == 0 {
			t.Run("nobody", func(t *testing.T) { again(t, "user", 20001) })
		}
	case "user": // as the user, still in the machine's network
		again(t, "world", os.Getuid())
	default:
		host(t)
		f(t)
	}
}

// Again runs the test once more, in a copy of the test binary at that stage.
func Again(t *testing.T, stage string) {
	t.Helper()
	again(t, stage, os.Getuid())
}

func again(t *testing.T, stage string, uid int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$", "-test.count=1", "-test.v="+fmt.Sprint(testing.Verbose()), "-test.timeout=60s")
	cmd.Env = append(os.Environ(), stageVar+"="+stage, "HOME=/nonexistent", "GORACE=atexit_sleep_ms=0")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if stage == "user" && uid != os.Getuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	if stage == "world" {
		apart(cmd.SysProcAttr, syscall.CLONE_NEWNS)
	}
	// Pdeathsig depends on the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if stage == Weak {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil && errors.Is(err, os.ErrPermission) && stage == "world" {
		t.Skipf("this machine gives unprivileged users no namespaces: %v", err)
	}
	if err != nil {
		t.Fatalf("as %d, stage %q: %v\n%s", uid, stage, err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// apart gives a process a user and a network namespace, and others.
func apart(attr *syscall.SysProcAttr, others uintptr) {
	attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | others
	attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
}

// Bench runs a benchmark in a copy of the test binary with a network of its own, and
// prints the copy's output.
func Bench(b *testing.B, f func()) {
	b.Helper()
	if Stage() != "" {
		host(b)
		f()
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^$", "-test.bench=^"+strings.SplitN(b.Name(), "/", 2)[0]+"$", "-test.benchtime=500ms")
	cmd.Env, cmd.Dir = append(os.Environ(), stageVar+"=world"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	apart(cmd.SysProcAttr, 0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	b.Logf("%s", out)
	b.SkipNow() // the figures are the copy's
}

// Loopback is the index of the loopback in every network.
const Loopback = 1

// host brings up the network that plays the host's. It leads to peers "somewhere":
// addresses of no interface.
func host(t testing.TB) {
	t.Helper()
	lo, err := netlink.LinkByIndex(Loopback)
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	for _, to := range []string{"203.0.113.0/24", "198.51.100.0/24", "10.9.0.0/16", "2001:db8:1::/48"} {
		if err == nil {
			err = Lead(to)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Lead makes the addresses of a network local to this one.
func Lead(network string) error {
	_, to, err := net.ParseCIDR(network)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: Loopback, Dst: to, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST})
}

// Sandbox is a network namespace with a thread in it.
type Sandbox struct{ jobs chan func() }

// NewSandbox makes a sandbox, which goes with the test.
func NewSandbox(t testing.TB) *Sandbox {
	t.Helper()
	s := &Sandbox{make(chan func())}
	up := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := unix.Unshare(unix.CLONE_NEWNET)
		up <- err
		for f := range s.jobs {
			f()
		}
	}()
	if err := <-up; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(s.jobs) })
	return s
}

// Inside runs f on the thread in the sandbox. f must not start goroutines that make
// sockets.
func (s *Sandbox) Inside(f func()) {
	done := make(chan struct{})
	s.jobs <- func() { defer close(done); f() }
	<-done
}

// NoWire makes the sandbox refuse the wire to a namespace of the listeners' own, as a
// machine without veth does: the name of its end is taken.
func (s *Sandbox) NoWire() (err error) {
	s.Inside(func() {
		var lo netlink.Link
		if lo, err = netlink.LinkByIndex(Loopback); err == nil {
			err = netlink.LinkSetName(lo, "eth0")
		}
	})
	return err
}
