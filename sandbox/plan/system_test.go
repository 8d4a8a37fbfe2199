package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// Every server gets these parts of the system, if they exist, and in this form. If a
// library, a certificate or a time zone is missing, a program fails only inside.
func TestEverySystemPathIsShown(t *testing.T) {
	binds := strings.Fields("/usr /bin /sbin /lib /lib32 /lib64 /libx32 /etc/alternatives /etc/ssl/certs /etc/ca-certificates/extracted /etc/pki/tls/certs /etc/pki/ca-trust/extracted /etc/crypto-policies /etc/fonts")
	single := strings.Fields("/etc/ssl/cert.pem /etc/pki/tls/cert.pem")
	copies := strings.Fields("/etc/ld.so.cache /etc/ssl/openssl.cnf /etc/pki/tls/openssl.cnf /etc/localtime /etc/os-release /etc/mime.types /etc/protocols /etc/services")
	text := "file /usr/bin/node\ndir /home/ada/.local/state/mcpen\ndir /run/user/1000/mcpen\n"
	for _, p := range binds {
		text += "dir " + p + "\n"
	}
	for _, p := range slices.Concat(single, copies) {
		text += "file " + p + "\n"
	}
	text += "file /etc/shadow\ndir /etc/ssl/private\nfile /etc/hostsx\n"
	tr := parseTree(t, text)
	if n := len(binds) + len(single) + len(copies); n != len(system) {
		t.Errorf("%d paths, and this test knows %d", len(system), n)
	}
	p, err := compileIn(tr, map[string]PathFact{}, Compile, policy.Closed("demo"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]Mount{}
	for _, m := range p.Root {
		kinds[m.Target] = m
	}
	for _, path := range binds {
		if m := kinds[path]; m.Kind != MountBind || m.Source != path || !m.Dir || m.Writable || !m.Exec {
			t.Errorf("%s: %+v", path, m)
		}
	}
	for _, path := range single {
		if m := kinds[path]; m.Kind != MountBind || m.Source != path || m.Dir || m.Writable {
			t.Errorf("%s: %+v", path, m)
		}
	}
	for _, path := range copies {
		if m := kinds[path]; m.Kind != MountCopy || m.Source != path || m.Mode != 0o644 {
			t.Errorf("%s: %+v", path, m)
		}
	}
	for _, d := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if m := kinds["/dev/"+d]; m.Kind != MountDevice || m.Source != "/dev/"+d {
			t.Errorf("/dev/%s: %+v", d, m)
		}
	}
	if len(devices) != 6 {
		t.Errorf("devices: %q", devices)
	}
	for name, want := range map[string]Mount{
		"/proc": {Kind: MountProc}, "/dev": {Kind: MountDir}, "/dev/shm": {Kind: MountTmpfs, Mode: 0o1777, Writable: true}, "/tmp": {Kind: MountTmpfs, Mode: 0o1777, Writable: true, Exec: true}, Home: {Kind: MountTmpfs, Mode: 0o700, Writable: true, Exec: true},
		"/dev/fd": {Kind: MountSymlink, Source: "/proc/self/fd"}, "/dev/stdin": {Kind: MountSymlink, Source: "/proc/self/fd/0"}, "/dev/stdout": {Kind: MountSymlink, Source: "/proc/self/fd/1"}, "/dev/stderr": {Kind: MountSymlink, Source: "/proc/self/fd/2"}, "/var/tmp": {Kind: MountSymlink, Source: "/tmp"}, "/run": {Kind: MountDir},
		Terminals: {Kind: MountPipe, Mode: 0o666},
	} {
		got := kinds[name]
		if want.Kind == MountTmpfs && (got.Bytes == 0 || got.Inodes == 0) {
			t.Errorf("%s has no bound: %+v", name, got)
		}
		got.Target, got.Why, got.Bytes, got.Inodes, got.At = "", "", 0, 0, ""
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for _, never := range []string{"/etc/shadow", "/etc/ssl/private", "/etc/hostsx", "/etc", "/home", "/var"} {
		if m, ok := kinds[never]; ok && m.Kind == MountBind {
			t.Errorf("%s is shown: %+v", never, m)
		}
	}
	// A file of the system stands for itself alone; a folder includes everything in it.
	c := compiler{host: Host{Paths: map[string]PathFact{}}}
	for _, path := range slices.Concat(binds, single, copies) {
		c.host.Paths[path] = tr.look(path)
	}
	for path, want := range map[string]bool{"/usr": true, "/usr/bin/x": true, "/usrx": false, "/etc/ssl/cert.pem": true, "/etc/ssl/cert.pem/x": false, "/etc/services": false, "/etc/localtime": false, "/etc": false, "/etc/fonts/a": true, "/etc/ssl/private": false} {
		if got := c.systemic(path); got != want {
			t.Errorf("%s is the system's: %v", path, got)
		}
	}
}

// Without namespaces a server sees only the files of /proc that runtimes need, and
// nobody's command line. It gets no terminal: that would be the user's.
func TestBareProcIsListed(t *testing.T) {
	tr := parseTree(t, laptop)
	pol := policy.Closed("demo")
	pol.Require.Layers = []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp}
	p, err := compileIn(tr, map[string]PathFact{}, Compile, pol)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range p.Root {
		if strings.HasPrefix(m.Target, "/proc") {
			got = append(got, m.Target)
		}
	}
	slices.Sort(got)
	if want := "/proc/cpuinfo /proc/filesystems /proc/loadavg /proc/meminfo /proc/self /proc/stat /proc/sys/kernel/osrelease /proc/sys/vm/overcommit_memory /proc/uptime /proc/version"; strings.Join(got, " ") != want {
		t.Errorf("%s", strings.Join(got, " "))
	}
	if p.Scratch != "/run/user/1000/mcpen/scratch/demo" || p.Process.Dir != p.Scratch {
		t.Errorf("scratch %q, starts in %q", p.Scratch, p.Process.Dir)
	}
	pol.Process = policy.Process{PTY: true, At: policy.Pos{File: "p.toml", Line: 4, Col: 1}}
	var ps Problems
	if _, err := compileIn(tr, map[string]PathFact{}, Compile, pol); !errors.As(err, &ps) || len(ps) != 1 || ps[0].Lack != policy.LayerNamespaces || ps[0].At != "p.toml:4:1" || !strings.Contains(ps[0].Text, "cannot give a terminal") {
		t.Errorf("a terminal: %v", err)
	}
}

