package seccomp_test

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/internal/seccomp/seccomptest"
	"mcpen/sandbox/plan"
)

// These tests ask the kernel. Each runs in a child of the test binary, since a filter
// cannot be removed. TestKernelAsUnprivilegedUser runs all of them again as an
// unprivileged user.

func TestMain(m *testing.M) { seccomptest.Main(m) }

func TestKernelAsUnprivilegedUser(t *testing.T) { seccomptest.AsUser(t, 4) }

func TestKernelRefusesWhatTheTableRefuses(t *testing.T) {
	plain := seccomptest.Errnos(t, seccomptest.Job{Calls: seccomptest.Refusals})
	got := seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Calls: seccomptest.Refusals})
	for i, c := range seccomptest.Refusals {
		if got[i] != c.With {
			t.Errorf("%s: %v under the filter, want %v", c.Name, got[i], c.With)
		}
		if plain[i] == c.With && slices.Contains(alike(), c.Name) {
			t.Logf("%s: %v without the filter too, on this kernel", c.Name, plain[i])
		} else if plain[i] == c.With {
			t.Errorf("%s: %v without the filter too, so that the probe proves nothing", c.Name, plain[i])
		}
	}
}

// alike are the probes for which this user's kernel may answer as the filter does,
// because a right or a build option is missing.
func alike() []string {
	optional := []string{"socket AF_VSOCK, bit 32 set", "socket AF_PACKET", "socket MPTCP"}
	if os.Getuid() == 0 {
		return optional
	}
	return append(optional, "fsopen")
}

func TestKernelLetsOrdinaryCallsThrough(t *testing.T) {
	ordinary := []seccomptest.Probe{
		{Name: "getpid", Nr: unix.SYS_GETPID},
		{Name: "socket unix", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}},
		{Name: "socket tcp", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, unix.IPPROTO_TCP}},
		{Name: "socket udp6", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_INET6, unix.SOCK_DGRAM}},
		{Name: "socket rtnetlink", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}},
		{Name: "fchmod 0755", Nr: unix.SYS_FCHMOD, Args: [6]uintptr{seccomptest.File, 0o755}},
		{Name: "personality query", Nr: unix.SYS_PERSONALITY, Args: [6]uintptr{0xffffffff}},
		{Name: "prctl PR_GET_DUMPABLE", Nr: unix.SYS_PRCTL, Args: [6]uintptr{unix.PR_GET_DUMPABLE}},
	}
	for i, errno := range seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Calls: ordinary}) {
		if errno != 0 {
			t.Errorf("%s: %v under the filter", ordinary[i].Name, errno)
		}
	}
	shared := []seccomptest.Probe{{Name: "shmget", Nr: unix.SYS_SHMGET, Args: [6]uintptr{unix.IPC_PRIVATE, 0}}} // EINVAL of the size
	if got := seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Calls: shared}); got[0] != syscall.EINVAL {
		t.Errorf("shmget: %v", got[0])
	}
	if got := seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true, Alone: true}), Calls: shared}); got[0] != syscall.ENOSYS {
		t.Errorf("shmget without System V IPC: %v", got[0])
	}
	sockets := ordinary[1:5]
	for i, errno := range seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true, Alone: true}), Calls: sockets}) {
		if errno != syscall.EAFNOSUPPORT {
			t.Errorf("%s without namespaces: %v", sockets[i].Name, errno)
		}
	}
}

// x32 numbers mean other calls: a filter that treats them as native protects nothing.
func TestKernelKillsForeignABI(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("x32 is an ABI of amd64")
	}
	x32 := []seccomptest.Probe{{Name: "getpid of x32", Nr: 0x40000000 + unix.SYS_GETPID}}
	seccomptest.Errnos(t, seccomptest.Job{Calls: x32}) // the twin survives, whether or not the kernel has x32
	err := seccomptest.Command(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Calls: x32}).Run()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGSYS {
		t.Fatalf("an x32 call ended in %v, want a death by SIGSYS", err)
	}
}

// A listener of the program's own would answer calls that ours refuses.
func TestKernelRefusesASecondListener(t *testing.T) {
	probe := []seccomptest.Probe{{Name: "seccomp", Nr: unix.SYS_SECCOMP, Args: [6]uintptr{unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER}}}
	if got := seccomptest.Errnos(t, seccomptest.Job{Calls: probe}); got[0] != syscall.EFAULT {
		t.Errorf("without the filter: %v, want EFAULT of the missing program", got[0])
	}
	if got := seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Calls: probe}); got[0] != syscall.EPERM {
		t.Errorf("under the filter: %v", got[0])
	}
}

func TestKernelFilterIsNotLoadedWithoutWhatItNeeds(t *testing.T) {
	f, err := seccomp.For(plan.Seccomp{On: true, Notify: true}, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if err := seccomp.Load(f); err == nil {
		t.Error("a filter that listens was loaded without a listener")
	}
	if err := seccomp.Load(seccomp.Filter{}); err == nil {
		t.Error("the zero filter was loaded")
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	f, err = seccomp.For(plan.Seccomp{On: true}, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := seccomp.Load(f); err == nil {
		t.Error("another architecture's filter was loaded")
	}
	f, err = seccomp.For(plan.Seccomp{On: true}, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if err := seccomp.Load(f); err == nil || !strings.Contains(err.Error(), "no-new-privileges") {
		t.Errorf("loaded without no-new-privileges: %v", err)
	}
}

// BenchmarkLoad loads the filter in a new thread each time: only the first load in a
// thread costs as much as a start pays.
func BenchmarkLoad(b *testing.B) {
	f, err := seccomp.For(plan.Seccomp{On: true}, runtime.GOARCH)
	if err != nil {
		b.Fatal(err)
	}
	var spent time.Duration
	for b.Loop() {
		failed := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				failed <- err
				return
			}
			start := time.Now()
			err := seccomp.Load(f)
			spent += time.Since(start)
			failed <- err
		}()
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "load-ns/op")
	b.ReportMetric(float64(f.Len()), "instructions")
}
