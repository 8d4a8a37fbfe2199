package selftest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// The tests must not use the main thread: building a sandbox takes a thread into its
// mount namespace for good.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Mark {
		os.Exit(Attack(os.Args[1:], os.Stdin, os.Stderr))
	}
	sandbox.Hook()
	host.Hook()
	os.Exit(m.Run())
}

// userDir names the folder of the other user for the test that runs again as that user.
const userDir = "MCPEN_SELFTEST_DIR"

// everybody is an empty folder of the person's own, beside /tmp. Where root runs the
// test it runs it again as a user without privileges.
func everybody(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(userDir); dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("/srv", "mcpen-selftest-")
	if err != nil {
		if dir, err = os.MkdirTemp(os.Getenv("HOME"), "mcpen-selftest-"); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Run("unprivileged", func(t *testing.T) { again(t, dir) })
	}
	return dir
}

func again(t *testing.T, root string) {
	t.Helper()
	const uid = 20001
	dir, binary := filepath.Join(root, "user"), filepath.Join(root, "test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(binary, "-test.run=^"+name+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{userDir + "=" + dir, "HOME=" + dir, "TMPDIR=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("as user %d: %v", uid, err)
	}
}

// world is the part of an attacker's input that a test reads.
type world struct {
	Outside string `json:"outside"`
	Project string `json:"project"`
	TCP     int    `json:"tcp"`
}

