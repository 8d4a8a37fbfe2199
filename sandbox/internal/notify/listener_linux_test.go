package notify

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/internal/seccomp/seccomptest"
	"mcpen/sandbox/plan"
)

func TestMain(m *testing.M) { seccomptest.Main(m) }

func TestKernelAsUnprivilegedUser(t *testing.T) { seccomptest.AsUser(t, 6) }

func TestKernelListenerSeesNamesAndGivesTheSameErrnos(t *testing.T) {
	p := plan.Seccomp{On: true, Notify: true}
	quiet := seccomptest.Errnos(t, seccomptest.Job{Filter: seccomptest.Marshal(t, plan.Seccomp{On: true}), Calls: seccomptest.Refusals})

	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Calls: seccomptest.Refusals})
	var calls []Call
	err := Serve(context.Background(), int(listener.Fd()), p, Judge{}, func(c Call) { calls = append(calls, c) })
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var got []syscall.Errno
	if err := json.Unmarshal([]byte(cmd.Stdout.(*strings.Builder).String()), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, quiet) {
		t.Errorf("with a listener %v, without %v", got, quiet)
	}

	var want, have []string
	for _, c := range seccomptest.Refusals {
		name := strings.Fields(c.Name)[0]
		if !slices.Contains([]string{"io_uring_setup", "clone3", "openat2", "socket MPTCP"}, c.Name) { // every runtime tries them
			want = append(want, strings.TrimSuffix(name, ",")+" "+c.With.Error())
		}
	}
	for _, c := range calls {
		have = append(have, c.Name+" "+c.Errno.Error())
		if c.PID != cmd.Process.Pid || c.Program == "" {
			t.Errorf("%s: reported of process %d %q, it was %d", c.Name, c.PID, c.Program, cmd.Process.Pid)
		}
	}
	for i := range have { // a burst of one name is counted, not lost
		if calls[i].More > 0 {
			t.Errorf("%s: %d more", have[i], calls[i].More)
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("reported\n%q\nwant\n%q", have, want)
	}
}

func TestKernelListenerLimitsReportsAndNotAnswers(t *testing.T) {
	const times = 500
	p := plan.Seccomp{On: true, Notify: true}
	calls := slices.Repeat([]seccomptest.Probe{{Name: "unshare", Nr: unix.SYS_UNSHARE}}, times)
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Calls: calls})
	reports, counted := 0, 0
	if err := Serve(context.Background(), int(listener.Fd()), p, Judge{}, func(c Call) { reports++; counted += 1 + c.More }); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var got []syscall.Errno
	if err := json.Unmarshal([]byte(cmd.Stdout.(*strings.Builder).String()), &got); err != nil {
		t.Fatal(err)
	}
	for _, errno := range got {
		if errno != syscall.EPERM {
			t.Fatalf("a call got %v", errno)
		}
	}
	if len(got) != times || counted != times || reports >= times/2 {
		t.Errorf("%d calls, %d answers, %d reports that count %d", times, len(got), reports, counted)
	}
}

