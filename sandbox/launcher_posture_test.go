package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/internal/scope"
	"mcpen/sandbox/plan"
)

// exploit turns this test's binary into a launcher that somebody has taken over: it
// starts the plan's server, and then acts as an attacker.
const exploit = "MCPEN_EXPLOITED_LAUNCHER"

// exploited is the input of such a launcher.
type exploited struct {
	Plan    plan.Plan
	World   probe.World
	Kept    string   // the folder that is left to it
	Probes  []string // of the table
	Allowed string   // where the server may connect to
}

// found holds its findings.
type found struct {
	Results map[string]probe.Result
	Threads map[string]string // each thread's state in /proc, by its number
	Own     map[string]string // the work that it must still be able to do, and the error
	Left    []string          // of the sandbox, when it is gone
	Events  []audit.Event
}

func init() {
	if text := os.Getenv(exploit); text != "" {
		var x exploited
		err := json.Unmarshal([]byte(text), &x)
		if err == nil {
			err = x.run(os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "exploited launcher:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func (x exploited) run(out io.Writer) error {
	os.Unsetenv(exploit)
	in, client, err := os.Pipe()
	if err != nil {
		return err
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	f := found{Results: map[string]probe.Result{}, Threads: map[string]string{}, Own: map[string]string{}}
	sink := func(e audit.Event) error {
		mu.Lock()
		defer mu.Unlock()
		f.Events = append(f.Events, e)
		return nil
	}
	box, err := sandbox.Start(context.Background(), x.Plan, sandbox.Stdio{In: in, Out: null, Err: os.Stderr}, sink,
		sandbox.Options{Raw: true, Confine: &sandbox.Confinement{Write: []string{x.Kept}}})
	if err != nil {
		return err
	}
	for _, id := range x.Probes {
		f.Results[id] = tryOn(id, x.World)
	}
	for name, err := range map[string]error{"keep": x.keep(), "interfaces": interfaces(), "lookup": lookup(), "connect": x.connect()} {
		if f.Own[name] = "ok"; err != nil {
			f.Own[name] = err.Error()
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		b, err := os.ReadFile("/proc/self/task/" + t.Name() + "/status")
		if err != nil {
			continue // it is over
		}
		s := statusIn(string(b))
		f.Threads[t.Name()] = s["NoNewPrivs"] + " " + s["Seccomp"] + " " + s["Seccomp_filters"] + " " + s["CapPrm"] + " " + s["CapAmb"]
	}
	client.Close()
	if _, err := box.Wait(); err != nil {
		return err
	}
	left, err := os.ReadDir(x.Plan.Runtime)
	for _, e := range left {
		f.Left = append(f.Left, e.Name())
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(f)
}

// statusIn reads the text of /proc/PID/status.
func statusIn(text string) map[string]string {
	s := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		s[key] = strings.TrimSpace(value)
	}
	return s
}

// tryOn runs one probe on a new thread, which ends with it.
func tryOn(id string, w probe.World) probe.Result {
	p, ok := probe.Find(id)
	if !ok {
		return probe.Result{ID: id, Errno: "EUNKNOWN", Detail: "no such probe"}
	}
	c := make(chan probe.Result, 1)
	go func() {
		runtime.LockOSThread()
		c <- p.Run(w)
	}()
	select {
	case r := <-c:
		return r
	case <-time.After(20 * time.Second):
		return probe.Result{ID: id, Errno: "ETIMEDOUT"}
	}
}

// keep does the work of a log and of pins.
func (x exploited) keep() error {
	name := filepath.Join(x.Kept, "log")
	if err := os.WriteFile(name, []byte("a line\n"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(name, name+".1"); err != nil {
		return err
	}
	if b, err := os.ReadFile(name + ".1"); err != nil || len(b) == 0 {
		return fmt.Errorf("%q, %v", b, err)
	}
	return os.Remove(name + ".1")
}

// interfaces and lookup ask the machine as the egress does.
func interfaces() error {
	_, err := net.InterfaceAddrs()
	return err
}

func lookup() error {
	_, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", "localhost")
	return err
}

// connect connects as the egress does.
func (x exploited) connect() error {
	c, err := net.Dial("tcp", x.Allowed)
	if err != nil {
		return err
	}
	return c.Close()
}

// beyond are the probes that are no attack by a launcher, or none that can be tried
// in a process that goes on, with why.
var beyond = map[string]string{
	"daemon": "starts a process, and is judged by what becomes of that",
	"x32":    "ends the process", "i386": "ends the process", "i386-socketcall": "ends the process",
	"capabilities": "asked of each thread; no_new_privs makes the bounding set void",
	"groups":       "the user's own",
	"no-new-privs": "asked of each thread", "seccomp-mode": "asked of each thread", "leaked-fds": "they are the launcher's own",
	"environment": "its own", "stdio-tty": "its own", "controlling-tty": "the user's own terminal, which Landlock holds where there is one",
	"stdio-reopen": "its own", "stdio-scm": "its own", "stdio-shutdown": "its own", "cwd-outside": "it is outside", "core-limit": "it has none that is dumped",
	"self-oom": "its own", "environ-pid1": "root's pid 1 is another user's", "kill-pid1": "is kill-stranger here", "pidfd-kill-pid1": "is kill-stranger here",
	"find-sockets": "a look, not a connection: unix-path is one", "see-stranger": "command lines are everybody's in /proc",
	"proc-keys": "everybody's in /proc", "timer-list": "root's in /proc",
	"interfaces": "what the egress has to ask", "sys-present": "names", "cgroup-present": "names",
}

// attacksOn lists the probes of the table to try in a launcher: all but those in
// beyond, those of the limits, of scripts, and of folders lent to a server.
func attacksOn(t *testing.T) []probe.Probe {
	var out []probe.Probe
	known := map[string]bool{}
	for _, p := range probe.Table() {
		known[p.ID] = true
		switch {
		case beyond[p.ID] != "", p.By == probe.Limits, p.TTY, strings.HasPrefix(p.ID, "proc1-"), strings.HasPrefix(p.ID, "dev-"),
			strings.HasPrefix(p.ID, "node-"), strings.HasPrefix(p.ID, "python"):
			continue
		}
		out = append(out, p)
	}
	for id := range beyond {
		if !known[id] {
			t.Errorf("%s is no probe any more", id)
		}
	}
	return out
}

// If a server exploits a mistake in its launcher, it gains nothing: no file of the
// user's, no program, no other process, and only the profile's hosts. The same attacks
// work outside. The second list names the attacks that a plan leaves open to its
// launcher.
func TestExploitedLauncher(t *testing.T) {
	s := everybody(t)
	allowed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer allowed.Close()
	attacks := attacksOn(t)
	free, err := s.Outside(attacks)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	shown := slices.DeleteFunc(slices.Clone(attacks), func(p probe.Probe) bool { return !free[p.ID].OK })
	if len(shown) < len(attacks)/2 {
		t.Errorf("only %d of %d attacks work outside", len(shown), len(attacks))
	}
	local := fmt.Sprintf("localhost:%d", allowed.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct {
		name, allow string
		left        []string
		own         map[string]string
	}{
		{"no network", ``, nil, map[string]string{"keep": "ok", "interfaces": "operation not permitted", "connect": "operation not permitted"}},
		{"a port", fmt.Sprintf("[network]\nallow = [%q]\n", local), nil, map[string]string{"keep": "ok", "interfaces": "ok", "connect": "ok"}},
		// Landlock knows no ports of UDP before ABI 10, and a DNS question goes to any
		// server that the host's resolver names.
		{"names", fmt.Sprintf("[network]\nallow = [%q, \"allowed.test:443\"]\n", local), []string{"udp-host"},
			map[string]string{"keep": "ok", "interfaces": "ok", "lookup": "ok", "connect": "ok"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			profile := fmt.Sprintf("version = 1\nname = \"hostile\"\n[filesystem]\nread = [%q, %q]\n", s.World.Docs, filepath.Dir(s.Program))
			x := exploited{Plan: planOf(t, s, profile+c.allow, []string{s.Program, "wait"}), World: s.World,
				Kept: filepath.Join(s.World.Home, "kept"), Allowed: allowed.Addr().String()}
			x.World.Pid = s.World.Stranger
			if err := os.MkdirAll(x.Kept, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, a := range attacks {
				x.Probes = append(x.Probes, a.ID)
			}
			got := x.start(t)
			for _, a := range attacks {
				r, left := got.Results[a.ID], slices.Contains(c.left, a.ID)
				if r.OK != left {
					t.Errorf("%s in the launcher: %+v (%s)", a.ID, r, a.Loss)
				} else if !r.OK && (r.Errno == "" || r.Errno == "ETIMEDOUT" || r.Errno == "EUNKNOWN") {
					t.Errorf("%s: %+v", a.ID, r)
				}
			}
			for name, want := range c.own {
				if !strings.HasSuffix(got.Own[name], want) {
					t.Errorf("%s: %s, want %s", name, got.Own[name], want)
				}
			}
			for id, thread := range got.Threads {
				want := "1 2 2 0000000000000000 0000000000000000"
				if os.Geteuid() == 0 {
					want = "1 2 2 0000000000000002 0000000000000000" // CAP_DAC_OVERRIDE
				}
				if thread != want {
					t.Errorf("thread %s has no_new_privs, seccomp mode and filters, capabilities %s, want %s", id, thread, want)
				}
			}
			if len(got.Threads) < 3 || len(got.Left) > 0 {
				t.Errorf("%d threads; left behind: %q", len(got.Threads), got.Left)
			}
		})
	}
}

// A launcher that may not look into other processes still reports its server's
// refusals: which file, which address, which call.
func TestConfinedLauncherTellsWhatWasRefused(t *testing.T) {
	s := everybody(t)
	world, err := json.Marshal(s.World)
	if err != nil {
		t.Fatal(err)
	}
	profile := fmt.Sprintf("version = 1\nname = \"hostile\"\n[filesystem]\nread = [%q]\n[log]\nfiles = true\n", filepath.Dir(s.Program))
	p := planOf(t, s, profile, []string{s.Program, "run", string(world), "/dev/null", "read-ssh-key", "tcp-host", "chroot"})
	if !p.Seccomp.Notify {
		t.Skip("no user notification on this machine, and so no such words")
	}
	x := exploited{Plan: p, World: s.World, Kept: filepath.Join(s.World.Home, "kept")}
	if err := os.MkdirAll(x.Kept, 0o700); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range x.start(t).Events {
		told = append(told, fmt.Sprintf("%s %s %s", e.Kind, e.Verdict, e.Subject))
	}
	for _, want := range []string{"file refused " + s.World.Secret, fmt.Sprintf("connect refused localhost:%d", s.World.TCP), "syscall refused chroot"} {
		if !slices.Contains(told, want) {
			t.Errorf("not told: %s; told: %q", want, told)
		}
	}
}

// A launcher that cannot be confined runs no server, and says why.
func TestLauncherThatIsNotConfinedStopsTheStart(t *testing.T) {
	s := everybody(t)
	profile := fmt.Sprintf("version = 1\nname = \"hostile\"\n[filesystem]\nread = [%q]\n", filepath.Dir(s.Program))
	x := exploited{Plan: planOf(t, s, profile, []string{s.Program, "wait"}), World: s.World, Kept: filepath.Join(s.World.Home, "none")}
	out, err := x.command(t).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "cannot confine the launcher: open "+x.Kept+": no such file") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(x.Plan.Runtime); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if pids := slices.DeleteFunc(processesOf(t, s.Program), func(pid int) bool { return pid == s.World.Stranger }); len(pids) > 0 {
		t.Errorf("the server runs: %v", pids)
	}
}

func (x exploited) command(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), exploit+"="+string(text), stage.Canary+"=launcher", scope.Variable+"=1")
	return cmd
}

// start runs the launcher to its end.
func (x exploited) start(t *testing.T) found {
	t.Helper()
	cmd := x.command(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var f found
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	if err != nil {
		t.Fatalf("the launcher: %v\n%s", err, out)
	}
	return f
}
