package host

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inChild is the variable that tells a test that it runs in a child process made for
// it.
const inChild = "MCPEN_TEST_CHILD"

func TestMain(m *testing.M) {
	Hook()
	os.Exit(m.Run())
}

// plainUser is the unprivileged user that the tests become.
const plainUser = 20001

// asUser runs the test as an unprivileged user: in this process if its user is one, in
// a child if it is root.
func asUser(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if os.Getuid() != 0 {
		f(t)
		return
	}
	inProcess(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}, f)
}

// asUserInChild is asUser for a test that restricts its process irrevocably.
func asUserInChild(t *testing.T, f func(*testing.T)) {
	t.Helper()
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: plainUser, Gid: plainUser}
	}
	inProcess(t, attr, f)
}

// inProcess runs f in a child with the attributes. The child runs the same test, which
// finds the variable set when it gets here.
func inProcess(t *testing.T, attr *syscall.SysProcAttr, f func(*testing.T)) {
	t.Helper()
	if os.Getenv(inChild) == t.Name() {
		f(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", pattern(t.Name()), "-test.v", "-test.count=1")
	tmp, err := os.MkdirTemp("", "host-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	if attr.Credential != nil {
		if err := os.Chown(tmp, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Dir = "/"
	cmd.Env = []string{inChild + "=" + t.Name(), "TMPDIR=" + tmp, "HOME=" + tmp, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in a child: %v\n%s", err, out)
	}
}

// pattern matches one test, subtests included.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = fmt.Sprintf("^%s$", p)
	}
	return strings.Join(parts, "/")
}