// People who read a refusal want the name that the program looked for.
func TestKernelListenerTellsOpensThatFailForWantOfARule(t *testing.T) {
	dir := t.TempDir()
	there, missing, locked := filepath.Join(dir, "there"), filepath.Join(dir, "secret"), filepath.Join(dir, "locked")
	if err := os.WriteFile(there, []byte("ok\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(locked, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	outside := func(path string) bool { return path == missing }
	p := plan.Seccomp{On: true, Opens: true}
	script := `cd "$1"; cat there; cat secret; cat "$1/elsewhere"; : < /dev/null; : < /dev/stdin; echo x > new; cat locked; exit 0`
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: []string{"bash", "-c", script, "bash", dir}})
	var refused []string
	if err := Serve(context.Background(), int(listener.Fd()), p, Judge{Path: outside}, func(c Call) {
		refused = append(refused, c.Path+" "+c.Errno.Error())
		if c.Name != "openat" && c.Name != "open" || c.PID == 0 {
			t.Errorf("reported %+v", c)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want := []string{missing + " " + syscall.ENOENT.Error()}
	if os.Getuid() != 0 { // root reads any file
		want = append(want, locked+" "+syscall.EACCES.Error())
	}
	if !slices.Equal(refused, want) {
		t.Errorf("told %q, want %q", refused, want)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(got) != "x\n" {
		t.Errorf("an open that was observed did not go on: %q, %v", got, err)
	}
}

// Landlock refuses a connect without a report. Only such connects are reported: not
// other ports, not datagrams, not unix sockets.
func TestKernelListenerTellsConnectsToPortsWithoutARule(t *testing.T) {
	script := `
import socket
def attempt(family, kind, to):
    try:
        socket.socket(family, kind).connect(to)
    except OSError:
        pass
attempt(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 1))
attempt(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 1))
attempt(socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", 1))
attempt(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 2))
attempt(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 1))
attempt(socket.AF_UNIX, socket.SOCK_STREAM, "/nonexistent")
print("ok")
`
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not here")
	}
	p := plan.Seccomp{On: true, Notify: true}
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: []string{"python3", "-c", script}})
	var told []string
	judge := Judge{Addr: func(to netip.AddrPort) syscall.Errno {
		if to.Port() == 1 {
			return syscall.EACCES
		}
		return 0
	}}
	if err := Serve(context.Background(), int(listener.Fd()), p, judge, func(c Call) {
		if c.PID == 0 || c.Program != "python3" || c.Errno != syscall.EACCES {
			t.Errorf("reported %+v", c)
		}
		told = append(told, c.Addr.String())
	}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if out := cmd.Stdout.(*strings.Builder).String(); out != "ok\n" {
		t.Errorf("the program said %q", out)
	}
	if want := []string{"127.0.0.1:1", "[::1]:1", "127.0.0.1:1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// In a sandbox the paths, the process ids and the user differ from those outside.
func TestKernelListenerSeesThroughNamespaces(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"secret", "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	outside := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	script := `cd "$1"; cat mine secret; : < /proc/self/status; : < /proc/$$/stat; : < /dev/stdin; : <(true); ` +
		`{ : > mine; } ; { : > new; } ; cat "$1/never"; exit 0`
	p := plan.Seccomp{On: true, Opens: true}
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Hide: dir, Exec: []string{"bash", "-c", script, "bash", dir}})
	var told []string
	if err := Serve(context.Background(), int(listener.Fd()), p, Judge{Path: outside}, func(c Call) {
		told = append(told, strings.TrimPrefix(c.Path, dir)+": "+c.Errno.Error())
		if !slices.Contains([]string{"bash", "cat"}, c.Program) || c.PID == 0 {
			t.Errorf("reported %+v", c)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if out := cmd.Stdout.(*strings.Builder).String(); out != "mine\n" {
		t.Errorf("the program saw %q", out)
	}
	readOnly := ": " + syscall.EROFS.Error()
	want := []string{"/secret: " + syscall.ENOENT.Error(), "/mine" + readOnly, "/new" + readOnly}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestKernelListenerOutlivesDyingCallersAndEndsWithThem(t *testing.T) {
	p := plan.Seccomp{On: true, Notify: true, Opens: true}
	script := `for i in $(seq 40); do ( while :; do : < /dev/null; done ) & kill -9 $!; wait $!; done 2>/dev/null; exit 7`
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: []string{"bash", "-c", script}})
	if err := Serve(context.Background(), int(listener.Fd()), p, Judge{}, func(Call) {}); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("the program ended in %v", err)
	}
}

func TestKernelListenerEndsWithItsContext(t *testing.T) {
	p := plan.Seccomp{On: true, Notify: true}
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: []string{"cat"}})
	ctx, cancel := context.WithCancelCause(context.Background())
	over := errors.New("over")
	cancel(over)
	if err := Serve(ctx, int(listener.Fd()), p, Judge{}, func(Call) {}); err != over {
		t.Errorf("ended in %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
}

// An unanswered call must fail: after the launcher's death nothing may open.
func TestKernelRefusesWhenNobodyListensAnyMore(t *testing.T) {
	p := plan.Seccomp{On: true, Notify: true}
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Calls: []seccomptest.Probe{{Name: "unshare", Nr: unix.SYS_UNSHARE, Args: [6]uintptr{unix.CLONE_FS}}}})
	listener.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(cmd.Stdout.(*strings.Builder).String()); got != "[38]" {
		t.Errorf("an unanswered call got %s, want ENOSYS", got)
	}
}

func TestNamesCannotBeMadeUp(t *testing.T) {
	l := listener{plan: plan.Seccomp{On: true, Notify: true}}
	if then := l.verdict(notification{nr: unix.SYS_SOCKET}); then.Name != "socket" || then.quota != "socket" {
		t.Errorf("socket is %q under %q", then.Name, then.quota)
	}
	for _, nr := range []int32{-1, 100000, 100001} {
		if then := l.verdict(notification{nr: nr}); then.quota != "" || then.Kind != seccomp.Refused || then.Errno != syscall.ENOSYS {
			t.Errorf("unknown number %d takes a quota of its own, and with it memory, or gets %+v", nr, then)
		}
	}
}

// The first calls of a name are reported, the rest counted, and the last is never lost.
func TestReportsAreLimitedByName(t *testing.T) {
	var got []Call
	l := newLimiter(func(c Call) { got = append(got, c) })
	for range 3 * reportBurst {
		l.add("mount", Call{Name: "mount"})
	}
	l.add("ptrace", Call{Name: "ptrace", PID: 1})
	l.flush()
	l.flush()
	counted := map[string]int{}
	for _, c := range got {
		counted[c.Name] += 1 + c.More
	}
	if counted["mount"] != 3*reportBurst || counted["ptrace"] != 1 {
		t.Errorf("%v calls counted in %d reports", counted, len(got))
	}
	if len(got) < reportBurst+2 || len(got) > 2*reportBurst {
		t.Errorf("%d reports, want the first %d, one of the rest, and the other name's", len(got), reportBurst)
	}
}
