package sandbox_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// tiers runs a test with all layers, and with those that are left where a
// machine gives no namespaces.
func tiers(t *testing.T, test func(t *testing.T, p *pen)) {
	t.Run("namespaces", func(t *testing.T) {
		test(t, newPen(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp))
	})
	t.Run("without namespaces", func(t *testing.T) { test(t, newPen(t, policy.LayerLandlock, policy.LayerSeccomp)) })
}

// held is a pen for tests of protections that only namespaces give.
func held(t *testing.T) *pen {
	return newPen(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp)
}

// daemons leaves two processes behind, in sessions of their own, and tells their
// numbers; then it waits for the end of its input.
const daemons = `
setsid sh -c 'echo $$ >&9; exec sleep 1000' </dev/null >/dev/null 2>&1 &
(setsid sh -c 'echo $$ >&9; exec sleep 1000' </dev/null >/dev/null 2>&1 &)
cat >/dev/null
`

// A process that outlived the server would go on with the user's rights after the
// client has closed.
func TestLifeNothingOutlivesTheServer(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		r := p.start(p.plan("", daemons))
		p.hear()
		p.hear()
		r.in.Close()
		if exit := r.wait(); exit != (sandbox.Exit{}) {
			t.Errorf("the server ended with %+v", exit)
		}
		p.gone()
		p.empty()
	})
	t.Run("outside they stay", func(t *testing.T) {
		p := newPen(t)
		cmd := exec.Command("sh", "-c", script+daemons)
		cmd.Dir = p.project
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids := []string{p.hear(), p.hear()}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		for _, text := range pids {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Errorf("a daemon did not outlive its parent outside: the test proves nothing: %v", err)
			}
		}
		p.gone()
	})
}

// Clients kill the programs that they started, and are killed themselves. Neither may
// leave a server behind, nor anything that disturbs the next start.
func TestLifeKilledLauncher(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		file := planFile(t, p.home, p.plan("", daemons))
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{launcherPlan + "=" + file}
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p.hear()
		p.hear()
		records, err := sandbox.Sessions(p.runtime)
		if err != nil || len(records) != 1 || records[0].PID != cmd.Process.Pid {
			t.Errorf("what runs: %+v, %v", records, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		p.gone()
		if left, err := sandbox.Sessions(p.runtime); err != nil || len(left) != 0 {
			t.Errorf("a killed launcher is said to run: %+v, %v", left, err)
		}
		// The next start removes the leftovers that the kernel keeps.
		r := (&pen{t: t, layers: p.layers, project: t.TempDir(), runtime: p.runtime, home: p.home}).next()
		r.in.Close()
		r.wait()
		p.empty()
		for _, rec := range records {
			for _, g := range rec.Cgroup {
				if _, err := os.Stat(g); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("left: %s (%v)", g, err)
				}
			}
		}
	})
}

// The same at every moment of a start: the half-built parts must go, too. Only
// leftovers that the next start removes may stay.
func TestLifeKilledStart(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		file := planFile(t, p.home, p.plan("", "exit"))
		launch := func() *exec.Cmd {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = []string{launcherPlan + "=" + file}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return cmd
		}
		began := time.Now()
		launch().Wait()
		whole := time.Since(began)
		before := initial(t)
		ids := map[string]bool{}
		moments := 60
		if os.Getenv(fewMoments) != "" {
			moments = 15
		}
		for i := range moments {
			cmd := launch()
			time.Sleep(whole * time.Duration(i) / time.Duration(moments))
			cmd.Process.Kill()
			cmd.Wait()
			dirs, err := os.ReadDir(p.runtime)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			for _, d := range dirs {
				ids[d.Name()] = true
			}
		}
		for try := 0; ; try++ {
			left := slices.DeleteFunc(initial(t), func(pid int) bool { return slices.Contains(before, pid) })
			if len(left) == 0 {
				break
			}
			if try == 200 {
				t.Errorf("stages of killed starts are left: %v", left)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		for range 2 { // a group may be busy for a moment
			r := (&pen{t: t, layers: p.layers, project: t.TempDir(), runtime: p.runtime, home: p.home}).next()
			r.in.Close()
			r.wait()
		}
		p.empty()
		filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && ids[d.Name()] {
				t.Errorf("left: %s", path)
			}
			return nil
		})
	})
}

// initial are the processes that build a sandbox of this test's, or keep one. They are
// copies of this binary: those of anybody else's sandboxes are of another size.
func initial(t *testing.T) []int {
	t.Helper()
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	all := processes(t, func(name, args string) bool {
		return strings.HasPrefix(name, "runc:[") || strings.HasPrefix(name, "mcpen-") || strings.Contains(args, "mcpen-pid1")
	})
	return slices.DeleteFunc(all, func(pid int) bool {
		exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
		return err != nil || exe.Size() != own.Size()
	})
}

// next starts a server that waits for the end of its input, where nothing has to
// be heard of it.
func (p *pen) next() *run {
	profile := "version = 1\nname = \"next\"\n" + require(p.layers)
	return p.start(p.planOf(profile, "cat"))
}

