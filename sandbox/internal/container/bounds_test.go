package container

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// everyCall fails the test for system calls whose failure f does not report.
func everyCall(t *testing.T, numbers []uintptr, chosen func(fault.Call) bool, f func() error) {
	t.Helper()
	unheard, err := fault.Each(numbers, unix.EIO, chosen, f)
	if err != nil {
		t.Error(err)
	}
	for _, c := range unheard {
		t.Errorf("nobody heard of the failure of %v", c)
	}
}

// If a source is replaced by a link between the plan and the mount, it leads to a
// folder that nobody granted. That includes a link above it, and one to the same
// folder.
func TestPinsFollowNoLink(t *testing.T) {
	dir := t.TempDir()
	granted, up, link := filepath.Join(dir, "folder", "granted"), filepath.Join(dir, "up"), filepath.Join(dir, "link")
	if err := errors.Join(os.MkdirAll(granted, 0o700), os.Symlink(filepath.Dir(granted), up), os.Symlink(granted, link)); err != nil {
		t.Fatal(err)
	}
	root := func(source string) plan.Plan {
		return plan.Plan{Root: []plan.Mount{{Kind: plan.MountTmpfs, Target: "/tmp"}, {Kind: plan.MountBind, Source: source, Target: "/inside"}}}
	}
	pins, err := Pins(root(granted))
	var st unix.Stat_t
	if err := unix.Stat(granted, &st); err != nil {
		t.Fatal(err)
	}
	if err != nil || len(pins) != 1 || pins[0].Target != "/inside" || pins[0].Dev != uint64(st.Dev) || pins[0].Ino != st.Ino {
		t.Errorf("%+v, %v; want inode %d of device %d", pins, err, st.Ino, st.Dev)
	}
	for what, source := range map[string]string{"itself a link": link, "below a link": filepath.Join(up, "granted")} {
		if pins, err := Pins(root(source)); !errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), source) {
			t.Errorf("%s: %+v, %v", what, pins, err)
		}
	}
	if _, err := Pins(root(granted + ".gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone: %v", err)
	}
	everyCall(t, []uintptr{unix.SYS_OPENAT2, unix.SYS_FSTAT}, nil, func() error { _, err := Pins(root(granted)); return err })
	for op, number := range map[string]uintptr{"open": unix.SYS_OPENAT2, "fstat": unix.SYS_FSTAT} {
		var told error
		err := fault.Watch([]uintptr{number}, func(fault.Call) fault.Answer { return fault.Fail(unix.EIO) }, func() { _, told = Pins(root(granted)) })
		var failed *fs.PathError
		if err != nil || !errors.As(told, &failed) || failed.Op != op || failed.Path != granted || failed.Err != unix.EIO {
			t.Errorf("%s fails: %v (%v)", op, told, err)
		}
	}
	open, _ := os.ReadDir("/proc/self/fd")
	for range 20 {
		_, _ = Pins(root(granted))
	}
	if now, _ := os.ReadDir("/proc/self/fd"); len(now) >= len(open)+20 {
		t.Errorf("%d descriptors were left", len(now)-len(open))
	}
}

// whole is a root with a step of every kind.
func whole(dir string) plan.Plan {
	return plan.Plan{Root: []plan.Mount{
		{Kind: plan.MountDir, Target: "/etc"},
		{Kind: plan.MountFile, Target: "/etc/passwd", Content: "root:x:0:0::/:/bin/sh\n", Mode: 0o444},
		{Kind: plan.MountCopy, Source: filepath.Join(dir, "system"), Target: "/etc/system", Mode: 0o400},
		{Kind: plan.MountSymlink, Source: "usr/bin", Target: "/bin"},
		{Kind: plan.MountSymlink, Source: "/proc/self/fd", Target: "/dev/fd"},
		{Kind: plan.MountBind, Source: dir, Target: "/usr", Dir: true},
		{Kind: plan.MountBind, Source: filepath.Join(dir, "system"), Target: "/usr/local/file"}, // in the mount above it
		{Kind: plan.MountBind, Source: filepath.Join(dir, "system"), Target: "/home/user/file"},
		{Kind: plan.MountMask, Target: "/home/user/secret"},
		{Kind: plan.MountMask, Target: "/home/user/secrets", Dir: true},
		{Kind: plan.MountDevice, Source: "/dev/null", Target: "/dev/null"},
		{Kind: plan.MountTmpfs, Target: "/tmp", Writable: true},
		{Kind: plan.MountFile, Target: "/tmp/below", Content: "nothing is made here"},
		{Kind: plan.MountProc, Target: "/proc"},
		{Kind: plan.MountFile, Target: "/proc/below"},
		{Kind: plan.MountPTY, Target: "/dev/pts"},
		{Kind: plan.MountFile, Target: "/dev/pts/below"},
		{Kind: plan.MountFile, Target: "/procession", Content: "not below /proc"},
		{Kind: plan.MountBind, Source: dir + "/\xff", Target: "/home/user/\xff", Dir: true},
	}}
}

