package child

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// The test binary is its own pid 1, as mcpen is.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Pid1Name && os.Getpid() == 1 {
		// libcontainer would have mounted it.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	Hook()
	if stage := os.Getenv(orphanStage); stage != "" {
		orphan()
	}
	os.Exit(m.Run())
}

// described makes the server print its restrictions.
const described = `grep -E '^(NoNewPrivs|Seccomp|Cap|Uid|Gid)' /proc/self/status; umask; pwd; ulimit -n; ulimit -c
echo $(ls -l /proc/self/fd | grep -oE '[0-9]+ -> (pipe|socket|/memfd|anon)')
sleep 0 2>/dev/null || echo no sleep
(echo made > "$1") 2>/dev/null && echo "wrote where it may not"
echo $TOKEN`

// bootOf returns a boot with all layers, or without namespaces, and the file that its
// server may not write to.
func bootOf(t *testing.T, layers ...policy.Layer) (Boot, string) {
	t.Helper()
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	forbidden := filepath.Join(dir, "forbidden")
	p := plan.Plan{Version: plan.Version, Layers: layers,
		Process: plan.Process{Path: "/bin/sh", Args: []string{"sh", "-c", described, "sh", forbidden}, Dir: "/", Umask: 0o027, UID: os.Getuid(), GID: os.Getgid(),
			Secrets: []plan.Secret{{Name: "TOKEN"}}, Env: []plan.Env{{Name: "PATH", Value: "/usr/bin:/bin"}}},
		Limits:   []plan.Limit{{Name: plan.LimitOpenFiles, How: plan.HowRlimit, Value: 77}},
		Landlock: plan.Landlock{ABI: min(abi, 6), Paths: []plan.Rule{{Path: "/", Access: plan.AccessRead}, {Path: "/dev/null", Access: plan.AccessDev}}},
		Seccomp:  plan.Seccomp{On: true, Alone: !slices.Contains(layers, policy.LayerNamespaces)},
	}
	if slices.Contains(layers, policy.LayerNamespaces) {
		p.Process.UID, p.Process.GID = 0, 0 // of pid 1's namespace
	}
	var st unix.Stat_t
	if err := unix.Stat("/", &st); err != nil {
		t.Fatal(err)
	}
	return Boot{Plan: p, Secrets: map[string]string{"TOKEN": "hunter2"}, Pins: []Pin{{Target: "/", Dev: uint64(st.Dev), Ino: st.Ino}}}, forbidden
}

// life holds the messages of one pid 1 and the output of its server.
type life struct {
	told []Message
	said string
}

func (l life) last() Message {
	if len(l.told) == 0 {
		return Message{}
	}
	return l.told[len(l.told)-1]
}

// live runs pid 1 to its end.
func live(b Boot, out string) (l life, err error) {
	boot, err := b.Pack()
	if err != nil {
		return l, err
	}
	defer boot.Close()
	ctl, there, err := NewControl()
	if err != nil {
		return l, err
	}
	defer ctl.Close()
	self, err := os.Executable()
	if err != nil {
		return l, err
	}
	said, err := os.Create(out)
	if err != nil {
		return l, err
	}
	defer said.Close()
	cmd := exec.Command(self, Pid1Name)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = said, said, []*os.File{boot, there}
	if b.Plan.Holds(policy.LayerNamespaces) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{Size: 1, HostID: os.Getuid()}}, GidMappings: []syscall.SysProcIDMap{{Size: 1, HostID: os.Getgid()}}}
	}
	if err := cmd.Start(); err != nil {
		there.Close()
		return l, err
	}
	there.Close()
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	for {
		m, err := ctl.Receive()
		if err != nil {
			break
		}
		closeAll(m.Files)
		l.told = append(l.told, m)
		if m.Kind == Exited && b.Plan.Holds(policy.LayerNamespaces) { // heard, as the launcher says; the keeper would wait for it
			_ = ctl.Send(Message{Kind: Signal}) // an error: it did not wait, and has left
		}
	}
	_ = cmd.Wait()
	text, err := os.ReadFile(out)
	l.said = string(text)
	return l, err
}

