package sandbox_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// grouped has a plan's limits held by a kind of control group, as on a machine whose
// probe found one.
func grouped(p plan.Plan, how plan.LimitHow, required bool) plan.Plan {
	limits := []plan.Limit{
		{Name: plan.LimitMemory, Value: 64 << 20, How: how, Required: required},
		{Name: plan.LimitProcesses, Value: 40, How: how, Required: required},
	}
	for _, l := range p.Limits {
		if l.Name != plan.LimitMemory && l.Name != plan.LimitProcesses && l.Name != plan.LimitCPU {
			limits = append(limits, l)
		}
	}
	p.Limits, p.CgroupParent, p.Gaps = limits, "", nil
	if how == plan.HowCgroup2 {
		p.CgroupParent = "/nowhere"
	}
	return p
}

// A person whose user manager went away between the probe and the start has a server
// without some limits, told by name, and no editor that says "server failed to start".
func TestLifeWithoutTheGroupThatWasPlanned(t *testing.T) {
	var st unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC && os.Getenv(noScope) == "" {
		t.Skip("here is a manager that may make a scope: TestLimitsWithoutAScope")
	}
	for _, how := range []plan.LimitHow{plan.HowSystemd, plan.HowCgroup2} {
		t.Run(string(how), func(t *testing.T) {
			p := newPen(t, policy.DefaultLayers()...)
			text := "ulimit -p >&9" // dash(1)
			if how == plan.HowCgroup2 && os.Getuid() == 0 {
				t.Skip("root has control groups of version 1 here, whatever the plan says of version 2")
			}
			planned := grouped(p.plan("", text), how, false)
			r := p.start(planned)
			lost := []string{"memory at most 64MiB"}
			switch line := p.hear(); {
			case !planned.Process.Counted: // the machine's own root: RLIMIT_NPROC would hold nothing
				lost = append(lost, "processes at most 40")
			case line != "40":
				t.Errorf("the server may start %s processes, want 40 by another mechanism", line)
			}
			if exit := r.wait(); exit != (sandbox.Exit{}) {
				t.Errorf("it ended with %+v", exit)
			}
			gaps := r.box.Plan().Gaps
			if len(gaps) != len(lost) {
				t.Errorf("the gaps are %+v", gaps)
			}
			for i, gap := range gaps[:min(len(gaps), len(lost))] {
				if gap.Want != lost[i] || !strings.HasPrefix(gap.Why, "no control group was to be had at the start: ") {
					t.Errorf("the gap is %+v, want %s", gap, lost[i])
				}
			}
			said := r.every(audit.KindGap)
			if len(said) != len(lost) {
				t.Errorf("the log says %+v", said)
			}
			for i, e := range said {
				if i < len(lost) && !strings.Contains(e.Detail, lost[i]) {
					t.Errorf("the log says %q, want %s", e.Detail, lost[i])
				}
			}
			p.gone()
			p.empty()

			required := newPen(t, policy.DefaultLayers()...)
			_, err := required.try(grouped(required.plan("", text), how, true))
			lack := (*sandbox.Lack)(nil)
			if !errors.As(err, &lack) {
				t.Errorf("a start without a required limit: %v", err)
			}
			if said := required.gone(); said != "" {
				t.Errorf("the server ran and said %q", said)
			}
			required.empty()
		})
	}
}

// noScope says, to tests that run again on a machine with systemd, that its manager
// makes no scope.
const noScope = "MCPEN_NO_SCOPE"

// A manager that answers and makes no scope is the state of a session that is just
// starting or ending. The machine of this test has systemd, control groups of version
// 2, and such a manager.
func TestLimitsWithoutAScope(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: nobody else makes another machine")
	}
	dir, err := os.MkdirTemp("", "mcpen-scope-") // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bus := filepath.Join(dir, "bus")
	l, err := net.Listen("unix", bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan string, 64)
	go serveBus(l, asked)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	const uid = 20001
	binary := filepath.Join(dir, "test")
	if err := errors.Join(os.WriteFile(binary, self, 0o755), os.Chown(dir, uid, uid), os.Chmod(bus, 0o666)); err != nil {
		t.Fatal(err)
	}
	const machine = `set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/systemd/system
mount -t cgroup2 none /sys/fs/cgroup
exec setpriv --reuid 20001 --regid 20001 --clear-groups "$0" -test.v -test.run '^TestLifeWithoutTheGroupThatWasPlanned$'`
	cmd := exec.Command("sh", "-c", machine, binary)
	cmd.Dir = dir
	cmd.Env = []string{noScope + "=1", lifeUser + "=1", "DBUS_SESSION_BUS_ADDRESS=unix:path=" + bus, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestLifeWithoutTheGroupThatWasPlanned/systemd") {
		t.Errorf("%v\n%s", err, out)
	}
	var scopes []string
	for len(asked) > 0 {
		if call := <-asked; strings.HasPrefix(call, "StartTransientUnit ") {
			scopes = append(scopes, call)
		}
	}
	if len(scopes) == 0 {
		t.Error("nobody asked for a scope")
	}
	for _, call := range scopes {
		// A manager that ends the scope where one process was over its memory ends
		// pid 1, which would have said so.
		if !strings.Contains(call, `[OOMPolicy "continue"]`) {
			t.Errorf("the manager decides what memory that is used up ends: %s", call)
		}
	}
}

// serveBus is a bus with a manager that answers questions about itself and refuses
// everything else.
func serveBus(l net.Listener, asked chan<- string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			if handshake(c, r) != nil {
				return
			}
			for answerBus(c, r, asked) == nil {
			}
		}()
	}
}

// handshake lets anybody in (D-Bus Specification, authentication protocol).
func handshake(c io.Writer, r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		say := "ERROR"
		switch line = strings.TrimSpace(strings.TrimPrefix(line, "\x00")); {
		case line == "BEGIN":
			return nil
		case line == "AUTH":
			say = "REJECTED EXTERNAL"
		case strings.HasPrefix(line, "AUTH"):
			say = "OK 0123456789abcdef0123456789abcdef"
		}
		if _, err := io.WriteString(c, say+"\r\n"); err != nil {
			return err
		}
	}
}

// answerBus answers one call.
func answerBus(c io.Writer, r io.Reader, asked chan<- string) error {
	call, err := dbus.DecodeMessage(r)
	if err != nil {
		return err
	}
	member, _ := call.Headers[dbus.FieldMember].Value().(string)
	asked <- member + " " + fmt.Sprint(call.Body...)
	reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
		dbus.FieldSender:      dbus.MakeVariant("org.freedesktop.systemd1"),
	}}
	switch member {
	case "Hello":
		reply.Body = []any{":1.7"}
	case "Get":
		value := "/user.slice" // ControlGroup
		if call.Body[1] == "Version" {
			value = "257"
		}
		reply.Body = []any{dbus.MakeVariant(value)}
	default:
		reply.Type = dbus.TypeError
		reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.AccessDenied")
	}
	if len(reply.Body) > 0 {
		reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(reply.Body...))
	}
	var b bytes.Buffer
	if err := reply.EncodeTo(&b, binary.LittleEndian); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b.Bytes()[8:], call.Serial()) // any number but 0
	_, err = c.Write(b.Bytes())
	return err
}