// The skeleton contains every step of the root that is not a mount: a missing one makes
// a mount fail, and a surplus one is somebody's file.
func TestSkeletonIsThePlans(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "system"), []byte("of the system"), 0o644), os.Mkdir(filepath.Join(dir, "\xff"), 0o700)); err != nil {
		t.Fatal(err)
	}
	p := whole(dir)
	n := 0
	for i := range 200 {
		if err := os.MkdirAll(filepath.Join(dir, "run", strings.Repeat("n", i+1)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	build := func() (string, error) {
		n++
		base := filepath.Join(dir, "run", strings.Repeat("n", n))
		return filepath.Join(base, "root"), Skeleton(filepath.Join(base, "root"), p)
	}
	root, err := build()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		what := d.Type().String()
		switch {
		case d.Type().IsRegular():
			st, err := d.Info()
			if err != nil {
				return err
			}
			if st.Mode()&0o400 == 0 { // as a user its content is to be seen, too
				if err := os.Chmod(path, 0o400); err != nil {
					return err
				}
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = st.Mode().String() + " " + string(data)
		case d.Type()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			what = "-> " + to
		}
		got[strings.TrimPrefix(path, root)] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const folder, point = "d---------", "-r--r--r-- "
	want := map[string]string{
		"": folder, "/etc": folder, "/etc/passwd": "-r--r--r-- root:x:0:0::/:/bin/sh\n", "/etc/system": "-r-------- of the system", "/bin": "-> usr/bin",
		"/usr": folder, "/home": folder, "/home/user": folder, "/home/user/file": point, "/home/user/secret": point, "/home/user/secrets": folder,
		"/dev": folder, "/dev/null": point, "/dev/pts": folder, "/tmp": folder, "/proc": folder, "/procession": "---------- not below /proc",
		"/home/user/\xff": folder, "/.mcpen-18": "-> /home/user/\xff",
	}
	for path, w := range want {
		if got[path] != w {
			t.Errorf("%q is %q, want %q", path, got[path], w)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("also there: %q", got)
	}
	for link, to := range map[string]string{filepath.Join(filepath.Dir(root), "source-18"): dir + "/\xff"} {
		if have, err := os.Readlink(link); err != nil || have != to {
			t.Errorf("%s leads to %q, want %q (%v)", link, have, to, err)
		}
	}
	if st, err := os.Lstat(filepath.Join(filepath.Dir(root), "empty")); err != nil || st.Mode() != 0o444 || st.Size() != 0 {
		t.Errorf("what hides a file: %v, %v", st, err)
	}
	if err := Skeleton(root, p); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a root that is there already: %v", err)
	}
	if err := Unlink(root, p); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(root, ".mcpen-18")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link stays in the server's root: %v", err)
	}
	if err := Unlink(root, p); err == nil {
		t.Error("there is nothing to take away, and nothing is said")
	}

	numbers := []uintptr{unix.SYS_MKDIRAT, unix.SYS_OPENAT, unix.SYS_SYMLINKAT}
	everyCall(t, numbers, nil, func() error { _, err := build(); return err })
	// Text that does not get into the file, as on a full disk.
	content := func(c fault.Call) bool { return c.Args[2] > 8 }
	everyCall(t, []uintptr{unix.SYS_WRITE}, content, func() error { _, err := build(); return err })

	for name, m := range map[string]plan.Mount{
		"a file twice":      {Kind: plan.MountFile, Target: "/etc/passwd"},
		"a link over it":    {Kind: plan.MountSymlink, Source: "x", Target: "/etc/passwd"},
		"a folder below it": {Kind: plan.MountDir, Target: "/etc/passwd/below"},
		"a copy of a link":  {Kind: plan.MountCopy, Source: filepath.Join(dir, "link"), Target: "/etc/copy"},
		"a copy of nothing": {Kind: plan.MountCopy, Source: filepath.Join(dir, "absent"), Target: "/etc/copy"},
		"a copy too large":  {Kind: plan.MountCopy, Source: filepath.Join(dir, "large"), Target: "/etc/copy"},
	} {
		_ = os.Symlink("system", filepath.Join(dir, "link"))
		if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxCopy+1), 0o600); err != nil {
			t.Fatal(err)
		}
		p = whole(dir)
		p.Root = append(p.Root, m)
		if _, err := build(); err == nil || !strings.Contains(err.Error(), m.Target) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "large"), maxCopy); err != nil {
		t.Fatal(err)
	}
	p.Root[len(p.Root)-1] = plan.Mount{Kind: plan.MountCopy, Source: filepath.Join(dir, "large"), Target: "/etc/copy"}
	if _, err := build(); err != nil {
		t.Errorf("a copy of the largest size: %v", err)
	}
}