// watchedCalls are the calls by which pid 1 and the exec stage set up the server's
// restrictions.
var watchedCalls = []uintptr{unix.SYS_PRCTL, unix.SYS_CAPSET, unix.SYS_CLOSE_RANGE, unix.SYS_DUP3, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE,
	unix.SYS_LANDLOCK_RESTRICT_SELF, unix.SYS_SECCOMP, unix.SYS_PRLIMIT64, unix.SYS_CHDIR, unix.SYS_FCHDIR, unix.SYS_EXECVE, unix.SYS_FCNTL, unix.SYS_PIPE2}

// named distinguishes calls by the arguments that matter.
func named(c fault.Call) string {
	switch c.Number {
	case unix.SYS_PRCTL:
		// The bounding set is dropped one capability at a time: the first call stands
		// for all.
		if option := c.Args[0]; option == unix.PR_CAPBSET_DROP || option == unix.PR_CAPBSET_READ || option == unix.PR_SET_VMA || option == unix.PR_SET_NAME {
			return fmt.Sprintf("%s prctl %d", c.Stage, option)
		}
		return fmt.Sprintf("%s prctl %d %d", c.Stage, c.Args[0], c.Args[1])
	case unix.SYS_CLOSE_RANGE, unix.SYS_FCNTL:
		return fmt.Sprintf("%s %d %d %d", c.Stage, c.Number, c.Args[0], c.Args[1]&0xffffffff)
	case unix.SYS_DUP3:
		return fmt.Sprintf("%s %d to %d", c.Stage, c.Number, c.Args[1])
	case unix.SYS_PRLIMIT64:
		return fmt.Sprintf("%s %d %d %v", c.Stage, c.Number, c.Args[1], c.Args[2] != 0)
	}
	return fmt.Sprintf("%s %d", c.Stage, c.Number)
}

// If the kernel failed to set a protection, the server must not run without it. Each of
// these calls fails once: the server then runs as usual, or it never runs and the error
// says why.
func TestNoServerWithoutAProtection(t *testing.T) {
	for name, layers := range map[string][]policy.Layer{
		"namespaces":         {policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp},
		"without namespaces": {policy.LayerLandlock, policy.LayerSeccomp},
	} {
		t.Run(name, func(t *testing.T) {
			boot, _ := bootOf(t, layers...)
			out := filepath.Join(t.TempDir(), "out")
			want, err := live(boot, out)
			if err != nil {
				t.Fatal(err)
			}
			if want.last().Kind != Exited || !strings.Contains(want.said, "hunter2") || strings.Contains(want.said, "wrote") {
				t.Fatalf("undisturbed: told %+v, said %s", want.told, want.said)
			}
			want.said = strings.Replace(want.said, "Seccomp_filters:\t1", "Seccomp_filters:\t2", 1) // the test's own filter
			failed := map[string]bool{}
			heard := 0
			for {
				var now string
				var got life
				begun := false
				err := fault.Watch(watchedCalls, func(c fault.Call) fault.Answer {
					// Earlier calls are the start of a Go program, and the shell's
					// calls are not ours.
					begun = begun || !c.Own && c.Number == unix.SYS_PRCTL && (c.Args[0] == unix.PR_SET_PDEATHSIG || c.Args[0] == unix.PR_SET_DUMPABLE)
					if name := named(c); begun && now == "" && !failed[name] && c.Stage != "sh" && !c.Own && c.Stage != "" {
						now, failed[name] = name, true
						return fault.Fail(unix.EIO)
					}
					return fault.Pass
				}, func() { got, err = live(boot, out) })
				if err != nil && now == "" {
					t.Fatal(err)
				}
				if now == "" {
					break
				}
				switch {
				case err != nil: // it did not even start
				case got.said == want.said && got.last().Kind == Exited:
					if mustBeHeard(now) {
						t.Errorf("%s failed, and nobody heard of it", now)
					}
				case got.said != "" && strings.Contains(got.said, "NoNewPrivs") && !cutShort(got, want):
					t.Errorf("%s failed, and the server runs as\n%s\nand not as\n%s; told %+v", now, got.said, want.said, got.told)
				default:
					heard++
					if m := got.last().Explain(boot.Plan); m.Kind != Failed || m.Step == "" {
						t.Errorf("%s failed: told %+v, which says nothing (%s)", now, got.told, got.said)
					}
				}
			}
			t.Logf("%d calls failed, %d were heard of", len(failed), heard)
			if heard < 12 {
				t.Errorf("only %d of the calls that failed kept the server from running", heard)
			}
		})
	}
}

