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
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A message arrives whole, or the reason why it did not: a stage that takes a failure
// for silence waits forever.
func TestMessagesThatFail(t *testing.T) {
	for _, c := range []struct {
		errno unix.Errno
		want  string
	}{{unix.EINTR, "started 7"}, {unix.ECONNRESET, "EOF"}, {unix.EIO, "recvmsg: input/output error"}} {
		here, there, err := NewControl()
		if err != nil {
			t.Fatal(err)
		}
		other := &Control{there}
		if err := other.Send(Message{Kind: Started, PID: 7}); err != nil {
			t.Fatal(err)
		}
		first := true
		var got string
		err = fault.Watch([]uintptr{unix.SYS_RECVMSG}, func(fault.Call) fault.Answer {
			if first {
				first = false
				return fault.Fail(c.errno)
			}
			return fault.Pass
		}, func() {
			m, err := here.Receive()
			if got = fmt.Sprint(m.Kind, " ", m.PID); err != nil {
				got = err.Error()
			}
			if (got == "EOF") != errors.Is(err, io.EOF) {
				t.Errorf("%v: %v", c.errno, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.errno, got, c.want)
		}
		here.Close()
		other.Close()
	}
	here, there, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if _, err := there.Write([]byte("not a message")); err != nil {
		t.Fatal(err)
	}
	if m, err := here.Receive(); err == nil || !strings.Contains(err.Error(), "cannot decode a message") {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := there.Write(make([]byte, maxMessage+1)); err != nil {
		t.Fatal(err)
	}
	if m, err := here.Receive(); err == nil || !strings.Contains(err.Error(), "a message was cut") {
		t.Errorf("%+v, %v", m, err)
	}
	there.Close()
	if _, err := here.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the other side is gone: %v", err)
	}
	if err := here.Send(Message{Kind: Started}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("sent to nobody: %v", err)
	}
}

// A boot is read whole or not at all: half of it would be less than was planned.
func TestBootsThatCannotBeRead(t *testing.T) {
	whole := Boot{Plan: plan.Plan{Version: plan.Version, Name: "demo"}, Secrets: map[string]string{"A": "\xff"}, Pins: []Pin{{"/", 1, 2}}}
	f, err := whole.Pack()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	var got Boot
	if err := read(fd, &got); err != nil || got.Plan.Name != "demo" || got.Secrets["A"] != "\xff" || !slices.Equal(got.Pins, whole.Pins) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("a sealed boot can be written: %v", err)
	}
	if err := f.Truncate(0); !errors.Is(err, unix.EPERM) {
		t.Errorf("a sealed boot can be cut: %v", err)
	}
	for _, c := range []struct {
		call   uintptr
		answer fault.Answer
		want   string
	}{{unix.SYS_FSTAT, fault.Fail(unix.EIO), "fstat: input/output error"}, {unix.SYS_PREAD64, fault.Fail(unix.EIO), "cannot read the boot: pread: input/output error"}, {unix.SYS_PREAD64, fault.Return(0), "cannot read the boot"}, {unix.SYS_PREAD64, fault.Fail(unix.EINTR), ""}} {
		first := true
		if err := fault.Watch([]uintptr{c.call}, func(fault.Call) fault.Answer {
			if !first {
				return fault.Pass
			}
			first = false
			return c.answer
		}, func() {
			var b Boot
			if err := read(fd, &b); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("call %d: %v, want %q", c.call, err, c.want)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	unheard, err := fault.Each([]uintptr{unix.SYS_MEMFD_CREATE, unix.SYS_WRITE, unix.SYS_FCNTL}, unix.EIO, func(c fault.Call) bool { return c.Number != unix.SYS_FCNTL || c.Args[1] == unix.F_ADD_SEALS }, func() error {
		before := descriptors(t)
		f, err := whole.Pack()
		if err == nil {
			f.Close()
		}
		if after := descriptors(t); after != before {
			t.Errorf("%v: %d descriptors, had %d", err, after, before)
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	none, err := os.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if err := read(int(none.Fd()), &got); err == nil || !strings.Contains(err.Error(), "internal error: cannot decode the boot") {
		t.Errorf("half a boot: %v", err)
	}
	old := whole
	old.Plan.Version++
	life, err := live(old, filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	if m := life.last(); m.Kind != Failed || !strings.Contains(m.Error, fmt.Sprintf("plan version %d, want %d", plan.Version+1, plan.Version)) {
		t.Errorf("another version's boot: %+v", life.told)
	}
}

// Without a pid namespace the keeper itself finds every process of the server, also one
// that forked away or gave itself a strange name, and none of somebody else's.
func TestDescendantsAreFoundAndEnd(t *testing.T) {
	if err := adopt(); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	strange := filepath.Join(t.TempDir(), "a) S 1 (b")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sleep, strange); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `"$0" 1000 & (sleep 1000 & sleep 1000) & sleep 1000`, strange)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for end := time.Now().Add(20 * time.Second); len(pids) < 5; time.Sleep(time.Millisecond) {
		if pids = descendants(os.Getpid()); time.Now().After(end) {
			t.Fatalf("%d of 5 processes were found", len(pids))
		}
	}
	if !slices.Contains(pids, cmd.Process.Pid) || slices.Contains(pids, os.Getpid()) || slices.Contains(pids, 1) {
		t.Errorf("%v of %d", pids, os.Getpid())
	}
	if of := descendants(cmd.Process.Pid); len(of) != 4 {
		t.Errorf("%v are below the shell", of)
	}
	endAll()
	for _, pid := range pids {
		if unix.Kill(pid, 0) == nil {
			t.Errorf("%d is still there", pid)
		}
	}
	if left := descendants(os.Getpid()); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// A ruleset that cannot be made restricts nothing, and says so.
func TestARulesetThatCannotBeMade(t *testing.T) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- Restrict(plan.Landlock{ABI: 1, Paths: []plan.Rule{{Path: "/nowhere", Access: plan.AccessRead}}})
	}()
	if err := <-done; err == nil {
		t.Error("a path that is not there is allowed")
	}
}

// What pid 1 cannot furnish keeps the server from starting.
func TestWhatCannotBeFurnished(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(target string) []plan.Mount {
		return []plan.Mount{{Kind: plan.MountDir, Target: "/nowhere"}, {Kind: plan.MountSymlink, Source: "to", Target: target}}
	}
	for step, b := range map[string]Boot{
		"trust a mount":    {Pins: []Pin{{Target: "/", Ino: 1 << 60}}},
		"look at a mount":  {Pins: []Pin{{Target: filepath.Join(dir, "none")}}},
		"make a symlink":   {Plan: plan.Plan{Root: link(file + "/below/link")}},
		"lay out the desk": {Plan: plan.Plan{Desk: &plan.Desk{Home: dir, Files: []plan.DeskFile{{Path: file, Mode: 0o600}}}}},
	} {
		if err := furnish(&Control{}, b); failure(err).Step != step {
			t.Errorf("%s: %v", step, err)
		}
	}
	if err := lateSymlinks(link(file)); failure(err).Step != "make a symlink" {
		t.Errorf("a file in the way: %v", err)
	}
	at := filepath.Join(dir, "new", "link")
	for range 2 { // the second time it is there
		if err := lateSymlinks(link(at)); err != nil {
			t.Error(err)
		}
	}
	if to, err := os.Readlink(at); to != "to" || err != nil {
		t.Errorf("%q, %v", to, err)
	}
	b, _ := bootOf(t, policy.LayerLandlock, policy.LayerSeccomp)
	b.Plan.Seccomp.Notify, b.Plan.Seccomp.Mediate = true, true
	unheard, err := fault.Each([]uintptr{unix.SYS_SOCKETPAIR, unix.SYS_LANDLOCK_CREATE_RULESET}, unix.EIO, nil, func() error {
		s, err := prepare(b, &Control{os.Stdin})
		if err == nil {
			unix.Close(s.ruleset)
			s.handoff.Close()
			s.control.Close()
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
}

// Every listener reaches the launcher, in as many messages as it takes. If one does not,
// no server starts, since nobody would accept its connections.
func TestListenersAreHandedOut(t *testing.T) {
	b, _ := bootOf(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp)
	const first, ports = 7000, 2*maxFiles + 3
	b.Plan.Network.Hosts = []policy.Host{{Kind: policy.HostLocal, First: first, Last: first + ports - 1}}
	for _, fails := range []int{0, 1, 2} {
		sent := 0
		var l life
		var failed error
		err := fault.Watch([]uintptr{unix.SYS_SENDMSG}, func(c fault.Call) fault.Answer {
			if c.Own {
				return fault.Pass
			}
			if sent++; sent == fails {
				return fault.Fail(unix.EIO)
			}
			return fault.Pass
		}, func() { l, failed = live(b, filepath.Join(t.TempDir(), "out")) })
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		got, messages := map[uint16]bool{}, 0
		for _, m := range l.told {
			if m.Kind != Listeners {
				continue
			}
			var handles []listeners.Handle
			if err := json.Unmarshal(m.Data, &handles); err != nil || len(handles) != len(m.Files) || len(handles) > maxFiles {
				t.Errorf("%d listeners with %d descriptors (%v)", len(handles), len(m.Files), err)
			}
			messages++
			for _, h := range handles {
				if h.Kind == listeners.KindLocal {
					got[h.Port] = true
				}
			}
		}
		switch {
		case fails == 0 && (len(got) != ports || messages < 3 || l.last().Kind != Exited):
			t.Errorf("%d of %d ports came, in %d messages; last told %+v", len(got), ports, messages, l.last())
		case fails > 0 && (l.last().Kind != Failed || l.last().Step != "hand out listeners" || messages != fails-1 || l.said != ""):
			t.Errorf("message %d failed: %d came; last told %+v, and the server said %q", fails, messages, l.last(), l.said)
		}
	}
}

// A process that shrinks gives back mappings of files that it only reads, and no other.
func TestShrinkGivesBackWhatAFileHolds(t *testing.T) {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	if err := fault.Watch([]uintptr{unix.SYS_MADVISE}, func(c fault.Call) fault.Answer {
		at := fmt.Sprintf("%x-%x ", c.Args[0], c.Args[0]+c.Args[1])
		for line := range strings.Lines(string(text)) {
			if c.Args[2] != unix.MADV_DONTNEED || !strings.HasPrefix(line, at) {
				continue
			}
			if f := strings.Fields(line); len(f) == 6 && strings.HasPrefix(f[5], "/") && !strings.Contains(f[1], "w") {
				given++
			} else if c.Own {
				t.Errorf("given back: %s", line)
			}
		}
		return fault.Pass
	}, Shrink); err != nil {
		t.Fatal(err)
	}
	if given == 0 {
		t.Error("nothing is given back")
	}
}

// A pid 1 that cannot listen, or cannot let its stage go on, says so, and no server
// runs.
func TestPid1ThatCannotGoOn(t *testing.T) {
	b, _ := bootOf(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp)
	b.Plan.Network.Hosts = []policy.Host{{Kind: policy.HostLocal, First: 7000, Last: 7000}}
	mapped := false // the stage goes on once its ids are mapped
	for step, fails := range map[string]func(fault.Call) bool{
		"listen for the server's connections": func(c fault.Call) bool { return c.Number == unix.SYS_LISTEN },
		"start the exec stage":                func(c fault.Call) bool { return mapped && c.Number == unix.SYS_WRITE && c.Args[2] == 1 },
		"map the server's own id":             func(c fault.Call) bool { return c.Number == unix.SYS_WRITE && c.Args[2] == 4 }, // "deny"
	} {
		failed := false
		mapped = false
		var l life
		var ended error
		err := fault.Watch([]uintptr{unix.SYS_LISTEN, unix.SYS_WRITE}, func(c fault.Call) fault.Answer {
			if c.Own || failed || !fails(c) {
				mapped = mapped || !c.Own && c.Number == unix.SYS_WRITE && c.Args[2] == 4
				return fault.Pass
			}
			failed = true
			return fault.Fail(unix.EIO)
		}, func() { l, ended = live(b, filepath.Join(t.TempDir(), "out")) })
		if err != nil || ended != nil {
			t.Fatal(err, ended)
		}
		if m := l.last(); !failed || m.Kind != Failed || m.Step != step || l.said != "" {
			t.Errorf("%s: failed %v, told %+v, and the server said %q", step, failed, m, l.said)
		}
	}
}