// The flags of each mount keep a folder read-only and exclude setuid programs, devices,
// and the server's own programs.
func TestMountsAreThePlans(t *testing.T) {
	const rec = unix.MS_BIND | unix.MS_REC
	const quiet = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	attr := func(flags uint64) *unix.MountAttr { return &unix.MountAttr{Attr_set: flags} }
	rootfs := "/run/x/root"
	for name, c := range map[string]struct {
		mount plan.Mount
		want  configs.Mount
	}{
		"read-only":     {plan.Mount{Kind: plan.MountBind, Source: "/s", Target: "/t"}, configs.Mount{Source: "/s", Flags: rec, RecAttr: attr(quiet | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC)}},
		"programs":      {plan.Mount{Kind: plan.MountBind, Source: "/s", Target: "/t", Exec: true}, configs.Mount{Source: "/s", Flags: rec, RecAttr: attr(quiet | unix.MOUNT_ATTR_RDONLY)}},
		"writable":      {plan.Mount{Kind: plan.MountBind, Source: "/s", Target: "/t", Writable: true}, configs.Mount{Source: "/s", Flags: rec, RecAttr: attr(quiet | unix.MOUNT_ATTR_NOEXEC)}},
		"both":          {plan.Mount{Kind: plan.MountBind, Source: "/s", Target: "/t", Writable: true, Exec: true}, configs.Mount{Source: "/s", Flags: rec, RecAttr: attr(quiet)}},
		"device":        {plan.Mount{Kind: plan.MountDevice, Source: "/dev/null", Target: "/t"}, configs.Mount{Source: "/dev/null", Flags: unix.MS_BIND | unix.MS_NOSUID | unix.MS_NOEXEC}},
		"mask a file":   {plan.Mount{Kind: plan.MountMask, Target: "/t"}, configs.Mount{Source: "/run/x/empty", Flags: rec, RecAttr: attr(quiet | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC)}},
		"mask a folder": {plan.Mount{Kind: plan.MountMask, Target: "/t", Dir: true}, configs.Mount{Source: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RDONLY, Data: "mode=555,size=4096,nr_inodes=2"}},
		"tmpfs":         {plan.Mount{Kind: plan.MountTmpfs, Target: "/t", Writable: true, Bytes: 1, Inodes: 1, Mode: 0o700}, configs.Mount{Source: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, Data: "mode=700,size=1,nr_inodes=1"}},
		"tmpfs, exec":   {plan.Mount{Kind: plan.MountTmpfs, Target: "/t", Exec: true, Mode: 0o1777}, configs.Mount{Source: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_RDONLY, Data: "mode=1777"}},
		"proc":          {plan.Mount{Kind: plan.MountProc, Target: "/t"}, configs.Mount{Source: "proc", Flags: unix.MS_NOEXEC | unix.MS_NOSUID | unix.MS_NODEV}},
		"terminals":     {plan.Mount{Kind: plan.MountPTY, Target: "/t"}, configs.Mount{Source: "devpts", Flags: unix.MS_NOEXEC | unix.MS_NOSUID, Data: "newinstance,ptmxmode=0666,mode=0620,max=64"}},
		"no text":       {plan.Mount{Kind: plan.MountBind, Source: "/\xff", Target: "/\xfe"}, configs.Mount{Source: "/run/x/source-1", Destination: "/.mcpen-1", Flags: rec, RecAttr: attr(quiet | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC)}},
	} {
		got, err := mounts([]plan.Mount{{Kind: plan.MountDir, Target: "/none"}, c.mount}, rootfs)
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		g, w := got[0], c.want
		if w.Destination == "" {
			w.Destination = "/t"
		}
		if g.Source != w.Source || g.Destination != w.Destination || g.Flags != w.Flags || g.Data != w.Data || (g.RecAttr == nil) != (w.RecAttr == nil) || g.RecAttr != nil && *g.RecAttr != *w.RecAttr {
			t.Errorf("%s: %+v %+v, want %+v %+v", name, g, g.RecAttr, w, w.RecAttr)
		}
	}
	for _, kind := range []plan.MountKind{plan.MountFile, plan.MountCopy, plan.MountSymlink, plan.MountDir} {
		if got, err := mounts([]plan.Mount{{Kind: kind, Target: "/t"}}, rootfs); err != nil || len(got) != 0 {
			t.Errorf("%s is a mount: %v, %v", kind, got, err)
		}
	}
	if _, err := mounts([]plan.Mount{{Kind: "none", Target: "/t"}}, rootfs); err == nil {
		t.Error("a kind that there is not")
	}
	if _, err := Config(plan.Plan{Root: []plan.Mount{{Kind: "none", Target: "/t"}}}, rootfs, "id"); err == nil {
		t.Error("a configuration without a mount of the plan")
	}
}

