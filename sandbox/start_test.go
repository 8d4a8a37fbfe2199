package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

func TestMain(m *testing.M) {
	sandbox.Hook()
	if file := os.Getenv(launcherPlan); file != "" {
		os.Exit(launch(file))
	}
	if tests := os.Getenv(otherMachine); tests != "" && os.Getpid() == 1 {
		os.Exit(asPid1(tests))
	}
	os.Exit(m.Run())
}

// launcherPlan names, for the test binary that is to be the launcher of one
// sandbox, the file with the plan.
const launcherPlan = "MCPEN_LAUNCHER_PLAN"

// launch starts a plan's server and waits for it.
func launch(file string) int {
	var p plan.Plan
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	var box *sandbox.Box
	if err == nil {
		box, err = sandbox.Start(context.Background(), p, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, nil, sandbox.Options{})
	}
	if err == nil {
		_, err = box.Wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// patience is how long a test waits for an event before it fails. No result depends on
// it.
const patience = 60 * time.Second

// pen is a place for servers: a folder that they may write to, and the folders of their
// launchers.
type pen struct {
	t       *testing.T
	layers  []policy.Layer
	project string
	runtime string
	home    string

	alive *os.File // the servers' output through the fifo; it ends when all of them are gone
	ours  *os.File // keeps it from ending before they are there
}

// newPen makes a place.
func newPen(t *testing.T, layers ...policy.Layer) *pen {
	t.Helper()
	root := t.TempDir()
	p := &pen{t: t, layers: layers, project: filepath.Join(root, "project"), runtime: filepath.Join(root, "run", "mcpen"), home: filepath.Join(root, "home")}
	for _, dir := range []string{p.project, filepath.Dir(p.runtime), p.home} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	fifo := filepath.Join(p.project, "alive")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		f    **os.File
		flag int
	}{{&p.alive, os.O_RDONLY | unix.O_NONBLOCK}, {&p.ours, os.O_WRONLY | unix.O_NONBLOCK}} {
		f, err := os.OpenFile(fifo, end.flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		*end.f = f
	}
	return p
}

// bounded gives the next thing that the test waits for its own time: one that starts thirty
// servers on a slow machine is not stuck.
func (p *pen) bounded() {
	p.t.Helper()
	if err := p.alive.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
}

// script is the beginning of every server: descriptor 9 leads to the test, and
// every process that it starts holds it.
const script = "exec 9>alive\n"

// require is the table of a profile that has exactly these layers.
func require(layers []policy.Layer) string {
	var without, more []string
	for _, l := range policy.DefaultLayers() {
		if !slices.Contains(layers, l) {
			without = append(without, fmt.Sprintf("%q", l))
		}
	}
	for _, l := range layers {
		if !slices.Contains(policy.DefaultLayers(), l) {
			more = append(more, fmt.Sprintf("%q", l))
		}
	}
	text := fmt.Sprintf("[require]\nwithout = [%s]\n", strings.Join(without, ", "))
	if len(more) > 0 {
		text += fmt.Sprintf("layers = [%s]\n", strings.Join(more, ", "))
	}
	return text
}

// plan is the plan of a shell script, with the lines of profile added.
func (p *pen) plan(profile string, text string, args ...string) plan.Plan {
	p.t.Helper()
	profile = fmt.Sprintf("version = 1\nname = \"life\"\n[filesystem]\nwrite = [%q]\n%s%s", p.project, require(p.layers), profile)
	return p.planOf(profile, append([]string{"sh", "-c", script + text, "server"}, args...)...)
}

// planOf walks the pipeline from a profile to a plan, on this machine.
func (p *pen) planOf(profile string, argv ...string) plan.Plan {
	t := p.t
	t.Helper()
	parsed, err := policy.Parse("life.toml", []byte(profile), nil)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Resolve(parsed, policy.Input{Home: p.home, State: filepath.Join(p.home, "state"), Cwd: p.project})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := program.Find(argv, program.FindEnv{Path: "/usr/bin:/bin", Home: p.home, Dir: p.project})
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Probe(t.Context(), host.Ask{Home: p.home, State: filepath.Join(p.home, "state"), Runtime: p.runtime, Cwd: p.project,
		Paths: plan.Asks(pol, prog, p.home)})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := plan.Compile(pol, prog, h)
	if err != nil && h.Landlock < 6 && strings.Contains(err.Error(), "this kernel's Landlock is too old") {
		t.Skipf("Landlock ABI %d cannot hold a server without namespaces, and a start is refused: %v", h.Landlock, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// hear waits for one line that a server wrote to descriptor 9.
func (p *pen) hear() string {
	p.t.Helper()
	p.bounded()
	var line []byte
	var b [1]byte
	for {
		if _, err := p.alive.Read(b[:]); err != nil {
			p.t.Fatalf("nothing heard from inside: %v", err)
		}
		if b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

// gone waits until no process holds descriptor 9 any more, and returns their last
// output.
func (p *pen) gone() string {
	p.t.Helper()
	if err := p.ours.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.bounded()
	var said strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := p.alive.Read(buf)
		said.Write(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.t.Fatalf("a process of the sandbox is still there: %v", p.holders())
		}
		if err != nil || n == 0 {
			return said.String()
		}
	}
}

// holders lists the processes that have a descriptor of the fifo, for a message.
func (p *pen) holders() (found []string) {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/9")
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasSuffix(to, "/alive") {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(fd)), "cmdline"))
			found = append(found, fmt.Sprintf("%s %q", fd, line))
		}
	}
	return found
}

// empty fails the test for leftovers of ended runs. The scratch directory of servers
// without namespaces stays.
func (p *pen) empty() {
	p.t.Helper()
	entries, err := os.ReadDir(p.runtime)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "scratch" {
			p.t.Errorf("left in the runtime directory: %s", e.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		p.t.Fatal(err)
	}
	if strings.Contains(string(mounts), p.runtime) {
		p.t.Errorf("left mounted below %s:\n%s", p.runtime, mounts)
	}
}

// run is a running server with the client's ends.
type run struct {
	t      *testing.T
	box    *sandbox.Box
	in     *os.File // the client writes here
	out    *os.File // and reads here
	stderr *os.File
	events events
	end    context.CancelFunc
}

// start starts a plan with pipes, as a client does.
func (p *pen) start(pl plan.Plan) *run {
	p.t.Helper()
	r, err := p.try(pl)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *pen) try(pl plan.Plan) (*run, error) {
	r := &run{t: p.t}
	var inside [3]*os.File
	for i, end := range []**os.File{&r.in, &r.out, &r.stderr} {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		p.t.Cleanup(func() { read.Close(); write.Close() })
		if i == 0 {
			inside[i], *end = read, write
		} else {
			inside[i], *end = write, read
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.t.Cleanup(cancel)
	r.end = cancel
	var err error
	r.box, err = sandbox.Start(ctx, pl, sandbox.Stdio{In: inside[0], Out: inside[1], Err: inside[2]}, r.events.sink, sandbox.Options{})
	return r, err
}

// wait waits for the end.
func (r *run) wait() sandbox.Exit {
	r.t.Helper()
	select {
	case <-r.box.Done():
	case <-time.After(patience):
		r.t.Fatal("the server does not end")
	}
	exit, err := r.box.Wait()
	if err != nil {
		r.t.Error(err)
	}
	return exit
}

// last is the one event of a kind.
func (r *run) last(kind audit.Kind) audit.Event {
	r.t.Helper()
	found := r.every(kind)
	if len(found) != 1 {
		r.t.Fatalf("%d events of the kind %q, want one", len(found), kind)
	}
	return found[0]
}

// every returns the events of a kind.
func (r *run) every(kind audit.Kind) []audit.Event {
	return slices.DeleteFunc(slices.Clone(r.events.all()), func(e audit.Event) bool { return e.Kind != kind })
}

// lifeUser names the folder for the tests that run again as another user.
const lifeUser = "MCPEN_LIFE_USER"

// TestUnprivileged runs every test of a server's life again as a user without
// privileges.
func TestUnprivileged(t *testing.T) {
	if os.Getenv(lifeUser) != "" {
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("not root: the tests run as a user already")
	}
	const uid = 20001
	dir, err := os.MkdirTemp("", "mcpen-life-") // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "test")
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^(TestLife|ExampleStart)"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = []string{lifeUser + "=1", "HOME=" + dir, "TMPDIR=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as user %d: %v\n%s", uid, err, out)
	} else {
		t.Logf("as user %d:\n%s", uid, out)
	}
}

// A caller that forgot the layers must not get an unconfined program.
func TestStartRefusesAPlanThatIsNoBoundary(t *testing.T) {
	for name, p := range map[string]plan.Plan{
		"zero":                {},
		"nothing but version": {Version: plan.Version},
		"Landlock alone":      {Version: plan.Version, Layers: []policy.Layer{policy.LayerLandlock}},
		"open network": {Version: plan.Version, Layers: []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp},
			Seccomp: plan.Seccomp{On: true}},
	} {
		p.Runtime = t.TempDir()
		p.Scratch = t.TempDir()
		p.Process = plan.Process{Path: "/bin/true", Args: []string{"true"}, Dir: "/"}
		box, err := sandbox.Start(t.Context(), p, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, nil, sandbox.Options{Raw: true})
		if err == nil {
			box.Wait()
			t.Errorf("%s: it started", name)
		}
	}
}
