package host

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Every step works on this kernel, for root and for an ordinary user. Each test below
// makes one step fail, and only that one.
func TestDeepGoesThrough(t *testing.T) {
	t.Run("root", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("not root")
		}
		deepGoesThrough(t)
	})
	t.Run("user", func(t *testing.T) { asUser(t, deepGoesThrough) })
}

func deepGoesThrough(t *testing.T) {
	steps, err := Deep(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if !s.Done {
			t.Errorf("%s: %s", s.Name, s.Text)
		}
	}
	var h plan.Host
	steps.Into(&h)
	for what, f := range map[string]plan.Fact{"namespaces": h.Namespaces, "routes": h.Routes, "memfd": h.Memfd, "seccomp": h.Seccomp, "notify": h.Notify} {
		if f.Is != plan.Yes {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// A machine that has used up its user namespaces says so, and the steps that need none
// still report.
func TestDeepWithoutUserNamespaces(t *testing.T) {
	inUserNamespace(t, 0, func(t *testing.T) {
		if s, bad := deep(t).failed(namespaceSteps...); bad {
			t.Fatalf("before the limit: %s: %s", s.Name, s.Text)
		}
		writeFile(t, "/proc/sys/user/max_user_namespaces", "0")
		h, err := Probe(context.Background(), Ask{})
		if err != nil || h.Namespaces.Is != plan.No || !strings.Contains(h.Namespaces.Why, "max_user_namespaces") {
			t.Errorf("Probe: %+v, %v", h.Namespaces, err)
		}
		failsAt(t, stepUser, unix.ENOSPC)
	})
}

// The kernel refuses to mount a new /proc where the visible one is masked, as in a
// container.
func TestDeepWithMaskedProc(t *testing.T) {
	inUserNamespace(t, syscall.CLONE_NEWNS, func(t *testing.T) {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if s, bad := deep(t).failed(namespaceSteps...); bad {
			t.Fatalf("before masking: %s: %s", s.Name, s.Text)
		}
		masked := 0
		for _, secret := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger"} {
			if err := unix.Mount("/dev/null", secret, "", unix.MS_BIND, ""); err == nil {
				masked++
			}
		}
		if masked == 0 {
			t.Fatal("nothing to mask")
		}
		failsAt(t, stepProc, unix.EPERM)
	})
}

// A filter that refuses new user namespaces, as a container's does.
func TestDeepUnderAFilter(t *testing.T) {
	for _, c := range []struct {
		name   string
		filter []unix.SockFilter
		step   string
	}{
		{"no user namespace", refuseFlag(unix.CLONE_NEWUSER), stepUser},
		{"no mount namespace", refuseFlag(unix.CLONE_NEWNS), stepMount},
		{"no network namespace", refuseFlag(unix.CLONE_NEWNET), stepNet},
		{"no host name", refuseCall(unix.SYS_SETHOSTNAME), stepHostname},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			asUserInChild(t, func(t *testing.T) {
				if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
					t.Fatal(err)
				}
				const allThreads = 1 // SECCOMP_FILTER_FLAG_TSYNC
				if _, err := setFilter(c.filter, allThreads); err != nil {
					t.Fatal(err)
				}
				steps := failsAt(t, c.step, unix.EPERM)
				if f := steps.fact(stepFilter); f.Is != plan.Yes {
					t.Errorf("a second filter: %+v", f)
				}
				h, err := Probe(context.Background(), Ask{})
				if err != nil || h.Notify.Is != plan.Yes || h.Mediation.Is != plan.Yes {
					t.Errorf("a filter without a listener: %+v, %+v, %v", h.Notify, h.Mediation, err)
				}
			})
		})
	}
}