// cutShort reports whether a server was fully restricted for as long as it ran, and
// then ended with a pid 1 that reported a failure: pid 1 becomes the keeper while the
// server begins.
func cutShort(got, want life) bool {
	return got.last().Kind == Failed && strings.HasPrefix(want.said, got.said)
}

// mustBeHeard are the calls that restrict the server in a way it cannot see itself.
func mustBeHeard(call string) bool {
	self, _ := os.Executable()
	stage := filepath.Base(self)
	return call == fmt.Sprintf("%s prctl %d %d", stage[:min(len(stage), 15)], unix.PR_SET_PDEATHSIG, unix.SIGKILL) ||
		call == fmt.Sprintf("%s prctl %d %d", stage[:min(len(stage), 15)], unix.PR_SET_DUMPABLE, 0) ||
		strings.HasSuffix(call, fmt.Sprintf(" %d", unix.SYS_CAPSET)) || strings.Contains(call, fmt.Sprintf(" %d ", unix.SYS_CLOSE_RANGE))
}

// Each of the two deaths needs its call: without one the server outlives pid 1, or pid
// 1 the launcher.
func TestDeathSignalsAreSet(t *testing.T) {
	boot, _ := bootOf(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp)
	deaths := map[int]bool{}
	hidden, first := 0, 0
	var err error
	watch := fault.Watch([]uintptr{unix.SYS_PRCTL}, func(c fault.Call) fault.Answer {
		switch {
		case c.Own:
		case c.Args[0] == unix.PR_SET_PDEATHSIG && c.Args[1] == uint64(unix.SIGKILL):
			deaths[c.Thread] = true
			if first == 0 {
				first = c.Thread
			}
		case c.Args[0] == unix.PR_SET_DUMPABLE && c.Args[1] == 0:
			hidden++
		}
		return fault.Pass
	}, func() { _, err = live(boot, filepath.Join(t.TempDir(), "out")) })
	if watch != nil || err != nil {
		t.Fatal(watch, err)
	}
	if len(deaths) != 2 {
		t.Errorf("%d processes die with their parent, want pid 1 and the server", len(deaths))
	}
	if hidden != 2 {
		t.Errorf("pid 1 hid its memory %d times, want at its start and as the keeper", hidden)
	}
}

// orphanStage makes the test binary a pid 1 that forks an exec stage and is killed
// before it can report it.
const orphanStage = "MCPEN_TEST_ORPHAN"

func orphan() {
	runtime.LockOSThread()
	s := stage{ruleset: -1, dir: "/", path: "/bin/sleep", argv: []string{"sleep", "1000"}, control: os.Stdin}
	if err := s.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.pid)
	time.Sleep(time.Minute)
}

// If pid 1 dies between fork and PR_SET_PDEATHSIG, nothing would ever end the stage it
// leaves behind: the stage itself holds the write end of the pipe on which it waits.
func TestStageOfADeadParentEnds(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var cmd *exec.Cmd
	pidfd := -1
	killed := false
	end := make(chan struct{})
	var started error
	err = fault.Watch([]uintptr{unix.SYS_PRCTL}, func(c fault.Call) fault.Answer {
		if c.Own || killed || c.Args[0] != unix.PR_SET_PDEATHSIG {
			return fault.Pass
		}
		killed = true
		if pidfd, err = unix.PidfdOpen(c.Thread, 0); err == nil {
			err = cmd.Process.Kill()
		}
		_, _ = cmd.Process.Wait() // from here on it has a different parent
		close(end)
		return fault.Pass
	}, func() {
		cmd = exec.Command(self)
		cmd.Env = append(os.Environ(), orphanStage+"=1")
		if started = cmd.Start(); started != nil {
			return
		}
		select {
		case <-end:
		case <-time.After(time.Minute):
			cmd.Process.Kill()
		}
		time.Sleep(10 * time.Millisecond) // the answer must pass through the filter
	})
	if err != nil || started != nil || pidfd < 0 {
		t.Fatal(err, started, pidfd)
	}
	defer unix.Close(pidfd)
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 30_000); n != 1 {
		unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		t.Errorf("the stage waits for a parent that is dead (%v)", err)
	}
}
