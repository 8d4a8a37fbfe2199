package probe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
)

// stageDir passes the folder of the built program to the test that runs again as
// another user.
const stageDir = "MCPEN_PROBE_STAGE"

// A probe that does not work outside proves nothing inside: the suite would pass
// without any sandbox.
func TestEveryProbeWorksOutside(t *testing.T) {
	dir := os.Getenv(stageDir)
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("/var/tmp", "mcpen-probe-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := stage.Build(dir, os.Geteuid()); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
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
	table := probe.Table()
	got, err := s.Outside(table)
	if err != nil {
		t.Fatal(err)
	}
	var absent []string
	for _, p := range table {
		r, ran := got[p.ID]
		if p.ID == "daemon" && r.OK {
			endDaemon(t, r.Detail)
		}
		switch {
		case !ran && p.Twin == probe.TwinRoot && os.Geteuid() != 0:
		case r.OK:
		case p.Absent != "" && r.Refused(p.Absent):
			absent = append(absent, p.ID+" ("+r.Errno+")")
		default:
			t.Errorf("%s: %s %s outside, %s; it has to work there", p.ID, r.Errno, r.Detail, p.Twin)
		}
	}
	t.Logf("not on this kernel: %s", strings.Join(absent, ", "))
}

// again runs this test as an unprivileged user.
func again(t *testing.T, root string) {
	t.Helper()
	dir := filepath.Join(root, "user")
	if err := stage.Build(dir, 20001); err != nil {
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
	cmd := exec.Command(test, "-test.run=^TestEveryProbeWorksOutside$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{stageDir + "=" + dir, "HOME=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 20001, Gid: 20001}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// endDaemon ends the process that the daemon probe left: the probe reported its pid,
// and this test must end it.
func endDaemon(t *testing.T, pid string) {
	t.Helper()
	n := 0
	for _, c := range pid {
		n = n*10 + int(c-'0')
	}
	if err := unix.Kill(n, unix.SIGKILL); err != nil {
		t.Errorf("the daemon did not outlive the probe: %v", err)
	}
}

// A row that cannot be judged is no test.
func TestTableIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range probe.Table() {
		switch {
		case p.ID == "" || p.Loss == "" || p.How == "" || p.Run == nil:
			t.Errorf("%q: incomplete row", p.ID)
		case seen[p.ID]:
			t.Errorf("%q is in the table twice", p.ID)
		case p.By == 0:
			t.Errorf("%q is held by no layer", p.ID)
		case p.Since != 0 && p.By&probe.Landlock == 0:
			t.Errorf("%s: not Landlock's, and since its version %d", p.ID, p.Since)
		case p.Want == "" && p.ID != "daemon":
			t.Errorf("%q says not what it wants", p.ID)
		}
		seen[p.ID] = true
		for _, errno := range slices.Concat(strings.Split(p.Want, "|"), strings.Split(p.Absent, "|")) {
			if !named(errno) {
				t.Errorf("%q: no errno or signal is called %q", p.ID, errno)
			}
		}
	}
}

func named(errno string) bool {
	if errno == "" || errno == probe.Held || unix.SignalNum(errno) != 0 {
		return true
	}
	for n := unix.Errno(1); n < 134; n++ {
		if unix.ErrnoName(n) == errno {
			return true
		}
	}
	return false
}
