package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/host/hosttest"
	"mcpen/sandbox/plan"
)

// Probe finds Landlock and seccomp on a kernel that has them, for root and for an
// ordinary user. A probe that wrongly says no would refuse every start.
func TestProbeFindsWhatThisKernelHas(t *testing.T) {
	asUser(t, func(t *testing.T) {
		h, err := Probe(context.Background(), Ask{Home: "/home/u", User: "u", Env: map[string]string{"LANG": "C"}})
		if err != nil {
			t.Fatal(err)
		}
		lsm, err := os.ReadFile("/sys/kernel/security/lsm")
		if err == nil && strings.Contains(string(lsm), "landlock") && h.Landlock < 1 {
			t.Errorf("Landlock ABI %d, and the kernel lists %q", h.Landlock, lsm)
		}
		if h.Seccomp.Is != plan.Yes {
			t.Errorf("seccomp: %+v", h.Seccomp)
		}
		if h.UID != os.Getuid() || h.Kernel == "" || h.Arch == "" || h.User != "u" || h.Env["LANG"] != "C" {
			t.Errorf("%+v", h)
		}
		for what, f := range map[string]plan.Fact{"namespaces": h.Namespaces, "routes": h.Routes, "memfd": h.Memfd} {
			if f.Is == plan.Yes {
				t.Errorf("%s is yes and nothing was tried", what)
			}
		}
	})
}

func TestProbeOfATree(t *testing.T) {
	tr := hosttest.New(t)
	tr.File("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	tr.Link("/etc/localtime", "../usr/share/zoneinfo/Europe/Berlin")
	tr.File("/proc/thread-self/status", "Name:\tx\n")
	tr.File("/proc/thread-self/cgroup", "0::/\n")
	tr.File("/proc/thread-self/mountinfo", "")
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts"} {
		tr.File("/proc/thread-self/ns/"+ns, "")
	}
	h, err := Probe(context.Background(), Ask{Root: tr.Root})
	if err != nil {
		t.Fatal(err)
	}
	if h.Zone != "/usr/share/zoneinfo/Europe/Berlin" {
		t.Errorf("zone %q", h.Zone)
	}
	if h.Namespaces.Is != plan.No || !strings.Contains(h.Namespaces.Why, "cgroup") {
		t.Errorf("without cgroup namespaces: %+v", h.Namespaces)
	}
	tr.File("/proc/thread-self/ns/cgroup", "")
	if h, _ = Probe(context.Background(), Ask{Root: tr.Root}); h.Namespaces.Is != plan.Unknown {
		t.Errorf("with all of them: %+v", h.Namespaces)
	}
	tr.File("/proc/sys/user/max_net_namespaces", "0\n")
	if h, _ = Probe(context.Background(), Ask{Root: tr.Root}); h.Namespaces.Is != plan.No {
		t.Errorf("with no network namespaces allowed: %+v", h.Namespaces)
	}
	if h, _ = Probe(context.Background(), Ask{Root: tr.At("/nothing")}); h.Namespaces.Is != plan.Unknown || h.Cgroup.Why == "" {
		t.Errorf("without /proc: %+v, %+v", h.Namespaces, h.Cgroup)
	}
}

// The server's files get the modes that the user's own files would get.
func TestProbeReadsTheUmask(t *testing.T) {
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	for _, mask := range []int{0o027, 0, 0o077} {
		unix.Umask(mask)
		if h, err := Probe(context.Background(), Ask{}); err != nil || h.Umask != mask {
			t.Errorf("umask %04o was read as %04o (%v)", mask, h.Umask, err)
		}
	}
	tr := hosttest.New(t)
	for _, status := range []string{"", "Name:\tx\n", "Umask:\t\n", "Umask:\t0999\n", "Umask:\t7777\n"} {
		if status != "" {
			tr.File("/proc/thread-self/status", status)
		}
		if h, err := Probe(context.Background(), Ask{Root: tr.Root}); err != nil || h.Umask != 0o077 {
			t.Errorf("of status %q: umask %04o (%v), want the narrowest", status, h.Umask, err)
		}
	}
}

