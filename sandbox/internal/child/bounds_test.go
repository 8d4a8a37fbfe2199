package child

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// pinOf is the pin of a path in its current state.
func pinOf(t *testing.T, path string) Pin {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return Pin{Target: path, Dev: uint64(st.Dev), Ino: st.Ino}
}

// If somebody replaces a path between the plan and the mount, the server would see a
// folder that was not granted.
func TestExchangedMountsAreNotTrusted(t *testing.T) {
	dir := t.TempDir()
	granted, other := filepath.Join(dir, "granted"), filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(granted, 0o700), os.Mkdir(other, 0o700)); err != nil {
		t.Fatal(err)
	}
	pin := pinOf(t, granted)
	if err := verify([]Pin{pinOf(t, dir), pin}); err != nil {
		t.Fatalf("as planned: %v", err)
	}
	wrong := func(what string, pins ...Pin) {
		t.Helper()
		if err := verify(pins); failure(err).Step != "trust a mount" {
			t.Errorf("%s: %v", what, err)
		}
		// pid 1 does this first: nothing else may fail before it.
		if err := furnish(&Control{}, Boot{Pins: pins}); failure(err).Step != "trust a mount" {
			t.Errorf("%s, and pid 1 goes on: %v", what, err)
		}
	}
	wrong("another inode", Pin{Target: granted, Dev: pin.Dev, Ino: pin.Ino + 1})
	wrong("another device", Pin{Target: granted, Dev: pin.Dev + 1, Ino: pin.Ino})
	wrong("the second of two", pinOf(t, dir), Pin{Target: granted, Dev: pin.Dev, Ino: pinOf(t, other).Ino})
	if err := errors.Join(os.Rename(granted, granted+".old"), os.Rename(other, granted)); err != nil {
		t.Fatal(err)
	}
	wrong("a folder in its place", pin)
	if err := errors.Join(os.Remove(granted), os.Symlink(granted+".old", granted)); err != nil {
		t.Fatal(err)
	}
	wrong("a link to it in its place", pin)
	if err := os.Remove(granted); err != nil {
		t.Fatal(err)
	}
	if err := verify([]Pin{pin}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), granted) {
		t.Errorf("gone: %v", err)
	}
}

