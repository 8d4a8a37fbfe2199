package sandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/internal/probe/stage"
)

// fill has as many descriptors under way as the kernel lets it, says so and waits for
// the end of its stdin.
const fill = `
import array, resource, socket, sys
keep = []
try:
    while True:
        keep += socket.socketpair()
        keep[-1].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))])
except OSError as e:
    print(e.errno, file=sys.stderr, flush=True)
sys.stdin.read()
`

// send sends one descriptor, as every start of a sandbox does, where 64 may be open.
const send = `
import array, resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
a, b = socket.socketpair()
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
`

// The kernel counts the descriptors in flight between a user's processes for all of
// them together. A server that uses up the count stops other processes of the user with
// a lower limit (the twin), but no start of another server.
func TestDescriptorsUnderWayStopNoOtherServer(t *testing.T) {
	s := everybody(t)
	if s.World.Python == "" {
		t.Skip("no /usr/bin/python3")
	}
	if os.Geteuid() == 0 {
		t.Skip("root: the kernel counts nothing for it (unprivileged is the other half)")
	}
	profile := "version = 1\nname = \"hostile\"\n"
	in, client := pipe(t)
	said, stderr := pipe(t)
	first, err := sandbox.Start(context.Background(), planOf(t, s, profile, []string{s.World.Python, "-c", fill}),
		sandbox.Stdio{In: in, Out: os.Stdout, Err: stderr}, nil, sandbox.Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Wait()
	defer client.Close()
	line, err := bufio.NewReader(said).ReadString('\n')
	if strings.TrimSpace(line) != "109" { // ETOOMANYREFS
		t.Fatalf("the first server said %q: %v", line, err)
	}
	if out, err := exec.Command(s.World.Python, "-c", send).CombinedOutput(); err == nil || !strings.Contains(string(out), "109") {
		t.Errorf("outside nothing is stopped by it: %v\n%s", err, out)
	}
	small := profile + "[limits]\nopen-files = 64\n" + fmt.Sprintf("[filesystem]\nread = [%q]\n", filepath.Dir(s.Program))
	second, err := start(t, s, small)
	if err != nil {
		t.Fatalf("the next server does not start: %v", err)
	}
	if exit, err := second.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("the next server: %+v, %v", exit, err)
	}
}

// watch asks for a watch on each of a hundred folders and says how many it got.
const watch = `
import ctypes, os
c = ctypes.CDLL(None)
fd, got = c.inotify_init1(0), 0
for i in range(100):
    os.mkdir("/tmp/%d" % i)
    got += c.inotify_add_watch(fd, b"/tmp/%d" % i, 2) >= 0
print(got, flush=True)
`

// A user has so many watches. In a user namespace that has a hundred of them all told,
// a program outside gets all, and a server half.
func TestServerGetsAPartOfTheWatches(t *testing.T) {
	s := everybody(t)
	if s.World.Python == "" {
		t.Skip("no /usr/bin/python3")
	}
	p := planOf(t, s, "version = 1\nname = \"hostile\"\n", []string{s.World.Python, "-c", watch})
	file := planFile(t, s.World.Home, p)
	script := strings.ReplaceAll(watch, "/tmp/", t.TempDir()+"/")
	for _, c := range []struct {
		want string
		run  []string
	}{
		{"100", []string{s.World.Python, "-c", script}},
		{"50", []string{"/proc/self/exe"}},
	} {
		cmd := exec.Command("/bin/sh", append([]string{"-c", `echo 100 > /proc/sys/user/max_inotify_watches && exec "$0" "$@"`}, c.run...)...)
		if c.run[0] == "/proc/self/exe" {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Args[3] = self
		}
		cmd.Env = []string{launcherPlan + "=" + file}
		ids := []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids,
			AmbientCaps: []uintptr{unix.CAP_SYS_RESOURCE}}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.CombinedOutput() // lines that are no protocol messages go to stderr
		if err != nil || strings.TrimSpace(string(out)) != c.want {
			t.Errorf("%s got %q watches, want %s: %v", c.run[0], out, c.want, err)
		}
	}
}

// start starts the program that waits, with nothing to wait for.
func start(t *testing.T, s *stage.Stage, profile string) (*sandbox.Box, error) {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return sandbox.Start(context.Background(), planOf(t, s, profile, []string{s.Program, "wait"}), sandbox.Stdio{In: null, Out: null, Err: null}, nil, sandbox.Options{Raw: true})
}
