package child

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// run forks a stage of this process and waits for the result. A stage that became a
// program does nothing and exits.
func run(t *testing.T, s stage) error {
	t.Helper()
	here, there, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	defer there.Close()
	s.control = there
	if s.dir == "" {
		s.dir = "/"
	}
	if s.path == "" {
		s.path = "/bin/true"
	}
	s.ruleset, s.argv = -1, []string{s.path}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if err := s.proceed(); err != nil {
		t.Fatal(err)
	}
	failed := s.await()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(s.pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	if failed == nil && status.ExitStatus() != 0 {
		t.Errorf("it ended with %#x and nothing was told", status)
	}
	return failed
}

// A server that cannot start must name the failed step and the error: a person has to
// tell a file to fix from a broken sandbox.
func TestStageSaysWhatFailed(t *testing.T) {
	dir := t.TempDir()
	garbage, plain := filepath.Join(dir, "garbage"), filepath.Join(dir, "plain")
	if err := errors.Join(os.WriteFile(garbage, []byte("no program"), 0o755), os.WriteFile(plain, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	p := plan.Plan{Process: plan.Process{Dir: "/nowhere", Path: garbage}}
	for _, c := range []struct {
		name  string
		stage stage
		step  string
		errno syscall.Errno
	}{
		{"nothing", stage{}, "", 0},
		{"the directory", stage{dir: "/nowhere"}, "enter the working directory", unix.ENOENT},
		{"no program", stage{path: filepath.Join(dir, "absent")}, executeStep, unix.ENOENT},
		{"not executable", stage{path: plain}, executeStep, unix.EACCES},
		{"no format", stage{path: garbage}, executeStep, unix.ENOEXEC},
		{"a limit that there is not", stage{limits: []limit{{name: plan.LimitOpenFiles, resource: 999}}}, "set limits", unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := run(t, c.stage)
			if c.step == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			m := failure(err)
			if m.Step != c.step || m.Errno != int(c.errno) {
				t.Errorf("told %q, errno %d (%s); want %q, %d", m.Step, m.Errno, m.Error, c.step, c.errno)
			}
			if c.step == "set limits" && !strings.Contains(m.Error, string(plan.LimitOpenFiles)) {
				t.Errorf("%q does not name the limit", m.Error)
			}
		})
	}
	// The C keeper reports numbers, and the launcher gives the same description.
	for number, want := range map[int]string{8: "enter the working directory", 14: executeStep} {
		if m := (Message{Kind: Failed, Stage: []int{number, int(unix.ENOENT), 0}}).Explain(p); m.Step != want || m.Errno != int(unix.ENOENT) {
			t.Errorf("step %d is %q, errno %d", number, m.Step, m.Errno)
		}
	}
}

// The server gets exactly the given arguments, environment, limits, umask and
// directory.
func TestStageHasWhatItWasGiven(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := stage{ruleset: -1, dir: filepath.Dir(out), path: "/bin/sh", umask: 0o077,
		argv: []string{"sh", "-c", `printf '%s %s %s\n' "$1" "$TOKEN" "$(ulimit -n)" > out`, "sh", "a b"}, envv: []string{"TOKEN=hunter2"},
		limits: []limit{{name: plan.LimitOpenFiles, resource: unix.RLIMIT_NOFILE, value: 64}}}
	here, there, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	defer there.Close()
	s.control = there
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.proceed(), s.await()); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(s.pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil || string(got) != "a b hunter2 64\n" {
		t.Errorf("%q, %v, status %#x", got, err, status)
	}
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// A signal is one byte, which keeper.c reads; everything else is JSON.
func TestSignalIsOneByte(t *testing.T) {
	data, err := (Message{Kind: Signal, Signal: int(unix.SIGTERM)}).encode()
	if err != nil || len(data) != 1 || data[0] != byte(unix.SIGTERM) {
		t.Errorf("%v, %v", data, err)
	}
	m, err := decode(data)
	if err != nil || m.Kind != Signal || m.Signal != int(unix.SIGTERM) {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := decode(nil); err == nil {
		t.Error("nothing was a message")
	}
}
