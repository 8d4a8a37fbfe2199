package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"mcpen/cmd/mcpen/embedded"
)

// TestScripts plays people's commands, as root and as an ordinary user. The first line
// of each script names the loss if it fails.
func TestScripts(t *testing.T) {
	asEverybody(t, func(t *testing.T, root string) {
		testscript.Run(t, testscript.Params{
			Dir:         filepath.Join("testdata", "script"),
			WorkdirRoot: root,
			Setup:       settle,
			Condition:   condition,
			Cmds:        words,
		})
	})
}

// scriptRoot names the work folder for the test that runs again as another user.
const scriptRoot = "MCPEN_SCRIPT_ROOT"

// nobodyUID is an ordinary user: one that no machine has to have.
const nobodyUID = 20001

// asEverybody runs a test as the user who started it. Where that is root it runs
// the calling test again as a user without privileges.
func asEverybody(t *testing.T, test func(t *testing.T, root string)) {
	t.Helper()
	root := os.Getenv(scriptRoot)
	if root == "" {
		var err error
		if root, err = os.MkdirTemp("", "mcpen-script-"); err != nil {
			t.Fatal(err)
		}
		made := root
		t.Cleanup(func() { os.RemoveAll(made) })
		if os.Geteuid() == 0 {
			user := filepath.Join(root, "user")
			t.Run("user", func(t *testing.T) {
				t.Parallel()
				asUser(t, user)
			})
		} else {
			t.Log("not root: what only root meets is not tested")
		}
		root = filepath.Join(root, "own")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	test(t, root)
}

// asUser runs the calling test again as nobodyUID.
func asUser(t *testing.T, dir string) {
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "mcpen.test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	// A child that another test forks meanwhile would hold the file open for
	// writing, and nobody could execute it (ETXTBSY).
	syscall.ForkLock.RLock()
	err = os.WriteFile(binary, self, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	// The checkout may be where only root can read.
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(work, nobodyUID, nobodyUID); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	args := []string{"-test.run=^" + name + "$"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = []string{scriptRoot + "=" + work, "HOME=" + work, "TMPDIR=" + work, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyUID, Gid: nobodyUID}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", nobodyUID, err, out)
	} else {
		t.Logf("as user %d:\n%s", nobodyUID, out)
	}
}

// held is a server that ends with 7 if it is held in full as far as a shell can tell, and
// otherwise with the number of the missing part. A secret lies in its start folder, and
// outside the same words end with 1.
const held = `test ! -e secret || exit 1
grep -q "^NoNewPrivs:.1" /proc/self/status || exit 2
grep -q "^CapEff:.0000000000000000" /proc/self/status || exit 3
grep -q "^CapBnd:.0000000000000000" /proc/self/status || exit 4
grep -q "^Seccomp:.2" /proc/self/status || exit 5
test "$(ls /proc | grep -c "^[0-9]")" -lt 8 || exit 6
test "$(ls / | tr "\n" " ")" != "" || exit 8
unshare -U true 2>/dev/null && exit 9
test ! -e /sys || exit 10
exit 7`

// settle gives a script its own home and runtime directory, and nothing else of the
// environment of the tests.
func settle(env *testscript.Env) error {
	home, run := filepath.Join(env.WorkDir, "home"), filepath.Join(env.WorkDir, "run")
	for _, dir := range []string{home, run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	// The script's files have the mode that its folder gets here.
	err := filepath.WalkDir(env.WorkDir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".sh") {
			return os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("XDG_RUNTIME_DIR", run)
	env.Setenv("UID", strconv.Itoa(os.Geteuid()))
	env.Setenv("HELD", held)
	env.Values[clientsKey{}] = map[string]*client{}
	env.Defer(func() {
		for _, c := range env.Values[clientsKey{}].(map[string]*client) {
			c.end()
		}
	})
	return nil
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "user":
		return os.Geteuid() != 0, nil
	case "launcher":
		return embedded.Carried, nil
	}
	return false, errors.New("no such condition")
}

// words are the commands of the scripts in addition to testscript's own.
var words = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"status":   status,
	"pure":     pure,
	"json":     parses,
	"launch":   startClient,
	"call":     call,
	"ask":      askClient,
	"hear":     hear,
	"signal":   signalClient,
	"hangup":   hangup,
	"ends":     ends,
	"is":       is,
	"confined": confined,
	"reaped":   reaped,
	"mode":     mode,
	"glut":     glut,
	"upstream": upstream,
	"paste":    paste,
	"agrees":   agrees,
}

// status runs a command and wants it to end so: with a code, or by a signal.
//
//	status 127 mcpen run -- nothing
//	status SIGKILL mcpen run -- sh -c 'kill -9 $$'
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE|SIGNAL COMMAND…")
	}
	if got := outcome(ts.Exec(args[1], args[2:]...)); got != args[0] {
		ts.Fatalf("it ended with %s, want %s", got, args[0])
	}
}

// outcome is how a process ended: its code, or the name of the signal.
func outcome(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case !errors.As(err, &exit):
		return err.Error()
	}
	if w := exit.Sys().(syscall.WaitStatus); w.Signaled() {
		return unix.SignalName(w.Signal())
	}
	return strconv.Itoa(exit.ExitCode())
}

// pure wants the last stdout to hold as many JSON-RPC messages as its argument
// says, one a line, and nothing else.
func pure(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pure COUNT")
	}
	n := 0
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var m struct {
			Version string `json:"jsonrpc"`
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Version != "2.0" || !strings.HasSuffix(line, "\n") {
			ts.Fatalf("on stdout, and no message: %q", line)
		}
		n++
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d messages, want %s", n, args[0])
	}
}

// parses wants the last stdout to be JSON: one value, or with "lines" one on
// each line.
func parses(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile("stdout")
	values := []string{text}
	if len(args) == 1 && args[0] == "lines" {
		values = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	for _, v := range values {
		if json.Valid([]byte(v)) == neg {
			ts.Fatalf("is it JSON? want %t: %q", !neg, v)
		}
	}
}

// mode changes the mode of a file, in octal: testscript's own chmod is not for
// special bits.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	m, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	ts.Check(syscall.Chmod(ts.MkAbs(args[1]), uint32(m)))
}
