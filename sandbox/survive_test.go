package sandbox_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/plan"
)

// launchPlan names, for this test binary started as a launcher, a plan in JSON.
const launchPlan = "MCPEN_LAUNCH_PLAN"

// A killed launcher cannot clean up. Its processes must end all the same, also one that
// hides: in a session of its own, with no parent, PDEATHSIG cleared and every signal
// ignored.
func TestNothingOutlivesAKilledLauncher(t *testing.T) {
	s := everybody(t)
	p := hostilePlan(t, s)
	p.Process.Path = "/bin/sh"
	p.Process.Args = []string{"sh", "-c", `"$1" daemon 3>&1 && exec "$1" wait`, "sh", s.Program}
	file := planFile(t, filepath.Dir(s.Program), p)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	launcher := exec.Command(self, "-test.run=^TestLauncher$")
	launcher.Env = append(os.Environ(), launchPlan+"="+file)
	launcher.Stderr = os.Stderr
	stdin, err := launcher.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := launcher.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := launcher.Start(); err != nil {
		t.Fatal(err)
	}
	// The daemon is up when its pid arrives: output from the sandbox proves it.
	if _, err := stdout.Read(make([]byte, 16)); err != nil {
		launcher.Process.Kill()
		launcher.Wait()
		t.Fatal(err)
	}
	var watched []unix.PollFd
	for _, pid := range slices.DeleteFunc(processesOf(t, s.Program), func(pid int) bool { return pid == s.World.Stranger }) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it was on its way out
		}
		defer unix.Close(fd)
		watched = append(watched, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if len(watched) == 0 {
		t.Fatal("nothing of the server runs")
	}
	if err := launcher.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	launcher.Wait()
	for i := range watched {
		// The kernel tells of the end of a process by its pidfd.
		if n, err := unix.Poll(watched[i:i+1], 20_000); n != 1 || err != nil {
			t.Errorf("a process of the server outlives its launcher (%v)", err)
		}
	}
	// The next start removes the leftovers that the kernel keeps.
	p.Process.Args = []string{"sh", "-c", ":"}
	runBox(t, s, p)
}

// TestLauncher is no test of its own: it is the launcher that another one kills.
func TestLauncher(t *testing.T) {
	file := os.Getenv(launchPlan)
	if file == "" {
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p plan.Plan
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.Start(context.Background(), p, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, nil, sandbox.Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	box.Wait()
}