// A server that will not go is made to.
func TestLifeStubbornServer(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		r := p.start(p.plan("", `trap '' TERM INT HUP; echo up >&9; cat >/dev/null; while :; do sleep 1000; done`))
		p.hear()
		r.end()
		if exit := r.wait(); exit != (sandbox.Exit{Signal: syscall.SIGKILL}) {
			t.Errorf("it ended with %+v, want SIGKILL", exit)
		}
		if e := r.last(audit.KindExit); e.Detail != "ended after SIGKILL" || e.Signal != "SIGKILL" {
			t.Errorf("the log says %q, %q", e.Detail, e.Signal)
		}
		p.gone()
		p.empty()
	})
}

// Before Landlock's ABI 6 a server may send signals to pid 1, which is of the same
// user. The kernel drops those that would end or stop a namespace's init, and pid 1
// minds none of the others: it still tells how the server ended.
func TestLifePid1OutlivesEverySignal(t *testing.T) {
	p := held(t)
	pl := p.plan("", `for s in $(seq 64); do kill -$s 1 || exit 1; done; sleep 0.1; test -d /proc/1 || exit 2; exit 42`)
	pl.Landlock.ABI, pl.Landlock.Scoped = min(pl.Landlock.ABI, 5), false
	r := p.start(pl)
	if exit := r.wait(); exit != (sandbox.Exit{Code: 42}) {
		t.Errorf("it ended with %+v", exit)
	}
	p.gone()
	p.empty()
}

// A server that ends on request is not killed.
func TestLifePoliteServer(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		r := p.start(p.plan("[wire]\ngrace = \"20s\"\n", `trap 'echo bye >&9; exit 3' TERM; echo up >&9; while :; do sleep 1000 & wait; done`))
		p.hear()
		r.end()
		if exit := r.wait(); exit != (sandbox.Exit{Code: 3}) {
			t.Errorf("it ended with %+v, want its own code", exit)
		}
		if e := r.last(audit.KindExit); e.Detail != "ended after SIGTERM" || e.Code == nil || *e.Code != 3 {
			t.Errorf("the log says %q, %v", e.Detail, e.Code)
		}
		if said := p.gone(); said != "bye\n" {
			t.Errorf("it said %q, want bye", said)
		}
		p.empty()
	})
}

// A fork bomb ends at the profile's limit, and not at the machine's.
func TestLifeForkBomb(t *testing.T) {
	const bomb = `
i=0
while [ $i -lt $1 ]; do
	(echo x >&9; exec sleep 1000) &
	i=$((i+1))
done
`
	t.Run("within the limit", func(t *testing.T) {
		p := held(t)
		r := p.start(p.plan("[limits]\nprocesses = 40\n", bomb+"echo all >&9; exit 0", "20"))
		if exit := r.wait(); exit != (sandbox.Exit{}) {
			t.Errorf("twenty children are too many: %+v", exit)
		}
		p.gone()
	})
	t.Run("beyond it", func(t *testing.T) {
		p := held(t)
		r := p.start(p.plan("[limits]\nprocesses = 40\n", bomb+"echo all >&9; exit 0", "400"))
		if exit := r.wait(); exit.Code == 0 && exit.Signal == 0 {
			t.Error("four hundred children were started")
		}
		if n := strings.Count(p.gone(), "x"); n > 40 || n < 1 {
			t.Errorf("%d children were started, and the limit is 40", n)
		}
		p.empty()
	})
}

// A server that eats memory loses its own life, and nobody else's.
func TestLifeMemoryBomb(t *testing.T) {
	const limits = "[limits]\nmemory = \"64MiB\"\n"
	var how plan.LimitHow
	run := func(t *testing.T, text string) (*pen, *run) {
		p := held(t)
		pl := p.plan(limits, text)
		limit, ok := pl.Limit(plan.LimitMemory)
		if how = limit.How; !ok {
			if os.Geteuid() == 0 {
				t.Error("root has no memory controller here")
			}
			t.Skip("needs a memory controller that was delegated to this user")
		}
		return p, p.start(pl)
	}
	t.Run("within the limit", func(t *testing.T) {
		p, r := run(t, "head -c 20000000 /dev/zero | tail -n 1 >/dev/null")
		if exit := r.wait(); exit != (sandbox.Exit{}) {
			t.Errorf("twenty megabytes are too many: %+v", exit)
		}
		if e := r.last(audit.KindExit); strings.Contains(e.Detail, "memory") {
			t.Errorf("it met no limit, and the log says %q", e.Detail)
		}
		p.gone()
	})
	t.Run("beyond it", func(t *testing.T) {
		p, r := run(t, "exec tail -n 1 /dev/zero >/dev/null")
		if exit := r.wait(); exit != (sandbox.Exit{Signal: syscall.SIGKILL}) {
			t.Errorf("it ended with %+v, want SIGKILL", exit)
		}
		// The kernel says nothing to anybody, and a person sees a server that is gone.
		if how != plan.HowSystemd { // whose group goes with its last process
			if e := r.last(audit.KindExit); !strings.HasSuffix(e.Detail, "memory over 64MiB") {
				t.Errorf("the log says %q", e.Detail)
			}
			said := make([]byte, 4096)
			n, err := r.stderr.Read(said)
			if err != nil || !strings.Contains(string(said[:n]), "killed: memory over 64MiB\n") {
				t.Errorf("stderr says %q, %v", said[:n], err)
			}
		}
		p.gone()
		p.empty()
	})
}

