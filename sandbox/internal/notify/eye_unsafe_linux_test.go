package notify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/scope"
	"mcpen/sandbox/internal/seccomp"
)

// eyeTest makes the test binary act as another process: "waits" prints the address of a
// word in its memory, and "looks" confines itself and reads that word.
const eyeTest = "MCPEN_EYE_TEST"

const word = "in the memory"

func init() {
	switch who, rest, _ := strings.Cut(os.Getenv(eyeTest), " "); who {
	case "waits":
		b := []byte(word)
		fmt.Printf("%d %d\n", os.Getpid(), uintptr(unsafe.Pointer(&b[0])))
		io.Copy(io.Discard, os.Stdin)
		runtime.KeepAlive(b)
		os.Exit(0)
	case "looks":
		var stranger int
		var at uint64
		fmt.Sscan(rest, &stranger, &at)
		fmt.Println(looks(stranger, at))
		os.Exit(0)
	}
}

// waits starts a process with a word in its memory.
func waits() (pid int, at uint64, end func(), err error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{eyeTest + "=waits"}
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, 0, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return 0, 0, nil, err
	}
	_, err = fmt.Fscan(bufio.NewReader(out), &pid, &at)
	return pid, at, func() { in.Close(); cmd.Wait() }, err
}

// looks reports the eye's view, in a confined process, of a child, a stranger and a
// file, and another thread's view of the child.
func looks(stranger int, at uint64) string {
	child, there, end, err := waits()
	if err != nil {
		return err.Error()
	}
	defer end()
	if err := confineForTest(); err != nil {
		return err.Error()
	}
	say := func(pid int, at uint64) string {
		buf := make([]byte, len(word))
		if _, err := peek(pid, at, buf); err != nil {
			return errnoOf(err)
		}
		return string(buf)
	}
	buf := make([]byte, 1)
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(1)
	_, direct := unix.ProcessVMReadv(child, local, []unix.RemoteIovec{{Base: uintptr(there), Len: 1}}, 0)
	var read error
	looking(func() { _, read = os.ReadFile("/etc/passwd") })
	root, err := place(fmt.Sprintf("/proc/%d/root", child))
	if err == nil {
		unix.Close(root)
	}
	return fmt.Sprintf("child: %s; stranger: %s; directly: %s; file: %s; root: %s", say(child, there), say(stranger, at), errnoOf(direct), errnoOf(read), errnoOf(err))
}

// confineForTest does the same as package confine: Landlock on every thread but the
// eye.
func confineForTest() error {
	if err := ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	fd, err := ll.LandlockCreateRuleset(&ll.RulesetAttr{HandledAccessFS: ll.AccessFSExecute | ll.AccessFSWriteFile}, 0)
	if err != nil {
		return err
	}
	f, err := seccomp.ForLauncher(seccomp.Launcher{}, runtime.GOARCH)
	if err == nil {
		err = seccomp.LoadAll(f)
	}
	if err == nil {
		err = OpenEye()
	}
	if err == nil {
		err = ll.AllThreadsLandlockRestrictSelf(fd, 0)
	}
	if err == nil {
		err = seccomp.Seal()
	}
	return err
}

func errnoOf(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return fmt.Sprint(err)
}

// The eye sees the launcher's children and, if Landlock has scopes, nobody else: an
// attacker who takes over this thread gets only the server's own memory.
func TestEyeSeesItsOwnAlone(t *testing.T) {
	if abi, err := ll.LandlockGetABIVersion(); err != nil || abi < scope.ABI {
		t.Skipf("Landlock of ABI %d has no scopes", abi)
	}
	stranger, at, end, err := waits()
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	free := word
	if yama, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && yama[0] != '0' {
		free = "EPERM"
	}
	for _, c := range []struct{ scope, stranger string }{{"1", "EPERM"}, {"0", free}} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{fmt.Sprintf("%s=looks %d %d", eyeTest, stranger, at), scope.Variable + "=" + c.scope}
		out, err := cmd.CombinedOutput()
		want := fmt.Sprintf("child: %s; stranger: %s; directly: EPERM; file: EPERM; root: <nil>\n", word, c.stranger)
		if err != nil || string(out) != want {
			t.Errorf("with scope %s: %v\n got %swant %s", c.scope, err, out, want)
		}
	}
}