// Each limit is in the group that the plan names. Without it, a server could take the
// whole machine; swap without a bound makes the machine slow.
func TestLimitsAreInTheirGroups(t *testing.T) {
	limits := func(how plan.LimitHow) plan.Plan {
		return plan.Plan{Process: plan.Process{UID: 1000}, Limits: []plan.Limit{{Name: plan.LimitMemory, How: how, Value: 64 << 20}, {Name: plan.LimitProcesses, How: how, Value: 17},
			{Name: plan.LimitCPU, How: how, Value: 1500}, {Name: plan.LimitOpenFiles, How: plan.HowRlimit, Value: 3}}}
	}
	for _, how := range []plan.LimitHow{plan.HowCgroup1, plan.HowCgroup2, plan.HowSystemd} {
		g, err := cgroup(limits(how), "id")
		if err != nil {
			t.Fatal(err)
		}
		r := g.Resources
		if r.Memory != 64<<20 || r.MemorySwap != 64<<20 || r.PidsLimit == nil || *r.PidsLimit != 17 || r.CpuPeriod != 100_000 || r.CpuQuota != 150_000 {
			t.Errorf("%s: %+v", how, r)
		}
		if g.Systemd != (how == plan.HowSystemd) || g.Systemd != (g.ScopePrefix == "mcpen") || g.Name != "id" || g.Path != "" || !g.Rootless {
			t.Errorf("%s: %+v", how, g)
		}
	}
	p := limits(plan.HowCgroup2)
	p.Limits[0].Name = plan.LimitTmp
	if _, err := cgroup(p, "id"); err == nil || !strings.Contains(err.Error(), string(plan.LimitTmp)) {
		t.Errorf("a limit that no group holds: %v", err)
	}
	if _, err := Config(p, "/r", "id"); err == nil {
		t.Error("a configuration without a limit of the plan")
	}
	p.Limits[0].How = plan.HowCgroup1
	if _, err := NewGroups(p, "id"); err == nil {
		t.Error("groups without a limit of the plan")
	}
	p = limits(plan.HowRlimit)
	p.Limits[0].Name = plan.LimitTmp // groups do not hold it
	p.Process.UID, p.CgroupParent = 0, "/parent"
	g, err := cgroup(p, "id")
	if err != nil || !g.Rootless || g.Name != "" || g.Path != "/parent/mcpen-id" || !unlimited(g.Resources) {
		t.Errorf("without a limit: %+v, %v", g, err)
	}
	p = limits(plan.HowCgroup2)
	p.Process.UID = 0
	if g, err = cgroup(p, "id"); err != nil || g.Rootless {
		t.Errorf("of root, with limits: %+v, %v", g, err)
	}
	// One limit alone is enough for a group.
	for i := range 3 {
		p := limits(plan.HowCgroup2)
		p.Limits = p.Limits[i : i+1]
		if g, err := cgroup(p, "id"); err != nil || unlimited(g.Resources) {
			t.Errorf("%s alone is no limit (%v)", p.Limits[0].Name, err)
		}
	}
	// Devices: four kinds of nodes without hardware, two more with terminals.
	devices := func(p plan.Plan) (out []string) {
		g, err := cgroup(p, "id")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range g.Resources.Devices {
			if !r.Allow {
				t.Errorf("%+v", r)
			}
			out = append(out, r.CgroupString())
		}
		return out
	}
	if got := strings.Join(devices(plan.Plan{}), ", "); got != "c 1:* rw, c 5:0 rw" {
		t.Errorf("devices: %s", got)
	}
	if got := strings.Join(devices(plan.Plan{Root: []plan.Mount{{Kind: plan.MountPTY}}}), ", "); got != "c 1:* rw, c 5:0 rw, c 5:2 rw, c 136:* rw" {
		t.Errorf("devices with terminals: %s", got)
	}
}

