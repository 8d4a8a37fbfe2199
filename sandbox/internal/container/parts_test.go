package container

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// The set-up stages have only the capabilities that they need: a mistake in a stage
// would expose every additional one.
func TestTheStagesHaveTheirCapabilities(t *testing.T) {
	base := []string{"CAP_SETFCAP", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"}
	for name, c := range map[string]struct {
		net  plan.Network
		want []string
	}{
		"nothing reachable": {plan.Network{}, base},
		"hosts":             {plan.Network{Hosts: []policy.Host{{}}}, append(slices.Clone(base), "CAP_SYS_ADMIN", "CAP_NET_RAW")},
		"every host":        {plan.Network{Every: true}, append(slices.Clone(base), "CAP_SYS_ADMIN", "CAP_NET_RAW")},
	} {
		cfg, err := Config(plan.Plan{Network: c.net, Process: plan.Process{UID: 1000}}, "/r", "id")
		if err != nil || !slices.Equal(cfg.Capabilities.Effective, c.want) || !slices.Equal(cfg.Capabilities.Bounding, append([]string{"CAP_SETPCAP"}, c.want...)) {
			t.Errorf("%s: %+v, %v", name, cfg.Capabilities, err)
		}
	}
}

// An ordinary user's groups may fail, and root's only if no limit needs them.
func TestGroupsMayFailOnlyWithoutALimit(t *testing.T) {
	limit := []plan.Limit{{Name: plan.LimitMemory, How: plan.HowCgroup2, Value: 1 << 20}}
	for name, c := range map[string]struct {
		uid    int
		limits []plan.Limit
		want   bool
	}{"a user": {1000, limit, true}, "a user without": {1000, nil, true}, "root": {0, limit, false}, "root without": {0, nil, true}} {
		cfg, err := Config(plan.Plan{Process: plan.Process{UID: c.uid, Admin: c.uid == 0}, Limits: c.limits}, "/r", "id")
		if err != nil || cfg.RootlessCgroups != c.want || cfg.RootlessEUID != (c.uid != 0) {
			t.Errorf("%s: %+v, %v", name, cfg, err)
		}
	}
	// The configuration has the plan's mounts, with their kinds.
	cfg, err := Config(whole(t.TempDir()), "/r", "id")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, m := range cfg.Mounts {
		kinds[m.Device]++
	}
	if kinds["bind"] != 6 || kinds["tmpfs"] != 2 || kinds["proc"] != 1 || kinds["devpts"] != 1 || len(cfg.Mounts) != 10 {
		t.Errorf("%v", kinds)
	}
}

// systemd must not end the scope when the kernel kills a process for its memory, or a
// person would not learn which limit it was. Without such a limit the property is not
// set.
func TestSystemdKeepsAKilledServersScope(t *testing.T) {
	for _, c := range []struct {
		name plan.LimitName
		how  plan.LimitHow
		want string
	}{{plan.LimitMemory, plan.HowSystemd, "0"}, {plan.LimitProcesses, plan.HowSystemd, ""}, {plan.LimitMemory, plan.HowCgroup2, ""}} {
		g, err := cgroup(plan.Plan{Limits: []plan.Limit{{Name: c.name, How: c.how, Value: 1 << 20}}}, "id")
		if err != nil || g.Resources.Unified["memory.oom.group"] != c.want || (g.Resources.Unified == nil) != (c.want == "") {
			t.Errorf("%s by %s: %v, %v", c.name, c.how, g.Resources.Unified, err)
		}
	}
}

// A limit on CPU time has its own group, like the others.
func TestEveryLimitHasItsGroup(t *testing.T) {
	if err := unix.Access("/sys/fs/cgroup/cpu", unix.F_OK); err != nil {
		t.Skip("no control groups of version 1")
	}
	for name, controller := range map[plan.LimitName]string{plan.LimitMemory: "memory", plan.LimitProcesses: "pids", plan.LimitCPU: "cpu"} {
		g, err := NewGroups(plan.Plan{Limits: []plan.Limit{{Name: name, How: plan.HowCgroup1, Value: 1 << 20}}}, "id")
		if err != nil || len(g.paths) != 2 || filepath.Base(g.paths[controller]) != "id" || filepath.Base(g.paths["devices"]) != "id" || g.own[controller]+"/id" != g.paths[controller] {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	// If NewGroups cannot find this process's groups, it guesses none. libcontainer
	// caches its first look at them.
	unheard, err := fault.Each([]uintptr{unix.SYS_OPENAT}, unix.EIO, nil, func() error {
		_, err := NewGroups(limited(), "id")
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
	bad := &Groups{limits: nil, paths: map[string]string{"memory": "/nonexistent/id"}, own: map[string]string{"memory": "/nonexistent"}}
	if err := bad.Hold(1 << 30); err == nil || !strings.Contains(err.Error(), "cannot look up the control groups") {
		t.Errorf("a process that is not there: %v", err)
	}
	started := false
	var at *os.PathError
	if err := bad.Within(func() error { started = true; return nil }); started || !errors.As(err, &at) || at.Op != "open" || at.Path != "/nonexistent/id/tasks" {
		t.Errorf("started %v outside of its group: %v", started, err)
	}
	full := &Groups{paths: map[string]string{"memory": t.TempDir()}, own: map[string]string{}}
	if err := os.Symlink("/dev/full", filepath.Join(full.paths["memory"], "tasks")); err != nil {
		t.Fatal(err)
	}
	if err := full.Within(func() error { started = true; return nil }); started || !errors.As(err, &at) || at.Op != "write" || at.Path != full.paths["memory"]+"/tasks" || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("started %v outside of its group: %v", started, err)
	}
}

// Groups that cannot be made stop the start.
func TestGroupsThatCannotBeMade(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: nobody else makes control groups of version 1")
	}
	if err := unix.Access("/sys/fs/cgroup/memory/tasks", unix.F_OK); err != nil {
		t.Skip("no control groups of version 1")
	}
	g, err := NewGroups(limited(), "mcpen-test-unmade")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Remove() })
	err = fault.Watch([]uintptr{unix.SYS_MKDIRAT}, func(fault.Call) fault.Answer { return fault.Fail(unix.EACCES) }, func() {
		if err := g.Make(); err == nil {
			t.Error("made")
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// A pipe in the root gets its mode whatever the umask is. A second pipe of the same
// name is an error.
func TestPipesOfTheRoot(t *testing.T) {
	was := unix.Umask(0o077)
	defer unix.Umask(was)
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	p := plan.Plan{Root: []plan.Mount{{Kind: plan.MountPipe, Target: "/run/pipe", Mode: 0o622}}}
	if err := Skeleton(root, p); err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(filepath.Join(root, "run/pipe"))
	if err != nil || st.Mode() != os.ModeNamedPipe|0o622 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	var at *os.PathError
	if err := pipe(filepath.Join(root, "run/pipe"), 0o600); !errors.Is(err, unix.EEXIST) || !errors.As(err, &at) || at.Op != "mkfifo" || at.Path != filepath.Join(root, "run/pipe") {
		t.Errorf("a second: %v", err)
	}
	everyCall(t, []uintptr{unix.SYS_MKNODAT, unix.SYS_FCHMODAT}, nil, func() error {
		name := filepath.Join(dir, "p")
		os.Remove(name)
		return pipe(name, 0o600)
	})
}

// A copied file of the host is complete or missing. A symlink is not followed, and no
// descriptor stays open.
func TestCopiesAreWhole(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	if err := os.WriteFile(from, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	again := func() error {
		n++
		return duplicate(from, filepath.Join(dir, strings.Repeat("t", n)), 0o400)
	}
	everyCall(t, []uintptr{unix.SYS_READ}, func(c fault.Call) bool { return c.Args[2] == 512 }, again)
	if text, err := os.ReadFile(filepath.Join(dir, strings.Repeat("t", n))); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	open := func() int { list, _ := os.ReadDir("/proc/self/fd"); return len(list) }
	before := open()
	for range 30 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	if now := open(); now > before+10 {
		t.Errorf("%d descriptors are open, before %d", now, before)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(from, link); err != nil {
		t.Fatal(err)
	}
	if err := duplicate(link, filepath.Join(dir, "x"), 0o400); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if err := create(link, "text", 0o400); !errors.Is(err, unix.EEXIST) {
		t.Errorf("over a link: %v", err)
	}
	if _, err := Pins(plan.Plan{Root: []plan.Mount{{Kind: plan.MountBind, Source: from + "/x", Target: "/t"}}}); err == nil || !strings.HasPrefix(err.Error(), "open ") {
		t.Errorf("%v", err)
	}
}

// The counters of a limit's effects may be missing or malformed.
func TestCountsThatAreNotThere(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]int{"max 3\n": 3, "low 1\nmax 2\nmax 7\n": 2, "max\n": 0, "max 3 4\n": 0, "maximum 3\n": 0, "max x\n": 0, "": 0, "max 5": 5} {
		if err := os.WriteFile(filepath.Join(dir, "pids.events"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := count(filepath.Join(dir, "pids.events"), "max"); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
		if over := Over([]string{dir, dir + "/none"}); over[plan.LimitProcesses] != (want > 0) || over[plan.LimitMemory] {
			t.Errorf("%q: %v", text, over)
		}
	}
	for text, want := range map[string]string{"128\n": "32", "3": "1", "0": "1", "2147483647": "536870911", "2147483648": "", "x": "", "-1": "1"} {
		if err := os.WriteFile(filepath.Join(dir, "max_inotify_instances"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := countersBelow(dir); got["user.max_inotify_instances"] != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
