package container

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// limited is a plan with limits in groups of version 1.
func limited() plan.Plan {
	return plan.Plan{Limits: []plan.Limit{
		{Name: plan.LimitMemory, How: plan.HowCgroup1, Value: 64 << 20}, {Name: plan.LimitProcesses, How: plan.HowCgroup1, Value: 17}}}
}

func TestNoGroupsWithoutALimitInOne(t *testing.T) {
	for _, how := range []plan.LimitHow{plan.HowRlimit, plan.HowSystemd, plan.HowCgroup2} {
		g, err := NewGroups(plan.Plan{Limits: []plan.Limit{{Name: plan.LimitMemory, How: how, Value: 1}}}, "none")
		if g != nil || err != nil {
			t.Errorf("%s: %v, %v", how, g.Paths(), err)
		}
	}
	var none *Groups
	ran := false
	if err := none.Within(func() error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("without groups nothing is started: %v", err)
	}
	if err := none.Hold(1); err != nil || none.Make() != nil || none.Remove() != nil || none.Paths() != nil {
		t.Errorf("no groups do something: %v", err)
	}
}

// A process started within the groups is limited from its first instruction on. Nothing
// else is, not even the thread that started it.
func TestGroupsHoldWhatIsStartedWithin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: nobody else makes control groups of version 1")
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup/memory", &st); err != nil || st.Type != unix.CGROUP_SUPER_MAGIC {
		t.Skip("no control groups of version 1")
	}
	g, err := NewGroups(limited(), fmt.Sprintf("mcpen-test-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	paths := g.Paths()
	if len(paths) != 3 { // a machine may lack the other controllers
		t.Errorf("the groups are %q", paths)
	}
	t.Cleanup(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
		for _, path := range paths {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("left: %s", path)
			}
		}
	})
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is made before anybody could know of it", path)
		}
	}
	if err := g.Make(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{g.paths["memory"] + "/memory.limit_in_bytes": "67108864", g.paths["pids"] + "/pids.max": "17"} {
		if got, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q, want %q (%v)", file, got, want, err)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := exec.Command("sleep", "60"), exec.Command("sleep", "60")
	if err := g.Within(inside.Start); err != nil {
		t.Fatal(err)
	}
	defer func() { inside.Process.Kill(); inside.Wait() }()
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { outside.Process.Kill(); outside.Wait() }()
	if err := g.Hold(inside.Process.Pid); err != nil {
		t.Error(err)
	}
	if g.Hold(outside.Process.Pid) == nil {
		t.Error("a process that was started elsewhere is said to be held")
	}
	if after, err := os.ReadFile("/proc/thread-self/cgroup"); err != nil || string(after) != string(before) {
		t.Errorf("the thread is in\n%s, and was in\n%s (%v)", after, before, err)
	}
}
