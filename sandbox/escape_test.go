package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// The main thread is kept out of the tests' way. Building a sandbox takes a
// thread into its mount namespace for good; were it this one, everything that
// is read below /proc/self from then on would be the sandbox's.
func init() { runtime.LockOSThread() }

// A setting is a sandbox with some of its layers. Without the namespaces it is
// none: one layer is put around the hostile program on the host as it is.
type setting struct {
	name string
	on   probe.Layers
}

// alone reports whether the setting is one layer around a program on the host. The test
// does not ask for such a layer's protection beyond its rows: it comes with
// no_new_privs, and Landlock's rules are those of a plan without namespaces, which
// grant less.
func (s setting) alone() bool { return s.on&probe.Namespaces == 0 }

const base = probe.Namespaces | probe.Limits

var settings = []setting{
	{"all", base | probe.Landlock | probe.Seccomp | probe.Mediation},
	{"no mediation", base | probe.Landlock | probe.Seccomp},
	{"no seccomp", base | probe.Landlock},
	{"no landlock", base | probe.Seccomp | probe.Mediation},
	{"neither", base},
	{"seccomp alone", probe.Seccomp},
	{"landlock alone", probe.Landlock},
}

// Everything that an attacker inside could take is in this table. A row that is
// not held with every layer on is a hole; a row that a layer should hold alone
// and does not is a layer that is there in name only; and a row that is held
// where its layer is off says a thing about the layers that is not so.
func TestEscape(t *testing.T) {
	s := everybody(t)
	table := probe.Table()
	outside, err := s.Outside(table)
	if err != nil {
		t.Fatal(err)
	}
	endDaemon(t, outside)
	inside := map[string]map[string]probe.Result{}
	settings := settings
	if testing.Short() {
		settings = settings[:1] // whether it holds, not by which layer
	}
	for _, set := range settings {
		if set.alone() {
			inside[set.name] = attackAlone(t, s, set, table)
		} else {
			inside[set.name] = attack(t, s, set.name, table, func(args ...string) plan.Plan { return drop(hostilePlan(t, s, args...), set.on) })
		}
	}
	show(t, settings, table, outside, inside)
	abi := hostilePlan(t, s).Landlock.ABI
	for _, p := range table {
		judge(t, p, abi, settings, outside, inside)
	}
}

// stoppedBy returns the layers that each stop a row where Landlock has a version.
func stoppedBy(p probe.Probe, abi int) probe.Layers {
	if abi < p.Since {
		return p.By &^ probe.Landlock
	}
	return p.By
}

// judge fails the test for one row, on a machine with a version of Landlock.
func judge(t *testing.T, p probe.Probe, abi int, settings []setting, outside map[string]probe.Result, inside map[string]map[string]probe.Result) {
	t.Helper()
	out, ran := outside[p.ID]
	absent := ran && !out.OK && p.Absent != "" && out.Refused(p.Absent)
	if ran && !out.OK && !absent {
		t.Errorf("%s proves nothing: outside it fails with %s %s", p.ID, out.Errno, out.Detail)
	}
	if p.ID == daemonID {
		return // it may start; attack looks for what it leaves
	}
	by := stoppedBy(p, abi)
	all := inside[settings[0].name][p.ID]
	switch {
	case by == 0:
		// TestLifePid1OutlivesEverySignal tests the signals that reach pid 1.
	case all.OK:
		t.Errorf("%s: a way out: %s (%s)\n\tlost: %s", p.ID, p.How, all.Detail, p.Loss)
	case by == p.By && !all.Refused(p.Want) && !(absent && all.Refused(p.Absent)):
		t.Errorf("%s: answered by %s (%s), want %s", p.ID, all.Errno, all.Detail, p.Want)
	}
	for _, set := range settings[1:] {
		r, should := inside[set.name][p.ID], by&set.on
		if _, tried := inside[set.name][p.ID]; !tried && set.alone() {
			continue // only root could try it
		}
		switch {
		case should != 0 && r.OK:
			t.Errorf("%s: with %s: %v should hold it alone and does not (%s)", p.ID, set.name, should, r.Detail)
		case should == 0 && !r.OK && ran && !absent && !set.alone():
			t.Errorf("%s: with %s: held by %s, though the table says that only %v holds it", p.ID, set.name, r.Errno, by)
		}
	}
}