// Another listener exists already, such as that of WSL 2's init. A start that learned
// this only when it installs its own would fail without a remedy.
func TestAnotherListenerIsInForce(t *testing.T) {
	asUserInChild(t, func(t *testing.T) {
		agree := func(want plan.Tri) {
			t.Helper()
			h, err := Probe(context.Background(), Ask{})
			if err != nil {
				t.Fatal(err)
			}
			deep := deep(t).fact(stepListener)
			if h.Notify != deep || h.Notify.Is != want || h.Mediation.Is != want {
				t.Errorf("a start finds %+v and %+v, doctor %+v", h.Notify, h.Mediation, deep)
			}
		}
		agree(plan.Yes)
		if status := readFile(t, "/proc/self/status"); !strings.Contains(status, "Seccomp:\t0") || !strings.Contains(status, "NoNewPrivs:\t0") {
			t.Error("trying left a filter behind")
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		const allThreads = 1 | 1<<4 // SECCOMP_FILTER_FLAG_TSYNC and _TSYNC_ESRCH
		if _, err := setFilter([]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: retAllow}}, allThreads|flagNewListener); err != nil {
			t.Fatal(err)
		}
		agree(plan.No)
	})
}

// A Landlock domain refuses every mount.
func TestDeepInALandlockDomain(t *testing.T) {
	asUserInChild(t, func(t *testing.T) {
		done := make(chan struct{})
		go func() { // the domain stays with the thread
			defer close(done)
			runtime.LockOSThread()
			lockAndRestrict(t)
			failsAt(t, stepPrivate, unix.EPERM)
		}()
		<-done
	})
}

// Deep leaves no process, no mount and no descriptor behind.
func TestDeepLeavesNothingBehind(t *testing.T) {
	asUser(t, func(t *testing.T) {
		if _, err := Deep(context.Background()); err != nil { // the runtime opens its own descriptors once
			t.Fatal(err)
		}
		mounts, fds := readFile(t, "/proc/self/mountinfo"), descriptors(t)
		if _, err := Deep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if after := readFile(t, "/proc/self/mountinfo"); after != mounts {
			t.Errorf("mounts before:\n%s\nafter:\n%s", mounts, after)
		}
		if after := descriptors(t); after != fds {
			t.Errorf("%d descriptors before, %d after", fds, after)
		}
		children, err := filepath.Glob("/proc/self/task/*/children")
		if err != nil || len(children) == 0 {
			t.Fatalf("cannot list children: %v", err)
		}
		for _, c := range children {
			if left := readFile(t, c); left != "" {
				t.Errorf("children left: %s", left)
			}
		}
	})
}

func TestDeepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if steps, err := Deep(ctx); err == nil {
		t.Errorf("%d steps and no error", len(steps))
	}
}

// failsAt expects that a step is the first that failed, that it failed with the errno,
// and that Deep did not reach the steps after it.
func failsAt(t *testing.T, step string, errno unix.Errno) Depths {
	t.Helper()
	steps := deep(t)
	got, bad := steps.failed(namespaceSteps...)
	if !bad || got.Name != step || got.Errno != errno {
		t.Errorf("failed at %q with %v (%s), want %q with %v", got.Name, got.Errno, got.Text, step, errno)
	}
	if f := steps.namespaces(); f.Is != plan.No || !strings.Contains(f.Why, step) {
		t.Errorf("the fact %+v does not name the step", f)
	}
	return steps
}

func deep(t *testing.T) Depths {
	t.Helper()
	steps, err := Deep(context.Background())
	if err != nil {
		t.Error(err)
	}
	return steps
}

// inUserNamespace runs f as root of a user namespace of its own.
func inUserNamespace(t *testing.T, flags uintptr, f func(*testing.T)) {
	t.Helper()
	inProcess(t, &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}, f)
}

// refuseFlag is a filter that refuses clone(2) and unshare(2) with a flag.
func refuseFlag(flag uint32) []unix.SockFilter {
	const loadWord, equal, set, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	return []unix.SockFilter{
		{Code: loadWord, K: 0}, // seccomp_data.nr
		{Code: equal, K: unix.SYS_CLONE3, Jt: 4},
		{Code: equal, K: unix.SYS_CLONE, Jt: 1},
		{Code: equal, K: unix.SYS_UNSHARE, Jf: 4},
		{Code: loadWord, K: 16}, // seccomp_data.args[0]
		{Code: set, K: flag, Jt: 1, Jf: 2},
		{Code: ret, K: retErrno | uint32(unix.ENOSYS)},
		{Code: ret, K: retErrno | uint32(unix.EPERM)},
		{Code: ret, K: retAllow},
	}
}

// refuseCall refuses one call with EPERM.
func refuseCall(nr uint32) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: retAllow},
	}
}

func lockAndRestrict(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Error(err)
	}
	if err := restrict(); err != nil {
		t.Error(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