// A pid 1 that fails at one step reports that step, whatever later steps would report.
func TestPid1StopsAtTheFirstStepThatFails(t *testing.T) {
	good, _ := bootOf(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp)
	for name, c := range map[string]struct {
		change func(*Boot)
		step   string
		text   string
	}{
		"another version":    {func(b *Boot) { b.Plan.Version++ }, "", "plan version"},
		"no version":         {func(b *Boot) { b.Plan.Version = 0 }, "", "plan version"},
		"an exchanged mount": {func(b *Boot) { b.Pins[0].Ino++ }, "trust a mount", `"/"`},
		"a link in the way": {func(b *Boot) {
			b.Plan.Root = []plan.Mount{{Kind: plan.MountSymlink, Source: "/elsewhere", Target: "/proc/link"}}
		}, "make a symlink", "/proc/link"},
		"no such limit":             {func(b *Boot) { b.Plan.Limits[0].Name = plan.LimitTmp }, "set limits", string(plan.LimitTmp)},
		"a secret is missing":       {func(b *Boot) { b.Secrets = nil }, "", "TOKEN"},
		"a path that is gone":       {func(b *Boot) { b.Plan.Landlock.Paths[0].Path = "/absent" }, "put Landlock on", "/absent"},
		"no such access":            {func(b *Boot) { b.Plan.Landlock.Paths[0].Access = "all" }, "put Landlock on", `"all"`},
		"an ABI of the future":      {func(b *Boot) { b.Plan.Landlock.ABI = 99 }, "put Landlock on", "99"},
		"no ABI":                    {func(b *Boot) { b.Plan.Landlock.ABI = 0 }, "put Landlock on", "0"},
		"no filter":                 {func(b *Boot) { b.Plan.Seccomp.On = false }, "get the system call filter", ""},
		"an id that is not there":   {func(b *Boot) { b.Plan.Process.UID = -1 }, "map the server's own id", "uid_map"},
		"a group that is not there": {func(b *Boot) { b.Plan.Process.GID = -1 }, "map the server's own id", "gid_map"},
	} {
		t.Run(name, func(t *testing.T) {
			b := good
			b.Pins, b.Plan.Limits, b.Plan.Landlock.Paths = append([]Pin(nil), b.Pins...), append([]plan.Limit(nil), b.Plan.Limits...), append([]plan.Rule(nil), b.Plan.Landlock.Paths...)
			c.change(&b)
			l, err := live(b, filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			if m := l.last(); m.Kind != Failed || m.Step != c.step || !strings.Contains(m.Error, c.text) {
				t.Errorf("told %+v, want step %q with %q", l.told, c.step, c.text)
			}
			if strings.Contains(l.said, "NoNewPrivs") {
				t.Errorf("the server ran: %s", l.said)
			}
		})
	}
}

// If a packed boot can still be written to, another process can change the plan.
func TestBootIsSealed(t *testing.T) {
	f, err := (Boot{Plan: plan.Plan{Version: plan.Version}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const want = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if have, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); err != nil || have != want {
		t.Errorf("seals %#x, want %#x (%v)", have, want, err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("written: %v", err)
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("every program that is started holds the secrets: flags %#x, %v", flags, err)
	}
	var back Boot
	if err := read(int(f.Fd()), &back); err != nil || back.Plan.Version != plan.Version {
		t.Errorf("%+v, %v", back, err)
	}
	must := func(calls []uintptr, chosen func(fault.Call) bool, f func() error) {
		t.Helper()
		if unheard, err := fault.Each(calls, unix.EIO, chosen, f); err != nil || len(unheard) > 0 {
			t.Errorf("nobody heard of %v (%v)", unheard, err)
		}
	}
	seals := func(c fault.Call) bool { return c.Number != unix.SYS_FCNTL || c.Args[1] == unix.F_ADD_SEALS }
	must([]uintptr{unix.SYS_MEMFD_CREATE, unix.SYS_FCNTL}, seals, func() error {
		f, err := (Boot{}).Pack()
		if err == nil {
			f.Close()
		}
		return err
	})
	must([]uintptr{unix.SYS_FSTAT, unix.SYS_PREAD64}, nil, func() error { return read(int(f.Fd()), &back) })
	big := func(c fault.Call) bool { return c.Args[2] > 8 } // Go wakes itself with 8 bytes
	must([]uintptr{unix.SYS_WRITE}, big, func() error {
		f, err := (Boot{}).Pack()
		if err == nil {
			f.Close()
		}
		return err
	})
}

// A kernel whose Landlock is older than planned is an error, even if it would accept
// the ruleset.
func TestLandlockIsNoLessThanPlanned(t *testing.T) {
	l := plan.Landlock{ABI: 3, Paths: []plan.Rule{{Path: "/", Access: plan.AccessRead}}}
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	try := func(answer fault.Answer) (told error) {
		err := fault.Watch([]uintptr{unix.SYS_LANDLOCK_CREATE_RULESET}, func(c fault.Call) fault.Answer {
			if c.Args[2] == version {
				return answer
			}
			return fault.Pass
		}, func() {
			var fd int
			if fd, told = ruleset(l); told == nil {
				unix.Close(fd)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return told
	}
	if err := try(fault.Return(3)); err != nil {
		t.Errorf("the ABI of the plan: %v", err)
	}
	if err := try(fault.Return(2)); err == nil || !strings.Contains(err.Error(), "ABI 3") || !strings.Contains(err.Error(), "has 2") {
		t.Errorf("an ABI below the plan's: %v", err)
	}
	if err := try(fault.Fail(unix.EOPNOTSUPP)); err == nil || !strings.Contains(err.Error(), "has 0") {
		t.Errorf("no Landlock: %v", err)
	}
}

// Every rule that the kernel refuses is an error: without it the server would get
// EACCES for no visible reason, and without Landlock's port rules it would reach
// nothing.
func TestEveryRuleIsTheKernels(t *testing.T) {
	l := plan.Landlock{ABI: 4, Paths: []plan.Rule{{Path: "/", Access: plan.AccessSelf}, {Path: "/usr", Access: plan.AccessRead}, {Path: "/dev/null", Access: plan.AccessDev}},
		Connect: []plan.Span{{First: 80, Last: 82}}, Own: plan.Span{First: 40000, Last: 40003}}
	all := func(l plan.Landlock) error {
		fd, err := ruleset(l)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	unheard, err := fault.Each([]uintptr{unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_OPENAT, unix.SYS_FSTAT}, unix.EIO, nil, func() error { return all(l) })
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
	const ports = 2 // LANDLOCK_RULE_NET_PORT
	count := map[uint64]int{}
	if err := fault.Watch([]uintptr{unix.SYS_LANDLOCK_ADD_RULE}, func(c fault.Call) fault.Answer { count[c.Args[1]]++; return fault.Pass }, func() { err = all(l) }); err != nil {
		t.Fatal(err)
	}
	if err != nil || count[1] != 3 || count[ports] != 5 { // 80, 81, 82, and 40001, 40003
		t.Errorf("rules by kind: %v (%v)", count, err)
	}
	// No descriptor stays open, whatever the result.
	before := descriptors(t)
	l.Paths[2].Path = "/absent"
	if err := all(l); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/absent") {
		t.Errorf("a path that is not there: %v", err)
	}
	l.Paths[2] = plan.Rule{Path: "/dev/null", Access: "none"}
	if all(l) == nil {
		t.Error("an access that there is not")
	}
	l.Paths = l.Paths[:2]
	if err := all(l); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// descriptors counts this process's descriptors.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// The rights of each access form a table: a further right is one that the profile did
// not give, a missing one makes a server fail.
func TestAccessRights(t *testing.T) {
	const exec, write, read, list, rmdir, unlink, mkchar, mkdir, mkreg, mksock, mkfifo, mkblock, mksym, refer, truncate, ioctl = 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768
	_, _ = mkchar, mkblock // nobody gets these
	const edit = exec | write | read | truncate
	const editDir = edit | list | rmdir | unlink | mkdir | mkreg | mksym | refer
	for access, want := range map[plan.Access]struct{ file, dir uint64 }{
		plan.AccessRead:  {exec | read, exec | read | list},
		plan.AccessWrite: {edit, editDir},
		plan.AccessTmp:   {editDir | mksock | mkfifo, editDir | mksock | mkfifo},
		plan.AccessDev:   {read | write | ioctl, read | write | ioctl},
		plan.AccessSelf:  {list, list},
	} {
		for dir, want := range map[bool]uint64{false: want.file, true: want.dir} {
			if got, err := accessRights(access, dir); err != nil || uint64(got) != want {
				t.Errorf("%s on a directory (%v): %#x, want %#x (%v)", access, dir, uint64(got), want, err)
			}
		}
	}
	if got, err := accessRights("", true); err == nil || got != 0 {
		t.Errorf("no access: %#x, %v", got, err)
	}
	for abi, want := range map[int]struct{ net, scoped uint64 }{1: {}, 2: {}, 3: {}, 4: {net: 2}, 5: {net: 2}, 6: {2, 3}} {
		attr, err := handled(plan.Landlock{ABI: abi, Scoped: true})
		if err != nil || attr.HandledAccessNet != want.net || attr.Scoped != want.scoped || attr.HandledAccessFS == 0 {
			t.Errorf("ABI %d: %+v, %v", abi, attr, err)
		}
		if attr, err := handled(plan.Landlock{ABI: abi}); err != nil || attr.Scoped != 0 {
			t.Errorf("ABI %d without scopes: %+v, %v", abi, attr, err)
		}
	}
}

// Whoever started mcpen under a low limit meant it, and a limit above it cannot be set
// at all.
func TestLimitsStayWithinTheCallers(t *testing.T) {
	var have unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &have); err != nil {
		t.Fatal(err)
	}
	all := []limit{{name: plan.LimitOpenFiles, resource: unix.RLIMIT_NOFILE, value: have.Max + 1}, {name: plan.LimitOpenFiles, resource: unix.RLIMIT_NOFILE, value: 3}}
	if err := within(all); err != nil || all[0].value != leaving(have.Max) || all[1].value != 3 {
		t.Errorf("%+v, of %d (%v)", all, have.Max, err)
	}
	if err := within([]limit{{name: plan.LimitFileSize, resource: 999}}); err == nil || !strings.Contains(err.Error(), string(plan.LimitFileSize)) {
		t.Errorf("a limit that there is not: %v", err)
	}
	for most, want := range map[uint64]uint64{0: 0, 64: 64, 1024: 1024, 1025: 513, 4096: 3584} {
		if got := leaving(most); got != want {
			t.Errorf("of %d open files a server may have %d, want %d", most, got, want)
		}
	}
	// In a separate process whose limit on file sizes is lower than the plan's.
	b, _ := bootOf(t, policy.LayerLandlock, policy.LayerSeccomp)
	b.Plan.Limits = []plan.Limit{{Name: plan.LimitFileSize, How: plan.HowRlimit, Value: 1 << 40}, {Name: plan.LimitCPUTime, How: plan.HowRlimit, Value: 1001}}
	b.Plan.Process.Args = []string{"sh", "-c", "ulimit -f; ulimit -t"}
	l, err := live(b, filepath.Join(t.TempDir(), "out"))
	if err != nil || l.said != "2147483648\n2\n" {
		t.Errorf("file size and processor time: %q (%v)", l.said, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MCPEN_TEST_LOWERED") == "" {
		cmd := exec.Command("sh", "-c", `ulimit -f 2048 && exec "$1" -test.run='^TestLimitsStayWithinTheCallersLowered$'`, "sh", self)
		cmd.Env = append(os.Environ(), "MCPEN_TEST_LOWERED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("under a lower limit: %v\n%s", err, out)
		}
	}
}

// The half of the test above that runs under a lower limit.
func TestLimitsStayWithinTheCallersLowered(t *testing.T) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &own); err != nil {
		t.Fatal(err)
	}
	all := []limit{{name: plan.LimitFileSize, resource: unix.RLIMIT_FSIZE, value: 1 << 40}}
	if err := within(all); err != nil || all[0].value != min(own.Max, 1<<40) {
		t.Errorf("%+v, of %d (%v)", all, own.Max, err)
	}
	b, _ := bootOf(t)
	b.Plan.Limits = []plan.Limit{{Name: plan.LimitFileSize, How: plan.HowRlimit, Value: 1 << 40}}
	s, err := prepare(b, &Control{})
	if err != nil || s.limits[len(s.limits)-1].value != min(own.Max, 1<<40) {
		t.Errorf("a server would get %+v, of %d (%v)", s.limits, own.Max, err)
	}
}

// The exec stage reports a number for each step. A step without a description would
// make a start fail for no known reason.
func TestEveryStepHasWords(t *testing.T) {
	p := plan.Plan{Process: plan.Process{Dir: "/dir", Path: "/prog"}, Writes: plan.Writes{Folders: []string{"/first", "/second"}},
		Limits: []plan.Limit{{Name: plan.LimitOpenFiles, How: plan.HowRlimit, Value: 1}}}
	for number, want := range map[[2]int]string{
		{1, 0}: "die with pid 1", {2, 0}: "make a folder read-only for the server /first", {2, 1}: "make a folder read-only for the server /second",
		{2, 2}: "make a folder read-only for the server", {3, 0}: "set no_new_privs", {4, 0}: "drop capabilities CAPBSET", {5, 0}: "drop capabilities AMBIENT",
		{6, 0}: "drop capabilities capset", {7, 0}: "set limits core files", {7, 1}: "set limits " + string(plan.LimitOpenFiles), {7, 2}: "set limits core files",
		{8, 0}: "enter the working directory /dir", {9, 0}: executeStep + " /prog", {10, 0}: "put Landlock on", {11, 0}: "close descriptors close_range",
		{12, 0}: "load the system call filter", {13, 0}: "hand out the filter's listener", {14, 0}: executeStep + " /prog", {15, 0}: "hear of the exec stage 15", {0, 0}: "hear of the exec stage 0",
	} {
		m := Message{Kind: Failed, Stage: []int{number[0], int(unix.EIO), number[1]}}.Explain(p)
		if !strings.HasPrefix(want, m.Step) || m.Step == "" {
			t.Errorf("step %v is %q, want %q", number, m.Step, want)
		}
		if rest := strings.TrimSpace(strings.TrimPrefix(want, m.Step)); !strings.Contains(m.Error, rest) {
			t.Errorf("step %v says %q, want %q in it", number, m.Error, rest)
		}
		if number[0] > 0 && number[0] < 15 && m.Errno != int(unix.EIO) {
			t.Errorf("step %v lost its error number: %+v", number, m)
		}
	}
	if m := (Message{Kind: Failed, Step: "s", Stage: []int{1}}).Explain(p); m.Step != "s" {
		t.Errorf("another message was explained: %+v", m)
	}
}

// A message carries all its descriptors or is an error: if a listener got lost on the
// way, a call would wait for ever.
func TestControlLosesNothing(t *testing.T) {
	here, file, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	there := &Control{file}
	defer here.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := there.Send(Message{Kind: Listeners, Data: []byte(`[1]`), Files: []*os.File{null, null}}); err != nil {
		t.Fatal(err)
	}
	m, err := here.Receive()
	if err != nil || m.Kind != Listeners || len(m.Files) != 2 || string(m.Data) != "[1]" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, f := range m.Files {
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("what came would go to every program: %#x, %v", flags, err)
		}
	}
	closeAll(m.Files)
	many := make([]*os.File, maxFiles)
	for i := range many {
		many[i] = null
	}
	if err := there.Send(Message{Kind: Listeners, Files: many}); err != nil {
		t.Fatal(err)
	}
	if m, err = here.Receive(); err != nil || len(m.Files) != maxFiles {
		t.Errorf("%d of %d descriptors (%v)", len(m.Files), maxFiles, err)
	}
	closeAll(m.Files)
	before := descriptors(t)
	for what, data := range map[string][]byte{"too long": make([]byte, maxMessage+1), "no JSON": []byte("no JSON")} {
		if err := unix.Sendmsg(int(file.Fd()), data, unix.UnixRights(int(null.Fd())), nil, 0); err != nil {
			t.Fatal(err)
		}
		if m, err := here.Receive(); err == nil || !strings.Contains(err.Error(), "internal error") {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("refused messages left %d descriptors", after-before)
	}
	// Neither end waits for one that is gone.
	if err := here.Shutdown(); err != nil {
		t.Error(err)
	}
	for _, c := range []*Control{here, there} {
		if m, err := c.Receive(); err == nil || err.Error() != "EOF" {
			t.Errorf("after the end: %+v, %v", m, err)
		}
	}
	if there.Send(Message{Kind: Started}) == nil {
		t.Error("sent to nobody")
	}
	if err := there.Close(); err != nil {
		t.Error(err)
	}
	if unheard, err := fault.Each([]uintptr{unix.SYS_SOCKETPAIR, unix.SYS_SENDMSG, unix.SYS_RECVMSG}, unix.EIO, nil, func() error {
		here, there, err := NewControl()
		if err != nil {
			return err
		}
		defer here.Close()
		defer there.Close()
		if err := here.Send(Message{Kind: Started}); err != nil {
			return err
		}
		_, err = (&Control{there}).Receive()
		return err
	}); err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
}
