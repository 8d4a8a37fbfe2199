package sandbox_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// otherMachine has the test binary be pid 1 of another machine: its value is the
// tests that run there.
const otherMachine = "MCPEN_OTHER_MACHINE"

// fewMoments has TestLifeKilledStart kill fewer starts: here the moment is not the
// point.
const fewMoments = "MCPEN_FEW_MOMENTS"

// asPid1 is a pid 1 that reaps only its own children, as the shell or the service of a
// container often does, on a machine whose /proc is as under systemd's ProtectProc= and
// NoExecPaths=. It returns the exit status.
func asPid1(tests string) int {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "hidepid=2")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot mount another /proc:", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", "-test.run="+tests, "-test.v")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, otherMachine+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if uid := os.Getenv("MCPEN_OTHER_UID"); uid != "" {
		var id uint32
		fmt.Sscan(uid, &id)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Zombies that nobody reaps are no abandoned stages, and a start must not fail because
// /proc hides other users' processes.
func TestLifeOnAnotherMachine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: nobody else mounts a /proc with options")
	}
	const tests = "^(TestLifeKilledStart|TestLifePoliteServer)$"
	dir, err := os.MkdirTemp("", "mcpen-machine-") // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	const uid = 20001
	binary := filepath.Join(dir, "test")
	if err := errors.Join(os.WriteFile(binary, self, 0o755), os.Chown(dir, uid, uid)); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{"root": nil, "user": {"MCPEN_OTHER_UID=20001", lifeUser + "=1", "HOME=" + dir, "TMPDIR=" + dir}} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // Pdeathsig is of the thread that starts the process
			defer runtime.UnlockOSThread()
			cmd := exec.Command(binary)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), append(env, otherMachine+"="+tests, fewMoments+"=1")...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, want := range []string{"--- PASS: TestLifeKilledStart", "--- PASS: TestLifePoliteServer"} {
				if err == nil && !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}