// daemonID names the row that is judged by the process it leaves behind.
const daemonID = "daemon"

// attack runs every probe inside and looks for leftovers. A probe that took the sandbox
// with it has the result "gone"; the probes after it run in a new one.
func attack(t *testing.T, s *stage.Stage, setting string, table []probe.Probe, told func(args ...string) plan.Plan) map[string]probe.Result {
	t.Helper()
	results := map[string]probe.Result{}
	for start := 0; start < len(table); start = len(results) {
		got := attackIn(t, s, within(s), ids(table[start:]), told)
		for id, r := range got {
			results[id] = r
		}
		leftovers(t, s, setting, told().Seccomp.Mediate)
		if missing := start + len(got); missing < len(table) {
			id := table[missing].ID
			results[id] = probe.Result{ID: id, OK: true, Detail: "the sandbox is gone"}
		}
	}
	return results
}

// within is the stage's world as it is seen from a sandbox with namespaces.
func within(s *stage.Stage) probe.World {
	world := s.World
	world.Inside, world.Pid, world.Tmp = true, 1, "/tmp"
	return world
}

// attackIn runs probes in one sandbox: in the world as it is seen from there, under
// the plan that is made for the arguments of the hostile program.
func attackIn(t *testing.T, s *stage.Stage, world probe.World, ids []string, told func(args ...string) plan.Plan) map[string]probe.Result {
	t.Helper()
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	out, err := s.Output(filepath.Join(s.World.Project, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	runBox(t, s, told(append([]string{"run", string(text), out}, ids...)...))
	got, err := stage.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// leftovers fails the test if a sandbox left something behind: processes, files outside
// its folders, hooks.
func leftovers(t *testing.T, s *stage.Stage, setting string, mediated bool) {
	t.Helper()
	outlived(t, s, setting)
	for _, pattern := range []string{
		filepath.Join(s.World.Outside, "planted*"), filepath.Join(s.World.Docs, "planted"),
		filepath.Join(s.World.Docs, "renamed-in"), filepath.Join(filepath.Dir(s.Program), "planted"),
		filepath.Join(s.World.Project, ".git/hooks/*"), filepath.Join(s.World.Project, "sub/.git/hooks/*"),
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if found != nil && (mediated || !strings.Contains(pattern, "/sub/")) {
			t.Errorf("with %s: planted: %q", setting, found)
		}
	}
}

// outlived fails the test for processes that are left of a sandbox.
func outlived(t *testing.T, s *stage.Stage, setting string) {
	t.Helper()
	for _, pid := range processesOf(t, s.Program) {
		if pid != s.World.Stranger {
			t.Errorf("with %s: process %d outlived the sandbox", setting, pid)
		}
	}
}

// processesOf lists the processes that execute a program.
func processesOf(t *testing.T, program string) []int {
	t.Helper()
	return processes(t, func(_, args string) bool { return strings.HasPrefix(args, program+"\x00") })
}

// processes lists those with such a name and such arguments, each ended by a NUL.
func processes(t *testing.T, such func(name, args string) bool) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, dir := range dirs {
		name, err1 := os.ReadFile(filepath.Join(dir, "comm"))
		args, err2 := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err1 == nil && err2 == nil && !zombie(dir) && such(string(name), string(args)) {
			var pid int
			fmt.Sscan(filepath.Base(dir), &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

// zombie reports whether a process has ended and waits to be reaped, which a pid 1
// that is no init never does.
func zombie(dir string) bool {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	// "pid (name) state …", where the name may hold anything (proc_pid_stat(5)).
	return err == nil && strings.HasPrefix(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " Z")
}

// endDaemon kills the daemon that the probe left outside, by the pid that it reported.
func endDaemon(t *testing.T, outside map[string]probe.Result) {
	t.Helper()
	var pid int
	if _, err := fmt.Sscan(outside[daemonID].Detail, &pid); err != nil {
		t.Fatalf("the daemon told no pid: %v", outside[daemonID])
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("outside a daemon has to outlive its parent: %v", err)
	}
}

// drop takes layers out of a plan.
func drop(p plan.Plan, on probe.Layers) plan.Plan {
	keep := map[policy.Layer]bool{policy.LayerNamespaces: true, policy.LayerLimits: true}
	if keep[policy.LayerMediation] = on&probe.Mediation != 0; !keep[policy.LayerMediation] {
		unmediated(&p)
	}
	if keep[policy.LayerSeccomp] = on&probe.Seccomp != 0; !keep[policy.LayerSeccomp] {
		p.Seccomp = plan.Seccomp{}
	}
	if keep[policy.LayerLandlock] = on&probe.Landlock != 0; !keep[policy.LayerLandlock] {
		p.Landlock = plan.Landlock{}
	}
	var layers []policy.Layer
	for _, l := range p.Layers {
		if keep[l] {
			layers = append(layers, l)
		}
	}
	p.Layers = layers
	return p
}

// unmediated takes the mediator out of a plan: the server writes to its folders
// itself then.
func unmediated(p *plan.Plan) {
	for i, r := range p.Landlock.Paths {
		if slices.Contains(p.Writes.Folders, r.Path) {
			p.Landlock.Paths[i].Access = plan.AccessWrite
		}
	}
	p.Seccomp.Mediate, p.Writes = false, plan.Writes{}
}

// hostilePlan is the plan of the hostile program.
func hostilePlan(t *testing.T, s *stage.Stage, args ...string) plan.Plan {
	t.Helper()
	return planOf(t, s, hostileProfile(s), append([]string{s.Program}, args...))
}

// hostileProfile is a profile as a careful person would write it, with more
// folders to write to where they are named.
func hostileProfile(s *stage.Stage, more ...string) string {
	w := s.World
	write := fmt.Sprintf("%q", w.Project)
	for _, dir := range more {
		write += fmt.Sprintf(", %q", dir)
	}
	return fmt.Sprintf(`version = 1
name = "hostile"
[filesystem]
read = [%q, %q]
write = [%s]
[limits]
memory = "512MiB"
processes = %d
open-files = %d
file-size = "%dMiB"
tmp = "%dMiB"
tmp-files = %d
`, w.Docs, filepath.Dir(s.Program), write, stage.Processes, stage.OpenFiles, stage.FileSize>>20, stage.TmpBytes>>20, stage.TmpFiles)
}

// planOf walks the pipeline from a profile to a plan, on this machine.
func planOf(t *testing.T, s *stage.Stage, profile string, argv []string) plan.Plan {
	t.Helper()
	return planOn(t, s, profile, argv, func(*plan.Host) {})
}

// planOn is planOf where the probe found another machine than this one.
func planOn(t *testing.T, s *stage.Stage, profile string, argv []string, other func(*plan.Host)) plan.Plan {
	t.Helper()
	state := filepath.Dir(s.World.State)
	parsed, err := policy.Parse("hostile.toml", []byte(profile), nil)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Resolve(parsed, policy.Input{Home: s.World.Home, State: state, Cwd: s.World.Home})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := program.Find(argv, program.FindEnv{Path: "/usr/bin:/bin", Home: s.World.Home, Dir: s.World.Home})
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(s.World.Home, "run", "mcpen")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := host.Probe(t.Context(), host.Ask{Home: s.World.Home, State: state, Runtime: own, Cwd: s.World.Home,
		Paths: plan.Asks(pol, prog, s.World.Home)})
	if err != nil {
		t.Fatal(err)
	}
	other(&h)
	p, err := plan.Compile(pol, prog, h)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runBox runs a plan to its end, with stdio as a careless client gives it: a
// socket, a file, and a descriptor that is not close-on-exec.
func runBox(t *testing.T, s *stage.Stage, p plan.Plan) []audit.Event {
	t.Helper()
	t.Setenv(stage.Canary, "launcher")
	stdin, client, err := stage.Socket()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer stdin.Close()
	stdout, err := os.Create(filepath.Join(filepath.Dir(s.World.Secret), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	leak, err := unix.FcntlInt(stdout.Fd(), unix.F_DUPFD, 77)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)

	var events events
	box, err := sandbox.Start(context.Background(), p, sandbox.Stdio{In: stdin, Out: stdout, Err: os.Stderr}, events.sink, sandbox.Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := box.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if exit.Signal == 0 && exit.Code != 0 {
		t.Errorf("the hostile program ended with code %d", exit.Code)
	}
	return events.all()
}

// show prints the outcome of every row.
func show(t *testing.T, settings []setting, table []probe.Probe, outside map[string]probe.Result, inside map[string]map[string]probe.Result) {
	t.Helper()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "probe\toutside")
	for _, set := range settings {
		fmt.Fprint(w, "\t", set.name)
	}
	fmt.Fprintln(w, "\theld alone by")
	for _, p := range table {
		fmt.Fprint(w, p.ID, "\t", outsideCell(p, outside))
		for _, set := range settings {
			fmt.Fprint(w, "\t", cell(inside[set.name][p.ID]))
		}
		fmt.Fprintln(w, "\t", p.By)
	}
	w.Flush()
	t.Logf("what holds what, as user %d:\n%s", os.Geteuid(), b.String())
}

func outsideCell(p probe.Probe, outside map[string]probe.Result) string {
	r, ran := outside[p.ID]
	switch {
	case !ran:
		return "needs root"
	case !r.OK && p.Absent != "" && r.Refused(p.Absent):
		return "not on this kernel: " + r.Errno
	}
	return cell(r)
}

func cell(r probe.Result) string {
	switch {
	case r.ID == "":
		return "needs root"
	case r.OK:
		return "works"
	}
	return r.Errno
}

// escapeDir names the folder of the hostile program for the test that runs again as
// another user.
const escapeDir = "MCPEN_ESCAPE_DIR"

// everybody makes a stage for the user who runs the test. Where that is root it
// also runs the calling test again as a user without privileges, to the same
// end.
func everybody(t *testing.T) *stage.Stage {
	t.Helper()
	dir := os.Getenv(escapeDir)
	if dir == "" {
		dir = escapeRoot(t)
		if err := stage.Build(dir, os.Geteuid()); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			t.Run("unprivileged", func(t *testing.T) { again(t, dir) })
		}
	}
	s, err := stage.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// escapeRoot makes a folder outside /tmp and /var/tmp, which are private inside and
// would hide the files that these tests look for.
func escapeRoot(t *testing.T) string {
	t.Helper()
	for _, parent := range []string{"/home", "/srv", os.Getenv("HOME")} {
		dir, err := os.MkdirTemp(parent, "mcpen-escape-")
		if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Fatal("cannot make a folder beside /tmp: nothing to test in")
	return ""
}

// again runs the calling test as a user without privileges, in a process of its
// own.
func again(t *testing.T, root string) {
	t.Helper()
	const uid = 20001
	dir := filepath.Join(root, "user")
	if err := stage.Build(dir, uid); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(root, "test")
	if err := os.WriteFile(test, self, 0o755); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(test, "-test.run=^"+name+"$", "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()))
	cmd.Dir = dir
	cmd.Env = []string{escapeDir + "=" + dir, "HOME=" + dir, "TMPDIR=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, name := range []string{"MCPEN_SOAK_WRITES", "MCPEN_SOAK_SEED"} {
		if v := os.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	// People are in groups besides their own (sudo, plugdev, docker).
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{uid, 20009}}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("as user %d: %v", uid, err)
	}
}

// planFile writes a plan for a launcher that is another process, and returns its path.
func planFile(t *testing.T, dir string, p plan.Plan) string {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// pipe makes a pipe, closed at the end of the test.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); r.Close() })
	return r, w
}