// The capabilities and namespaces of the stages, and the hidden parts of /proc.
func TestConfigIsThePlans(t *testing.T) {
	user := plan.Plan{Process: plan.Process{UID: 1000, GID: 1001}, Network: plan.Network{Ephemeral: plan.Span{First: 40000, Last: 50000}}}
	c, err := Config(user, "/r", "id")
	if err != nil {
		t.Fatal(err)
	}
	if caps := c.Capabilities; !slices.Equal(caps.Effective, setup) || !slices.Equal(caps.Permitted, setup) || !slices.Equal(caps.Bounding, append([]string{"CAP_SETPCAP"}, setup...)) || len(caps.Ambient)+len(caps.Inheritable) != 0 {
		t.Errorf("capabilities %+v", caps)
	}
	if !c.NoNewPrivileges || !c.Readonlyfs || !c.RootlessEUID || !c.RootlessCgroups || c.RootPropagation != unix.MS_PRIVATE|unix.MS_REC || c.Rootfs != "/r" || c.Hostname != plan.Hostname {
		t.Errorf("%+v", c)
	}
	var kinds []string
	for _, n := range c.Namespaces {
		kinds = append(kinds, string(n.Type))
	}
	if got := strings.Join(kinds, " "); got != "NEWUSER NEWNS NEWPID NEWNET NEWIPC NEWUTS NEWCGROUP" {
		t.Errorf("namespaces: %s", got)
	}
	if m := c.UIDMappings; len(m) != 1 || m[0] != (configs.IDMap{HostID: 1000, Size: 1}) {
		t.Errorf("users %+v", m)
	}
	if m := c.GIDMappings; len(m) != 1 || m[0] != (configs.IDMap{HostID: 1001, Size: 1}) {
		t.Errorf("groups %+v", m)
	}
	if s := c.Sysctl; len(s) != 3 || s["user.max_user_namespaces"] != "1" || s["net.ipv4.ip_local_port_range"] != "40000\t50000" || s["net.ipv4.tcp_max_tw_buckets"] != "0" {
		t.Errorf("sysctls %+v", s)
	}
	if len(c.Networks) != 1 || c.Networks[0].Type != "loopback" {
		t.Errorf("networks %+v", c.Networks)
	}
	if !slices.Equal(c.MaskPaths, plan.ProcMasked) || !slices.Equal(c.ReadonlyPaths, plan.ProcReadonly) {
		t.Errorf("hidden: %v, read-only: %v", c.MaskPaths, c.ReadonlyPaths)
	}
	net := user
	net.Process.UID, net.Process.Admin = 0, true
	net.Network.Hosts = []policy.Host{{}}
	net.Limits = limited().Limits
	c, err = Config(net, "/r", "id")
	if err != nil {
		t.Fatal(err)
	}
	if want := append(slices.Clone(setup), "CAP_SYS_ADMIN", "CAP_NET_RAW"); !slices.Equal(c.Capabilities.Effective, want) || !slices.Equal(c.Capabilities.Permitted, want) || len(setup) != 3 {
		t.Errorf("capabilities where something is reachable: %+v", c.Capabilities)
	}
	if c.RootlessEUID || !c.RootlessCgroups { // this package makes the groups of version 1
		t.Errorf("root: %+v", c)
	}
	if !unlimited(c.Cgroups.Resources) || !c.Cgroups.Rootless || c.Cgroups.Name != "id" {
		t.Errorf("libcontainer would make the groups a second time: %+v", c.Cgroups)
	}
	if want := slices.Concat(plan.ProcMasked, plan.ProcMaskedRoot); !slices.Equal(c.MaskPaths, want) {
		t.Errorf("hidden from root: %v", c.MaskPaths)
	}
	if want := slices.Concat(plan.ProcReadonly, plan.ProcReadonlyRoot); !slices.Equal(c.ReadonlyPaths, want) {
		t.Errorf("read-only for root: %v", c.ReadonlyPaths)
	}
	net.Limits = []plan.Limit{{Name: plan.LimitMemory, How: plan.HowCgroup2, Value: 1 << 20}}
	if c, err = Config(net, "/r", "id"); err != nil || c.RootlessCgroups {
		t.Errorf("a limit of root's that may fail in silence: %+v, %v", c, err)
	}
}