// These places of /proc describe the whole machine and must be hidden.
func TestProcIsMasked(t *testing.T) {
	for _, l := range []struct {
		name, want string
		got        []string
	}{
		{"hidden", "acpi asound interrupts kcore keys latency_stats scsi sched_debug timer_stats", ProcMasked},
		{"hidden from root", "kallsyms kpagecount kpageflags kpagecgroup slabinfo timer_list vmallocinfo sysrq-trigger", ProcMaskedRoot},
		{"read-only", "sys", ProcReadonly},
		{"read-only for root", "bus driver fs irq tty", ProcReadonlyRoot},
	} {
		if got := strings.Join(l.got, " "); got != "/proc/"+strings.ReplaceAll(l.want, " ", " /proc/") {
			t.Errorf("%s: %s", l.name, got)
		}
	}
}

// /etc shows the server the user's name and ids, a row for root if that is somebody
// else, and a group for each.
func TestEtcSaysWhoOneIs(t *testing.T) {
	file := func(uid, gid int, user, name string, allow []policy.Host) string {
		pol, h := policy.Closed("demo"), laptopHost()
		pol.Network.Allow = allow
		h.UID, h.GID, h.User = uid, gid, user
		tr := parseTree(t, laptop)
		tr.answer(&h, Asks(pol, laptopNode(), h.Home, h.State, h.Config, h.Runtime))
		p, err := Compile(pol, laptopNode(), h)
		if err != nil {
			t.Fatal(err)
		}
		m, _ := target(p, "/etc/"+name)
		if m.Kind != MountFile || m.Mode != 0o644 {
			t.Errorf("/etc/%s: %+v", name, m)
		}
		return m.Content
	}
	const nobody, root, nogroup = "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n", "root:x:0:0::/nonexistent:/usr/sbin/nologin\n", "nogroup:x:65534:\n"
	host := []policy.Host{{Kind: policy.HostName, Name: "a.example", First: 443, Last: 443}}
	for _, c := range []struct {
		uid, gid         int
		user, name, want string
		allow            []policy.Host
	}{
		{1000, 1001, "ada", "passwd", root + "ada:x:1000:1001::/run/home:/bin/sh\n" + nobody, nil}, {1000, 1001, "ada", "group", "root:x:0:\nada:x:1001:\n" + nogroup, nil},
		{0, 0, "root", "passwd", "root:x:0:0::/run/home:/bin/sh\n" + nobody, nil}, {0, 0, "root", "group", "root:x:0:\n" + nogroup, nil},
		{0, 5, "root", "group", "root:x:0:\nroot:x:5:\n" + nogroup, nil}, {5, 0, "", "passwd", root + "user:x:5:0::/run/home:/bin/sh\n" + nobody, nil}, {5, 0, "", "group", "user:x:0:\n" + nogroup, nil},
		{5, 5, "a", "hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 mcpen\n", nil}, {5, 5, "a", "hostname", "mcpen\n", nil}, {5, 5, "a", "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n", nil},
		{5, 5, "a", "host.conf", "multi on\n", nil}, {5, 5, "a", "machine-id", fmt.Sprintf("%032d\n", 1), nil}, {5, 5, "a", "resolv.conf", "# no network: the profile allows none\n", nil}, {5, 5, "a", "resolv.conf", "nameserver 192.0.2.53\noptions timeout:5 attempts:1\n", host},
	} {
		if got := file(c.uid, c.gid, c.user, c.name, c.allow); got != c.want {
			t.Errorf("/etc/%s of %d:%d: %q, want %q", c.name, c.uid, c.gid, got, c.want)
		}
	}
}