// A full /tmp is the server's own.
func TestLifeTmpIsBounded(t *testing.T) {
	p := held(t)
	r := p.start(p.plan("[limits]\ntmp = \"1MiB\"\ntmp-files = 60\n", `
head -c 500000 /dev/zero >/tmp/life-half && echo half fits >&9
cat /dev/zero 2>alive.err >/tmp/life-all || echo bytes end >&9
grep -q 'No space left' alive.err && echo ENOSPC >&9
rm /tmp/life-*
i=0
while touch /tmp/life-$i 2>alive.err; do i=$((i+1)); done
grep -q 'No space left' alive.err && echo ENOSPC >&9
[ $i -gt 10 ] && [ $i -lt 60 ] && echo files end >&9
`))
	for _, want := range []string{"half fits", "bytes end", "ENOSPC", "ENOSPC", "files end"} {
		if got := p.hear(); got != want {
			t.Errorf("inside it was %q, want %q", got, want)
		}
	}
	r.wait()
	p.gone()
	for _, dir := range []string{"/tmp", os.TempDir()} {
		if left, _ := filepath.Glob(filepath.Join(dir, "life-*")); left != nil {
			t.Errorf("on the host: %q", left)
		}
	}
}

// answer is a server that answers every line.
const answer = `while read line; do echo '{"jsonrpc":"2.0","id":1,"result":{}}'; done`

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n"

// Nobody has to read stderr for the conversation to go on.
func TestLifeStderrFlood(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		r := p.start(p.plan("", "yes noise >&2 &\n"+answer))
		lines := bufio.NewScanner(r.out)
		for range 100 {
			if _, err := r.in.WriteString(ping); err != nil {
				t.Fatal(err)
			}
			if !lines.Scan() || !strings.Contains(lines.Text(), `"result"`) {
				t.Fatalf("no answer: %q, %v", lines.Text(), lines.Err())
			}
		}
		r.end()
		r.wait()
		p.gone()
	})
}

// A server that talks without end is carried line by line, and ends with its
// client.
func TestLifeStdoutFlood(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		r := p.start(p.plan("", `exec yes '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'`))
		lines := bufio.NewScanner(r.out)
		for range 5000 {
			if !lines.Scan() || !json.Valid(lines.Bytes()) {
				t.Fatalf("not a message: %q, %v", lines.Text(), lines.Err())
			}
		}
		r.end()
		r.wait()
		p.gone()
	})
}

// A client that stopped reading does not keep a server alive.
func TestLifeStalledClient(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		r := p.start(p.plan("", `echo up >&9; exec yes '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'`))
		p.hear()
		r.end()
		r.wait()
		p.gone()
	})
}

// Clients start all their servers at once, and stop them so.
func TestLifeThirtyAtOnce(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		pl := p.plan("", "echo up >&9; "+answer)
		runs := make([]*run, 30)
		errs := make([]error, len(runs))
		var all sync.WaitGroup
		for i := range runs {
			all.Go(func() { runs[i], errs[i] = p.try(pl) })
		}
		all.Wait()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		for range runs {
			p.hear()
		}
		records, err := sandbox.Sessions(p.runtime)
		if err != nil || len(records) != len(runs) {
			t.Errorf("%d servers are said to run, %v", len(records), err)
		}
		for _, r := range runs {
			if _, err := r.in.WriteString(ping); err != nil {
				t.Error(err)
			}
			r.in.Close()
			if exit := r.wait(); exit != (sandbox.Exit{}) {
				t.Errorf("one ended with %+v", exit)
			}
		}
		p.gone()
		p.empty()
		for _, rec := range records {
			for _, g := range rec.Cgroup {
				if _, err := os.Stat(g); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("left: %s (%v)", g, err)
				}
			}
		}
	})
}

// A start that fails leaves nothing.
func TestLifeFailedStart(t *testing.T) {
	tiers(t, func(t *testing.T, p *pen) {
		program := filepath.Join(p.project, "program")
		if err := os.WriteFile(program, []byte("this is no program\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		pl := p.plan("", "")
		pl.Process.Path, pl.Process.Args = program, []string{program}
		r, err := p.try(pl)
		var not *sandbox.NotExecutable
		if !errors.As(err, &not) || not.Path != program {
			t.Errorf("%v", err)
		}
		if events := r.events.all(); len(events) != 0 {
			t.Errorf("the log speaks of a server that never was: %+v", events)
		}
		p.empty()
	})
}