// If a thread did not get into a group, the server would start without its limits.
func TestMovesThatFailAreHeardOf(t *testing.T) {
	dir := t.TempDir()
	in, own := filepath.Join(dir, "in"), filepath.Join(dir, "own")
	for _, d := range []string{in, own} {
		if err := errors.Join(os.Mkdir(d, 0o700), os.WriteFile(filepath.Join(d, "tasks"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	g := &Groups{paths: map[string]string{"memory": in}, own: map[string]string{"memory": own}}
	ran := 0
	start := func() error { ran++; return nil }
	if err := g.Within(start); err != nil || ran != 1 {
		t.Fatal(err)
	}
	for _, d := range []string{in, own} {
		if text, err := os.ReadFile(filepath.Join(d, "tasks")); err != nil || string(text) != "0" {
			t.Errorf("%s: %q, %v", d, text, err)
		}
	}
	write := func(c fault.Call) bool { return c.Number != unix.SYS_WRITE || c.Args[2] == 1 }
	everyCall(t, []uintptr{unix.SYS_OPENAT, unix.SYS_WRITE}, write, func() error { return g.Within(start) })
	ran = 0
	if err := (&Groups{paths: map[string]string{"memory": dir + "/absent"}, own: g.own}).Within(start); !errors.Is(err, fs.ErrNotExist) || ran != 0 {
		t.Errorf("a group that is not there: %v, started %d times", err, ran)
	}
	if err := g.Within(func() error { return fs.ErrPermission }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("what could not be started: %v", err)
	}
	if err := (&Groups{paths: map[string]string{"memory": in}, own: map[string]string{"memory": dir + "/absent"}}).Within(start); err == nil {
		t.Error("the thread stays in the server's group, and nobody hears of it")
	}
	open, _ := os.ReadDir("/proc/self/fd")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 20 {
		_ = g.Within(start)
	}
	if now, _ := os.ReadDir("/proc/self/fd"); len(now) >= len(open)+20 {
		t.Errorf("%d descriptors were left", len(now)-len(open))
	}
	if err := g.Hold(os.Getpid()); err == nil || !strings.Contains(err.Error(), in) {
		t.Errorf("this process is not in the groups: %v", err)
	}
	if err := g.Hold(1 << 30); err == nil {
		t.Error("a process that is not there is held")
	}
}

// libcontainer's state is written as a whole, or there is no container.
func TestCreateSaysWhatItCouldNotWrite(t *testing.T) {
	p := plan.Plan{Process: plan.Process{UID: os.Getuid(), GID: os.Getgid()}, Network: plan.Network{Ephemeral: plan.Span{First: 40000, Last: 50000}}}
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := Config(p, root, "id")
	if err != nil {
		t.Fatal(err)
	}
	g := &Groups{paths: map[string]string{"memory": "/sys/fs/cgroup/memory/x"}}
	n := 0
	create := func() error {
		n++
		_, err := Create(filepath.Join(filepath.Dir(root), strings.Repeat("s", n)), "id", cfg, g)
		return err
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(root), "s", "id", "state.json")); err != nil || !strings.Contains(string(text), `"limits of memory":"/sys/fs/cgroup/memory/x"`) || strings.Contains(string(text), NoGroup) {
		t.Errorf("%s, %v", text, err)
	}
	state := func(c fault.Call) bool { return c.Args[2] > 8 }
	everyCall(t, []uintptr{unix.SYS_MKDIRAT}, nil, create)
	everyCall(t, []uintptr{unix.SYS_WRITE}, state, create)
	cfg.Rootfs = "relative"
	if err := create(); err == nil {
		t.Error("libcontainer's own checks are left out")
	}
	everyCall(t, []uintptr{unix.SYS_READLINKAT, unix.SYS_MKDIRAT}, func(c fault.Call) bool { return c.Number == unix.SYS_MKDIRAT }, func() error {
		cfg.Rootfs = root
		return create()
	})
}