// The message about an absent path names a remedy: reinstall the program, make a
// writable folder, or mark a readable path as optional.
func TestWhatIsAbsentIsSaid(t *testing.T) {
	for _, c := range []struct {
		where           string
		writable, asked bool
		fact            PathFact
		text, hint      string
		grant           bool
	}{
		{"p:1:1", false, false, PathFact{}, "internal error: nobody looked at", "", false}, {"p:1:1", true, true, PathFact{Err: "EACCES"}, "EACCES", "", false}, {"", true, true, PathFact{}, "does not exist", "install the program anew", false},
		{"p:1:1", true, true, PathFact{}, "does not exist", "mkdir -p /x", false}, {"p:1:1", false, true, PathFact{}, "does not exist", "", true},
	} {
		p := absent(roots(nil), "/x", c.where, c.writable, c.asked, c.fact)
		if !strings.Contains(p.Text, c.text) || !strings.Contains(p.Text, `"/x"`) || p.Hint != c.hint || (p.Grant != nil) != c.grant || p.At != c.where || p.Refused || p.Lack != "" {
			t.Errorf("%+v: %+v", c, p)
		}
		if c.grant && (!strings.Contains(p.Advice(), `"?/x"`) || !strings.Contains(p.Advice(), "question mark")) {
			t.Errorf("the advice is %q", p.Advice())
		}
	}
	for want, p := range map[string]Problem{"": {}, "h": {Hint: "h"}} {
		if got := p.Advice(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	g := roots(nil).AllowPath("read", "/x")
	if got := (Problem{Grant: g}).Advice(); got != g.TOML() {
		t.Errorf("%q", got)
	}
	if got := (Problem{Hint: "h", Grant: g}).Advice(); got != "h, or\n"+g.TOML() {
		t.Errorf("%q", got)
	}
}

// A folder comes before its content in the plan's order.
func TestMountsAreInOrder(t *testing.T) {
	p := rich(t)
	for i, m := range p.Root {
		for _, before := range p.Root[:i] {
			if under(before.Target, m.Target) {
				t.Errorf("%s stands before %s", before.Target, m.Target)
			}
		}
	}
	a, b, ab := Mount{Target: "/a"}, Mount{Target: "/b"}, Mount{Target: "/a/b"}
	if inOrder(a, b) >= 0 || inOrder(b, a) <= 0 || inOrder(b, ab) >= 0 || inOrder(ab, b) <= 0 || inOrder(a, a) != 0 {
		t.Error("the order is not by depth and then by name")
	}
	for _, c := range []struct {
		p, dir string
		want   bool
	}{{"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/a", "/", true}, {"/", "/", true}, {"/", "/a", false}} {
		if got := under(c.p, c.dir); got != c.want {
			t.Errorf("%s under %s: %v", c.p, c.dir, got)
		}
	}
}

// The plan includes a mediator if the server sees a folder of the person's, in which it
// could find a socket. It has none for files, the system's folders or absent paths,
// since a mediator makes the start slower.
func TestWhoIsMediated(t *testing.T) {
	tr := parseTree(t, laptop, "file /home/ada/one\ndir /home/ada/led\nsocket /srv/s.sock\n")
	for _, c := range []struct {
		name string
		pol  func(*policy.Policy)
		led  bool
		want bool
	}{
		{"nothing", func(*policy.Policy) {}, false, false},
		{"a folder to read", func(p *policy.Policy) { p.Filesystem.Read = []policy.Path{{Path: "/home/ada/docs"}} }, false, true},
		{"a file to read", func(p *policy.Policy) { p.Filesystem.Read = []policy.Path{{Path: "/home/ada/one"}} }, false, false},
		{"a file to write", func(p *policy.Policy) { p.Filesystem.Write = []policy.Path{{Path: "/home/ada/one"}} }, false, true},
		{"a folder of the system's", func(p *policy.Policy) { p.Filesystem.Read = []policy.Path{{Path: "/usr/share/zoneinfo"}} }, false, false},
		{"one that is not there", func(p *policy.Policy) { p.Filesystem.Read = []policy.Path{{Path: "/home/ada/none", Optional: true}} }, false, false},
		{"a folder to write", func(p *policy.Policy) { p.Filesystem.Write = []policy.Path{{Path: "/home/ada/src/app"}} }, false, true},
		{"its own state", func(p *policy.Policy) {
			p.Filesystem.Write = []policy.Path{{Path: "/home/ada/.local/state/mcpen/servers/demo"}}
		}, false, false},
		{"a socket", func(p *policy.Policy) { p.Sockets = []policy.Socket{{Path: "/srv/s.sock"}} }, false, false},
		{"a program's folder that a link led to", func(*policy.Policy) {}, true, true},
	} {
		pol, prog := policy.Closed("demo"), laptopNode()
		c.pol(&pol)
		if c.led {
			prog.Needs = append(prog.Needs, Need{Path: "/home/ada/led", Led: []string{"/home/ada/src/link"}})
		} else {
			prog.Needs = append(prog.Needs, Need{Path: "/home/ada/led"}) // a runtime's own folder
		}
		h := laptopHost()
		h.Mediation = Fact{Is: Yes}
		tr.answer(&h, Asks(pol, prog, h.Home, h.State, h.Config, h.Runtime))
		p, err := Compile(pol, prog, h)
		if err != nil || p.Seccomp.Mediate != c.want || p.Holds(policy.LayerMediation) != c.want {
			t.Errorf("%s: mediated %v, %v", c.name, p.Seccomp.Mediate, err)
		}
	}
}