func TestProbeLooksAtPaths(t *testing.T) {
	tr := hosttest.New(t)
	tr.File("/p/.git/config", "")
	p := tr.At("/p")
	h, err := Probe(context.Background(), Ask{Paths: []plan.Ask{{Path: p}, {Path: p, Writable: true}, {Path: p}, {Path: tr.At("/no")}}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]plan.PathFact{p: {Exists: true, Dir: true, Real: p, Below: []string{".git"}}, tr.At("/no"): {},
		p + "/.git": {Exists: true, Dir: true, Real: p + "/.git"}}
	if d := cmp.Diff(want, h.Paths); d != "" {
		t.Error(d)
	}
	h, err = Probe(context.Background(), Ask{Paths: []plan.Ask{{Path: p}}})
	if err != nil || h.Paths[p].Below != nil {
		t.Errorf("a folder that is only read was searched: %+v, %v", h.Paths[p], err)
	}
}

// mountinfo lines of the machines below.
const (
	pureV2 = "30 20 0:26 / ROOT/cg rw - cgroup2 cgroup2 rw\n"
	v1     = "31 30 0:27 / ROOT/cg/memory rw - cgroup cgroup rw,memory\n32 30 0:28 / ROOT/cg/pids rw - cgroup cgroup rw,pids\n"
)

func TestCgroup(t *testing.T) {
	type files map[string]string
	for _, c := range []struct {
		name  string
		info  string
		own   string
		files files
		uid   int
		want  plan.Cgroup
		why   string
	}{
		{name: "own group with processes, its parent hands on", info: pureV2, own: "0::/u.service/app\n", uid: 1000,
			files: files{"/cg/u.service/cgroup.procs": "", "/cg/u.service/cgroup.subtree_control": "cpu memory pids io\n",
				"/cg/u.service/app/cgroup.procs": "7\n", "/cg/u.service/app/cgroup.subtree_control": "\n", "/cg/u.service/app/cgroup.type": "domain\n",
				"/cg/u.service/app/cgroup.controllers": "memory pids\n"},
			want: plan.Cgroup{How: plan.HowCgroup2, Path: "/u.service", Controllers: []string{"memory", "pids", "cpu"}}},
		{name: "own group without processes", info: pureV2, own: "0::/a\n", uid: 1000,
			files: files{"/cg/a/cgroup.procs": "", "/cg/a/cgroup.subtree_control": "", "/cg/a/cgroup.type": "domain\n", "/cg/a/cgroup.controllers": "pids\n"},
			want:  plan.Cgroup{How: plan.HowCgroup2, Path: "/a", Controllers: []string{"pids"}}},
		{name: "the root may hold processes", info: pureV2, own: "0::/\n", uid: 0,
			files: files{"/cg/cgroup.procs": "1\n", "/cg/cgroup.subtree_control": "", "/cg/cgroup.controllers": "memory pids\n"},
			want:  plan.Cgroup{How: plan.HowCgroup2, Path: "/", Controllers: []string{"memory", "pids"}}},
		{name: "only a group with processes", info: pureV2, own: "0::/a\n", uid: 1000,
			files: files{"/cg/a/cgroup.procs": "7\n", "/cg/a/cgroup.subtree_control": "", "/cg/a/cgroup.type": "domain\n", "/cg/a/cgroup.controllers": "memory pids\n"},
			why:   "holds processes"},
		{name: "no controllers", info: pureV2, own: "0::/a\n", uid: 0,
			files: files{"/cg/a/cgroup.procs": "", "/cg/a/cgroup.subtree_control": "", "/cg/a/cgroup.controllers": "io\n"}, why: "no memory, pids or cpu"},
		{name: "v1 as root", info: v1, own: "9:pids:/\n8:memory:/job\n0::/\n", uid: 0, files: files{"/cg/memory/job/x": "", "/cg/pids/x": ""},
			want: plan.Cgroup{How: plan.HowCgroup1, Controllers: []string{"memory", "pids"}}},
		{name: "v1 as anybody", info: v1, own: "9:pids:/\n8:memory:/job\n", uid: 1000, files: files{"/cg/memory/job/x": "", "/cg/pids/x": ""}, why: "for root alone"},
		{name: "v1 outside of what is mounted", info: strings.ReplaceAll(v1, " / ", " /other "), own: "8:memory:/job\n", uid: 0, files: files{"/cg/memory/x": ""}, why: "not writable"},
		{name: "none", own: "0::/\n", why: "not mounted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := hosttest.New(t)
			tr.File("/proc/thread-self/mountinfo", strings.ReplaceAll(c.info, "ROOT", ""))
			tr.File("/proc/thread-self/cgroup", c.own)
			for path, content := range c.files {
				tr.File(path, content)
			}
			got := cgroup(Ask{Root: tr.Root}, c.uid)
			if c.why != "" {
				if got.How != "" || !strings.Contains(got.Why, c.why) {
					t.Errorf("%+v, want why %q", got, c.why)
				}
				return
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCgroupNotWritable(t *testing.T) {
	asUser(t, func(t *testing.T) {
		tr := hosttest.New(t)
		tr.File("/proc/thread-self/mountinfo", "30 20 0:26 / /cg rw - cgroup2 cgroup2 rw\n")
		tr.File("/proc/thread-self/cgroup", "0::/\n")
		tr.File("/cg/cgroup.procs", "")
		tr.File("/cg/cgroup.subtree_control", "memory\n")
		if got := cgroup(Ask{Root: tr.Root}, os.Getuid()); got.How != plan.HowCgroup2 {
			t.Fatalf("while it is writable: %+v", got)
		}
		if err := os.Chmod(tr.At("/cg/cgroup.subtree_control"), 0o444); err != nil {
			t.Fatal(err)
		}
		if got := cgroup(Ask{Root: tr.Root}, os.Getuid()); got.How != "" || !strings.Contains(got.Why, "not writable") {
			t.Errorf("after: %+v", got)
		}
	})
}

// A socket does not prove a manager: the manager has to answer, and in time.
func TestSystemdManagerHasToAnswer(t *testing.T) {
	tr := hosttest.New(t)
	tr.File("/proc/thread-self/mountinfo", "30 20 0:26 / /cg rw - cgroup2 cgroup2 rw\n")
	tr.File("/proc/thread-self/cgroup", "0::/user.slice/x\n")
	tr.File("/cg/user.slice/user-1000.slice/user@1000.service/cgroup.controllers", "memory pids\n")
	ask := Ask{Root: tr.Root, Bus: tr.At("/run")}
	if got := cgroup(ask, 1000); got.How != "" || !strings.Contains(got.Why, "does not answer") {
		t.Errorf("without a socket: %+v", got)
	}
	no, yes := func() bool { return false }, func() bool { return true }
	asked := 0
	third := func() bool { asked++; return asked > 2 }
	for _, c := range []struct {
		name   string
		serve  func(net.Conn)
		answer bool
	}{
		{"nobody speaks", func(c net.Conn) { io.Copy(io.Discard, c) }, false},
		{"a bus without the manager", func(c net.Conn) { fakeBus(c, no) }, false},
		{"the manager", func(c net.Conn) { fakeBus(c, yes) }, true},
		// As right after a login. Otherwise one of two starts would lack limits.
		{"the manager on a bus that is slow", func(c net.Conn) { time.Sleep(400 * time.Millisecond); fakeBus(c, yes) }, true},
		{"a manager that comes later than its bus", func(c net.Conn) { fakeBus(c, third) }, true},
		// Otherwise a start would wait for its scope for ever.
		{"a manager that is stopped", func(c net.Conn) { fakeBus(c, func() bool { select {} }) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.answer {
				was, were := busWait, managerWait
				busWait, managerWait = 200*time.Millisecond, 10*time.Millisecond
				defer func() { busWait, managerWait = was, were }()
			}
			bus := t.TempDir()
			l, err := net.Listen("unix", bus+"/bus")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go c.serve(conn)
				}
			}()
			ask.Bus = bus
			got := cgroup(ask, 1000)
			want := plan.Cgroup{How: plan.HowSystemd, Controllers: []string{"memory", "pids"}}
			if c.answer != cmp.Equal(got, want) {
				t.Errorf("%+v", got)
			}
			if slow := strings.HasPrefix(c.name, "nobody") || strings.HasSuffix(c.name, "stopped"); slow != strings.Contains(got.Why, "nothing came in 200ms") {
				t.Errorf("a person is told %q", got.Why)
			}
		})
	}
}

// fakeBus plays a message bus for one question, with or without a manager.
func fakeBus(c net.Conn, has func() bool) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch line = strings.TrimSpace(strings.TrimPrefix(line, "\x00")); {
		case line == "AUTH":
			io.WriteString(c, "REJECTED EXTERNAL\r\n")
		case strings.HasPrefix(line, "AUTH"):
			io.WriteString(c, "OK 0123456789abcdef0123456789abcdef\r\n")
		case strings.HasPrefix(line, "NEGOTIATE"):
			io.WriteString(c, "ERROR\r\n")
		case line == "BEGIN":
			answer(c, r, has)
			return
		}
	}
}

func answer(c net.Conn, r io.Reader, has func() bool) {
	for serial := uint32(1); ; serial++ {
		call, err := dbus.DecodeMessage(r)
		if err != nil {
			return
		}
		reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
			dbus.FieldSender:      dbus.MakeVariant("org.freedesktop.DBus"),
		}}
		switch call.Headers[dbus.FieldMember].Value() {
		case "Hello":
			reply.Body = []any{":1.7"}
			reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(":1.7"))
		case "Ping":
			if !has() {
				reply.Type = dbus.TypeError
				reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.ServiceUnknown")
			}
		}
		var b bytes.Buffer
		if reply.EncodeTo(&b, binary.LittleEndian) != nil {
			return
		}
		binary.LittleEndian.PutUint32(b.Bytes()[8:], serial)
		if _, err := c.Write(b.Bytes()); err != nil {
			return
		}
	}
}