// run attacks the closed default with the rig alone. more returns text
// for the profile, in its section on files or behind it. weaken takes something away
// from the plan.
func run(t *testing.T, root string, only []string, more func(world) string, weaken func(*plan.Plan, world)) (Report, error) {
	t.Helper()
	t.Setenv(Canary, "launcher")
	dir, err := os.MkdirTemp(root, "rig-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	state, own := filepath.Join(root, "state"), filepath.Join(root, "run")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := target{Dir: dir, Binary: self, State: state, Only: only}
	c.Plan = func(ctx context.Context, rig rig, argv []string) (plan.Plan, error) {
		var w world
		if len(argv) > 3 {
			if err := json.Unmarshal([]byte(argv[3]), &w); err != nil {
				return plan.Plan{}, err
			}
		}
		text := string(rig.profile("attacked", "", false))
		if more != nil && w.TCP != 0 {
			text = strings.Replace(text, "[limits]", more(w)+"[limits]", 1)
		}
		p, err := compile(ctx, root, state, own, text, argv)
		if err == nil && weaken != nil && w.TCP != 0 {
			weaken(&p, w)
		}
		return p, err
	}
	r, err := assess(t.Context(), c)
	if left, _ := filepath.Glob(filepath.Join(state, "selftest-*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
	return r, err
}

func compile(ctx context.Context, home, state, own, text string, argv []string) (p plan.Plan, err error) {
	parsed, err := policy.Parse("attacked.toml", []byte(text), nil)
	if err != nil {
		return p, err
	}
	pol, err := policy.Resolve(parsed, policy.Input{Home: home, State: state, Cwd: home})
	if err != nil {
		return p, err
	}
	prog, err := program.Find(argv, program.FindEnv{Path: "/usr/bin:/bin", Home: home, Dir: home})
	if err != nil {
		return p, err
	}
	h, err := host.Probe(ctx, host.Ask{Home: home, State: state, Runtime: own, Cwd: home, Paths: plan.Asks(pol, prog, home)})
	if err != nil {
		return p, err
	}
	return plan.Compile(pol, prog, h)
}

// drop takes a layer away.
func drop(p *plan.Plan, layers ...policy.Layer) {
	p.Layers = slices.DeleteFunc(slices.Clone(p.Layers), func(l policy.Layer) bool { return slices.Contains(layers, l) })
	if slices.Contains(layers, policy.LayerMediation) {
		for i, r := range p.Landlock.Paths {
			if slices.Contains(p.Writes.Folders, r.Path) {
				p.Landlock.Paths[i].Access = plan.AccessWrite
			}
		}
		p.Seccomp.Mediate, p.Writes = false, plan.Writes{}
	}
	if slices.Contains(layers, policy.LayerSeccomp) {
		p.Seccomp = plan.Seccomp{}
	}
	if slices.Contains(layers, policy.LayerLandlock) {
		p.Landlock = plan.Landlock{}
	}
}

// A selftest that cannot fail is worse than none: its user believes in a protection
// that is absent. For each protection that can be removed alone, the group of its
// attacks must say so and name the attack.
func TestWhatIsNotThereIsFound(t *testing.T) {
	root := everybody(t)
	for _, c := range []struct {
		name   string
		group  string
		attack string
		more   func(world) string
		weaken func(*plan.Plan, world)
	}{
		{"no filter", "kernel", "io-uring", nil, func(p *plan.Plan, _ world) { drop(p, policy.LayerSeccomp, policy.LayerMediation) }},
		{"no filter of sockets", "sockets", "socket-netlink-generic", nil, func(p *plan.Plan, _ world) { drop(p, policy.LayerSeccomp, policy.LayerMediation) }},
		{"no filter of processes", "prctl", "prctl-mm", nil, func(p *plan.Plan, _ world) { drop(p, policy.LayerSeccomp, policy.LayerMediation) }},
		{"no Landlock", "landlock", "write-docs", nil, func(p *plan.Plan, _ world) { drop(p, policy.LayerLandlock) }},
		{"no Landlock on signals", "processes", "kill-pid1", nil, func(p *plan.Plan, _ world) { p.Landlock.Scoped = false }},
		{"no mediator", "planted", "plant-config", nil, func(p *plan.Plan, _ world) { drop(p, policy.LayerMediation) }},
		{"a folder too many", "files", "list-outside", nil, func(p *plan.Plan, w world) {
			p.Root = append(p.Root, plan.Mount{Kind: plan.MountBind, Target: w.Outside, Source: w.Outside, Dir: true, Why: "a mistake"})
			p.Landlock.Paths = append(p.Landlock.Paths, plan.Rule{Path: w.Outside, Access: plan.AccessRead})
		}},
		{"a place that is not protected", "protected", "write-vscode-task", func(w world) string {
			return fmt.Sprintf("unprotect = [%q]\n", w.Project+"/.vscode")
		}, nil},
		{"a port of the host", "network", "tcp-host", func(w world) string { return fmt.Sprintf("[network]\nallow = [\"localhost:%d\"]\n", w.TCP) }, nil},
		{"a variable", "inherited", "environment", nil, func(p *plan.Plan, _ world) {
			p.Process.Env = append(p.Process.Env, plan.Env{Name: Canary, Value: "launcher"})
		}},
		{"a limit on a file's size", "limits", "file-size", nil, func(p *plan.Plan, _ world) {
			p.Limits = slices.DeleteFunc(slices.Clone(p.Limits), func(l plan.Limit) bool { return l.Name == plan.LimitFileSize })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := func(w world) string { return "" }
			if c.more != nil {
				whole = c.more
			}
			r, err := run(t, root, []string{c.group}, whole, c.weaken)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Groups) != 1 || r.Groups[0].Name != c.group || r.Groups[0].State != NotHeld {
				t.Fatalf("the group %s is not red: %v", c.group, states(r))
			}
			i := slices.IndexFunc(r.Groups[0].Attacks, func(a Attacked) bool { return a.ID == c.attack })
			if a := r.Groups[0].Attacks[i]; a.State != NotHeld || a.Why == "" || a.Inside != "works" {
				t.Errorf("%+v", a)
			}
			var text bytes.Buffer
			if err := r.WriteText(&text, nil); err != nil {
				t.Fatal(err)
			}
			if s := text.String(); !strings.Contains(s, "NOT HELD  "+c.group) || !strings.Contains(s, "WORK INSIDE") {
				t.Errorf("the report does not say so:\n%s", s)
			}
		})
	}
}

// On a machine that holds everything, the report must say so for each group, and say
// why it did not try an attack.
func TestAllIsHeld(t *testing.T) {
	root := everybody(t)
	r, err := run(t, root, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) != len(Names()) {
		t.Errorf("%d groups, want %d", len(r.Groups), len(Names()))
	}
	for _, g := range r.Groups {
		if g.State != Held {
			t.Errorf("%s is %s", g.Name, g.State)
		}
		for _, a := range g.Attacks {
			switch {
			case a.State == NotHeld:
				t.Errorf("%s: %s works inside: %s", g.Name, a.ID, a.Detail)
			case a.State == Held && (a.Outside == "" || a.Inside == "works" || a.Outside != "works"):
				t.Errorf("%s was proved by nothing: %+v", a.ID, a)
			case a.State == Unproved && a.Why == "":
				t.Errorf("nothing says why %s proves nothing", a.ID)
			case a.Why == WhyAnswer || a.Why == WhyOutside || a.Why == WhyTwin:
				t.Errorf("%s could be proved here: %s (%s)", a.ID, a.Why, a.Detail)
			}
		}
	}
	var text bytes.Buffer
	if err := r.WriteText(&text, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) > 24+len(r.Gaps) {
		t.Errorf("%d lines are more than a screen", len(lines))
	}
	for _, l := range lines {
		if len(l) > 80 && !strings.HasPrefix(l, "this machine") {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
}

// If a profile gives the folder of the attacks, each of them would work: the report
// then must not claim anything.
func TestNothingIsSaidOfWhatIsGiven(t *testing.T) {
	root := everybody(t)
	dir, err := os.MkdirTemp(root, "given-")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "rig")
	own := filepath.Join(root, "run")
	for _, d := range []string{folder, own} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(root, "state")
	_, err = assess(t.Context(), target{Dir: folder, Binary: self, State: state, Plan: func(ctx context.Context, r rig, argv []string) (plan.Plan, error) {
		text := strings.Replace(string(r.profile("attacked", "", false)), "read = [", fmt.Sprintf("read = [%q, ", dir), 1)
		return compile(ctx, root, state, own, text, argv)
	}})
	if err == nil || !strings.Contains(err.Error(), "which the profile gives") {
		t.Errorf("attacked what was given: %v", err)
	}
}

func states(r Report) []string {
	var out []string
	for _, g := range r.Groups {
		out = append(out, fmt.Sprintf("%s %s (%d held, %d not)", g.Name, g.State, g.count(Held), g.count(NotHeld)))
	}
	return out
}
