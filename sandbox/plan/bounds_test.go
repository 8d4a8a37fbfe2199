package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/policy"
)

// compiled compiles a profile on the laptop with additional files, as a story does.
func compiled(t *testing.T, profile, tree string, more ...string) (Plan, error) {
	t.Helper()
	ar := &txtar.Archive{Files: []txtar.File{{Name: "profile.toml", Data: []byte("version = 1\nname = \"demo\"\n" + profile)}, {Name: "tree", Data: []byte(tree)}}}
	for i := 0; i < len(more); i += 2 {
		ar.Files = append(ar.Files, txtar.File{Name: more[i], Data: []byte(more[i+1])})
	}
	s := readStory(t, ar)
	return Compile(s.policy, s.program, s.host)
}

func target(p Plan, path string) (Mount, bool) {
	i := slices.IndexFunc(p.Root, func(m Mount) bool { return m.Target == path })
	if i < 0 {
		return Mount{}, false
	}
	return p.Root[i], true
}

// Somebody other than the server made a link in a protected place. In an unprotected
// place the server may have made the link, and chosen where it leads.
func TestLinksInUnprotectedPlacesAreNotFollowed(t *testing.T) {
	const tree = "link /home/ada/src/app/.vscode/data -> /home/ada/keys\nfile /home/ada/keys/id"
	const read = "[filesystem]\nwrite = [\"~/src/app\"]\nread = [\"~/src/app/.vscode/data\"]\n"
	if p, err := compiled(t, read, tree); err != nil {
		t.Errorf("protected: %v", err)
	} else if m, ok := target(p, "/home/ada/keys"); !ok || m.Writable {
		t.Errorf("protected: %+v", p.Root)
	}
	_, err := compiled(t, read+"unprotect = [\"~/src/app/.vscode\"]\n", tree)
	if err == nil || !strings.Contains(err.Error(), `cannot give "/home/ada/src/app/.vscode/data": it leads to "/home/ada/keys" by the symlink`) {
		t.Errorf("unprotected: %v", err)
	}
}

// If a denied path lies in a folder in the private /tmp, only the folders inside that
// folder get mounts of their own: the private /tmp has no source to mount.
func TestPinsStayInTheFolder(t *testing.T) {
	p, err := compiled(t, "[filesystem]\nwrite = [\"/tmp/a/b/work\"]\ndeny = [\"/tmp/a/b/work/c/d/secret\"]\n", "file /tmp/a/b/work/c/d/secret")
	if err != nil {
		t.Fatal(err)
	}
	var binds []string
	for _, m := range p.Root {
		if strings.HasPrefix(m.Target, "/tmp") && m.Kind == MountBind {
			binds = append(binds, fmt.Sprintf("%s from %s writable %v", m.Target, m.Source, m.Writable))
		}
	}
	want := []string{"/tmp/a/b/work from /tmp/a/b/work writable true", "/tmp/a/b/work/c from /tmp/a/b/work/c writable true", "/tmp/a/b/work/c/d from /tmp/a/b/work/c/d writable true"}
	if !slices.Equal(binds, want) {
		t.Errorf("mounted below /tmp: %q, want %q", binds, want)
	}
	if m, ok := target(p, "/tmp/a/b/work/c/d/secret"); !ok || m.Kind != MountMask {
		t.Errorf("the secret is there: %+v", m)
	}
	// In a folder that is read-only nothing can be renamed: no mount is needed.
	p, err = compiled(t, "[filesystem]\nread = [\"/srv/work\"]\ndeny = [\"/srv/work/c/secret\"]\n", "file /srv/work/c/secret")
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := target(p, "/srv/work/c"); ok {
		t.Errorf("mounted without need: %+v", m)
	}
}

// A server must not start in a denied folder under another name.
func TestWorkingDirectoryIsNotDenied(t *testing.T) {
	const tree = "dir /home/ada/src/app/secret/deep\nlink /home/ada/src/app/way -> secret/deep\nfile /home/ada/src/app/file\ndir /home/ada/src/app/other"
	start := func(dir string) error {
		_, err := compiled(t, fmt.Sprintf("[server]\ndir = %q\n[filesystem]\nread = [\"~/src/app\"]\ndeny = [\"~/src/app/secret\"]\n", dir), tree)
		return err
	}
	if err := start("~/src/app/other"); err != nil {
		t.Error(err)
	}
	for dir, want := range map[string]string{"~/src/app/secret": "it is denied", "~/src/app/secret/deep": "it is denied", "~/src/app/way": "it is denied",
		"~/src/app/file": "it is no directory", "~/src/app/absent": "", "~": "the user's home", "/srv": "", "~/src": "declares no path"} {
		if err := start(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}

// A listener waits on the ports that the profile names and on no other. A connection to
// a port between two of them is refused.
func TestSpansAreThePorts(t *testing.T) {
	host := func(first, last uint16) policy.Host {
		return policy.Host{Kind: policy.HostName, Name: "a.example", First: first, Last: last}
	}
	for _, c := range []struct {
		hosts []policy.Host
		want  []Span
	}{
		{nil, []Span{{80, 80}, {443, 443}}},
		{[]policy.Host{host(82, 82)}, []Span{{80, 80}, {82, 82}, {443, 443}}},
		{[]policy.Host{host(81, 81)}, []Span{{80, 81}, {443, 443}}},
		{[]policy.Host{host(78, 79)}, []Span{{78, 80}, {443, 443}}},
		{[]policy.Host{host(77, 78)}, []Span{{77, 78}, {80, 80}, {443, 443}}},
		{[]policy.Host{host(79, 500), host(100, 101)}, []Span{{79, 500}}},
		{[]policy.Host{host(65535, 65535), host(65534, 65534), host(1, 1)}, []Span{{1, 1}, {80, 80}, {443, 443}, {65534, 65535}}},
		{[]policy.Host{{Kind: policy.HostLocal, First: 90, Last: 91}}, []Span{{80, 80}, {443, 443}}},
	} {
		if got := spans(c.hosts); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.hosts, got, c.want)
		}
	}
	most := func(last uint16) error {
		pol := policy.Closed("demo")
		pol.Network.Allow = []policy.Host{host(1000, last)}
		_, err := compileIn(parseTree(t, laptop), nil, Compile, pol)
		return err
	}
	const full = 1000 + maxPorts - 2 - 1 // beside 80 and 443
	if maxPorts != 1024 || most(full) != nil || most(full+1) == nil {
		t.Errorf("of %d ports: %v; of one more: %v", maxPorts, most(full), most(full+1))
	}
}

// If a port served both the server's listener and a host's service, a connection would
// reach one of the two at random.
func TestPortsAreNotWantedTwice(t *testing.T) {
	for port, good := range map[int]bool{7999: true, 8000: false, 8001: true} {
		_, err := compiled(t, fmt.Sprintf("[network]\nallow = [\"localhost:8000\"]\nlisten = [%d]\n", port), "")
		if (err == nil) != good {
			t.Errorf("listening on %d: %v", port, err)
		}
	}
	if _, err := compiled(t, "[network]\nallow = [\"a.example:8000-8003\"]\nlisten = [8000]\n", ""); err != nil {
		t.Errorf("another's port: %v", err)
	}
}

// If the program is git, it gets the user's settings, whatever the profile reads.
func TestGitIsKnownByItsName(t *testing.T) {
	for _, c := range []struct {
		prog string
		read []string
		want bool
	}{
		{"/usr/bin/git", nil, true}, {"/opt/git", nil, true}, {"/usr/bin/git2", nil, false}, {"/git/x", nil, false},
		{"/x", []string{"/usr/lib/git-core"}, true}, {"/x", []string{"/srv", "/usr/bin/git"}, true}, {"/x", []string{"/usr/bin/git/x"}, false}, {"/x", nil, false},
	} {
		var pol policy.Policy
		for _, r := range c.read {
			pol.Filesystem.Read = append(pol.Filesystem.Read, policy.Path{Path: r})
		}
		if got := SaysGit(pol, Program{Path: c.prog}); got != c.want {
			t.Errorf("%s reading %q: %v", c.prog, c.read, got)
		}
	}
}

// A symlink in a folder that a server or a repository writes to must not grant anything
// outside that the profile does not grant elsewhere. Exceptions: everybody may read the
// system's read-only files, and a writable rule covers its target.
func TestLinksOfOthersLeadNowhereElse(t *testing.T) {
	const ground = `{"grounds": [{"dir": "/home/ada/clone", "who": "a repository"}]}`
	for name, c := range map[string]struct {
		tree, fs string
		good     bool
	}{
		"out":                         {"link /home/ada/clone/data -> /home/ada/keys\nfile /home/ada/keys/id", `read = ["~/clone/data"]`, false},
		"out, to write":               {"link /home/ada/clone/data -> /home/ada/keys\nfile /home/ada/keys/id", `write = ["~/clone/data"]`, false},
		"within":                      {"link /home/ada/clone/data -> real\nfile /home/ada/clone/real/id", `read = ["~/clone/data"]`, true},
		"to what is given":            {"link /home/ada/clone/data -> /home/ada/docs/a\nfile /home/ada/docs/a/id", `read = ["~/clone/data", "~/docs"]`, true},
		"to write what is given":      {"link /home/ada/clone/data -> /home/ada/docs/a\nfile /home/ada/docs/a/id", `write = ["~/clone/data"]` + "\n" + `read = ["~/docs"]`, false},
		"to write what is written":    {"link /home/ada/clone/data -> /home/ada/docs/a\nfile /home/ada/docs/a/id", `write = ["~/clone/data", "~/docs"]`, true},
		"to what another link leads":  {"link /home/ada/clone/data -> /home/ada/docs/a\nfile /home/ada/docs/a/id\nlink /home/ada/clone/more -> /home/ada/docs", `read = ["~/clone/data", "~/clone/more"]`, false},
		"to the system":               {"link /home/ada/clone/data -> /usr/share/doc\nfile /usr/share/doc/a", `read = ["~/clone/data"]`, true},
		"somebody's own link, honest": {"link /home/ada/data -> /home/ada/keys\nfile /home/ada/keys/id", `read = ["~/data"]`, true},
	} {
		_, err := compiled(t, "[filesystem]\n"+c.fs+"\n", c.tree, "host.json", ground)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			var ps Problems
			if !errors.As(err, &ps) || !slices.ContainsFunc(ps, func(p Problem) bool { return p.Refused }) {
				t.Errorf("%s: is no refusal: %v", name, err)
			}
		}
	}
}

// Exactly one mechanism holds each limit, or the plan says that none does.
func TestLimitsAreHeldOrSaid(t *testing.T) {
	const all = "[limits]\nmemory = \"1GiB\"\nprocesses = 7\nopen-files = 99\nfile-size = \"1MiB\"\ncpu = 0.01\ncpu-time = \"1s\"\ntmp = \"1MiB\"\ntmp-files = 17\nconnections = 5\nconnection-rate = 6\n"
	held := func(p Plan) string {
		var out []string
		for _, l := range p.Limits {
			out = append(out, fmt.Sprintf("%s=%d by %s", l.Name, l.Value, l.How))
		}
		return strings.Join(out, ", ")
	}
	p, err := compiled(t, all, "", "host.json", `{"cgroup": {"how": "cgroup2", "controllers": ["cpu", "memory", "pids"], "path": "/sys/fs/cgroup/x"}}`)
	if want := "memory=1073741824 by cgroup2, processes=7 by cgroup2, open-files=99 by rlimit, file-size=1048576 by rlimit, cpu=10 by cgroup2, cpu-time=1000 by rlimit, tmp=1048576 by tmpfs, tmp-files=17 by tmpfs, connections=5 by egress, connection-rate=6 by egress"; err != nil || held(p) != want || p.CgroupParent != "/sys/fs/cgroup/x" {
		t.Errorf("%s\nwant %s (%v, parent %q)", held(p), want, err, p.CgroupParent)
	}
	p, err = compiled(t, all, "", "host.json", `{"cgroup": {"how": "", "controllers": [], "why": "no cgroup was found"}}`)
	if err != nil || strings.Contains(held(p), "memory") || !strings.Contains(held(p), "processes=7 by rlimit") || strings.Contains(held(p), "cpu=") || len(p.Gaps) != 2 || p.Gaps[0].Why != "no cgroup was found" {
		t.Errorf("%s, gaps %+v (%v)", held(p), p.Gaps, err)
	}
	// The kernel lets the machine's own root start as many as it wants.
	p, err = compiled(t, all, "", "host.json", `{"uid": 0, "counted": false, "cgroup": {"how": "", "controllers": []}}`)
	if err != nil || strings.Contains(held(p), "processes") || len(p.Gaps) != 3 || p.Gaps[1].Want != "processes at most 7" || p.Gaps[1].Why != "RLIMIT_NPROC does not count root's processes" {
		t.Errorf("as root: %s, gaps %+v (%v)", held(p), p.Gaps, err)
	}
	p, err = compiled(t, all, "", "host.json", `{"uid": 0, "counted": true, "cgroup": {"how": "", "controllers": []}}`)
	if err != nil || !strings.Contains(held(p), "processes=7 by rlimit") {
		t.Errorf("as root of a container without root: %s, gaps %+v (%v)", held(p), p.Gaps, err)
	}
	p, err = compiled(t, all, "", "host.json", `{"cgroup": {"how": "", "controllers": [], "why": "no cgroup was found"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  LimitName
		value int64
		want  string
	}{{LimitMemory, 1 << 40, "1TiB"}, {LimitMemory, 1<<40 + 1<<30, "1025GiB"}, {LimitTmp, 1 << 20, "1MiB"}, {LimitFileSize, 1536, "1536B"}, {LimitFileSize, 1024, "1KiB"}, {LimitFileSize, 1023, "1023B"},
		{LimitCPU, 1500, "1.5 cores"}, {LimitCPUTime, 1500, "1.5s"}, {LimitProcesses, 8, "8"}} {
		if got := FormatLimit(c.name, c.value); got != c.want {
			t.Errorf("%s %d is %q, want %q", c.name, c.value, got, c.want)
		}
	}
	if l, ok := p.Limit(LimitOpenFiles); !ok || l.Value != 99 {
		t.Errorf("%+v", l)
	}
	if l, ok := p.Limit(LimitMemory); ok || l != (Limit{}) {
		t.Errorf("%+v", l)
	}
}

// Of two steps at one place, the plan keeps the one that gives exactly what was
// requested.
func TestOneOfTwoAtOnePlace(t *testing.T) {
	bind := func(from origin, source string, writable bool) step {
		return step{Mount: Mount{Kind: MountBind, Target: "/t", Source: source, Writable: writable}, from: from}
	}
	of := func(from origin, kind MountKind) step {
		return step{Mount: Mount{Kind: kind, Target: "/t"}, from: from}
	}
	for name, c := range map[string]struct {
		a, b     step
		want     step
		problems int
	}{
		"both read":                  {bind(fromProfile, "1", false), bind(fromProfile, "2", false), bind(fromProfile, "2", false), 0},
		"read and write":             {bind(fromProfile, "1", false), bind(fromProfile, "2", true), bind(fromProfile, "2", true), 0},
		"write and read":             {bind(fromProfile, "1", true), bind(fromProfile, "2", false), bind(fromProfile, "1", true), 0},
		"protected":                  {bind(fromProfile, "1", true), bind(fromProtected, "2", false), bind(fromProtected, "2", false), 0},
		"a device is kept":           {of(fromUs, MountDevice), bind(fromProfile, "2", false), of(fromUs, MountDevice), 0},
		"proc is kept":               {of(fromUs, MountProc), bind(fromProfile, "2", true), of(fromUs, MountProc), 0},
		"terminals are kept":         {of(fromUs, MountPTY), bind(fromProfile, "2", true), of(fromUs, MountPTY), 0},
		"the private one is kept":    {of(fromUs, MountTmpfs), of(fromProfile, MountTmpfs), of(fromUs, MountTmpfs), 0},
		"both write":                 {bind(fromProfile, "1", true), bind(fromProfile, "2", true), bind(fromProfile, "2", true), 0},
		"a pipe is kept":             {of(fromUs, MountPipe), bind(fromProfile, "2", true), of(fromUs, MountPipe), 0},
		"a folder makes room":        {of(fromUs, MountDir), of(fromProfile, MountTmpfs), of(fromProfile, MountTmpfs), 0},
		"a declared one for a file":  {of(fromUs, MountFile), bind(fromProfile, "2", false), bind(fromProfile, "2", false), 0},
		"not in place of a private":  {of(fromUs, MountTmpfs), bind(fromProfile, "2", true), of(fromUs, MountTmpfs), 1},
		"a private one for a folder": {bind(fromUs, "1", false), of(fromProfile, MountTmpfs), bind(fromUs, "1", false), 1},
	} {
		comp := &compiler{}
		got := comp.merge(c.a, c.b)
		if got.Kind != c.want.Kind || got.Source != c.want.Source || got.Writable != c.want.Writable || len(comp.problems) != c.problems {
			t.Errorf("%s: %+v with %v, want %+v", name, got, comp.problems, c.want)
		}
		if again := (&compiler{}).merge(c.b, c.a); c.a.from != c.b.from && (again.Kind != got.Kind || again.Source != got.Source) {
			t.Errorf("%s: the order decides: %+v, %+v", name, got, again)
		}
	}
}

// A program that counts as visible must exist inside: otherwise it fails for no reason
// that anybody sees.
func TestVisibleIsWhatIsMounted(t *testing.T) {
	comp := &compiler{}
	comp.plan.Root = []Mount{{Kind: MountBind, Target: "/usr"}, {Kind: MountTmpfs, Target: "/tmp"}, {Kind: MountDir, Target: "/etc"}, {Kind: MountFile, Target: "/etc/passwd"},
		{Kind: MountCopy, Target: "/etc/copy"}, {Kind: MountDevice, Target: "/dev/null"}, {Kind: MountMask, Target: "/usr/secret"}, {Kind: MountSymlink, Target: "/bin"}, {Kind: MountProc, Target: "/proc"}}
	for p, want := range map[string]bool{"/usr": true, "/usr/bin/x": true, "/usrx": false, "/tmp": true, "/tmp/x": false, "/etc": true, "/etc/passwd": true, "/etc/copy": true, "/etc/x": false,
		"/dev/null": true, "/dev/nul": false, "/usr/secret": false, "/usr/secret/x": false, "/usr/secretx": true, "/bin": false, "/": false, "/srv": false} {
		if got := comp.visible(p); got != want {
			t.Errorf("%s is there: %v", p, got)
		}
	}
}

// A freed place is free with everything below it, and nothing beside it is.
func TestFreedPlaces(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws"}, Free: []string{"/tmp"}, Except: []string{"/ws/.vscode"}, Names: []string{".vscode", ".git"}})
	for p, want := range map[string]bool{"/ws/.vscode": true, "/ws/.vscode/a/b": true, "/ws/.vscodex": false, "/ws": false, "/ws/a": false, "/ws/.git": false, "/": false, "/other/.vscode": false} {
		if got := j.Freed(p); got != want {
			t.Errorf("%s is freed: %v", p, got)
		}
	}
	for p, want := range map[string]bool{"/ws/.vscode": true, "/ws/.vscode/a": false, "/ws": false, "/ws/.git": false} {
		if got := j.Excepted(p); got != want {
			t.Errorf("%s is excepted: %v", p, got)
		}
	}
	for p, want := range map[string]string{"/ws": "/ws", "/ws/a": "/ws", "/wsx": "", "/tmp/a": "", "/": ""} {
		if got := j.Folder(p); got != want {
			t.Errorf("%s lies in %q, want %q", p, got, want)
		}
	}
}

// What lies in a folder of the host's is either the host's own, or a mount of its own
// with another right; nothing else can be put there.
func TestWhatStandsInAFolder(t *testing.T) {
	in := func(kind MountKind, from origin, source string, writable bool) step {
		return step{Mount: Mount{Kind: kind, Target: "/srv/a/x", Source: source, Writable: writable}, from: from}
	}
	folder := func(kind MountKind) step {
		return step{Mount: Mount{Kind: kind, Target: "/srv/a", Source: "/srv/a"}, from: fromProfile}
	}
	for name, c := range map[string]struct {
		s, ground step
		want      bool
		problem   string
	}{
		"anything in a private file system": {in(MountFile, fromUs, "", false), folder(MountTmpfs), true, ""},
		"the desk's, anywhere":              {in(MountBind, fromDesk, "/else", false), folder(MountBind), true, ""},
		"the same right again":              {in(MountBind, fromProfile, "/srv/a/x", false), folder(MountBind), false, ""},
		"another right":                     {in(MountBind, fromProfile, "/srv/a/x", true), folder(MountBind), true, ""},
		"another place":                     {in(MountBind, fromProfile, "/else/x", true), folder(MountBind), false, `cannot put "/srv/a/x" () into "/srv/a" ()`},
		"the host's own file is there":      {in(MountFile, fromUs, "", false), folder(MountBind), false, ""},
		"a socket's folder":                 {in(MountTmpfs, fromSocket, "", true), folder(MountBind), false, "declare less than /srv/a, or have the service listen elsewhere"},
		"in /proc":                          {in(MountBind, fromProfile, "/srv/a/x", false), folder(MountProc), false, `cannot put "/srv/a/x" () into "/srv/a" ()`},
	} {
		comp := &compiler{}
		if got := comp.stands(c.s, c.ground); got != c.want || (len(comp.problems) > 0) != (c.problem != "") || c.problem != "" && !strings.Contains(comp.problems[0].Text+comp.problems[0].Hint, c.problem) {
			t.Errorf("%s: %v, %+v", name, got, comp.problems)
		}
	}
}

// Compile refuses to judge a path of which nobody looked at the facts: each path that a
// policy or a program names is asked for, with the folders that decide where it lies.
func TestEveryPathIsAskedFor(t *testing.T) {
	path := func(p string) []policy.Path { return []policy.Path{{Path: p}} }
	for name, c := range map[string]struct {
		change func(pol *policy.Policy, prog *Program)
		want   string
	}{
		"the program":         {func(_ *policy.Policy, prog *Program) { prog.Path = "/a/b/run" }, "/a/b/run"},
		"a need":              {func(_ *policy.Policy, prog *Program) { prog.Needs = []Need{{Path: "/a/b", Led: []string{"/c/d"}}} }, "/a/b /c/d"},
		"the folder to start": {func(pol *policy.Policy, _ *Program) { pol.Server.Dir = "/a/b" }, "/a/b"},
		"what is read":        {func(pol *policy.Policy, _ *Program) { pol.Filesystem.Read = path("/a/b") }, "/a/b"},
		"what is written":     {func(pol *policy.Policy, _ *Program) { pol.Filesystem.Write = path("/a/b") }, "/a/b /a/b/git /a/b/fish /a/b/nvim /a/b/systemd"},
		"what is denied":      {func(pol *policy.Policy, _ *Program) { pol.Filesystem.Deny = path("/a/b/c") }, "/a /a/b /a/b/c"},
		"what is free":        {func(pol *policy.Policy, _ *Program) { pol.Filesystem.Unprotect = path("/a/b/c") }, "/a /a/b"},
		"a socket":            {func(pol *policy.Policy, _ *Program) { pol.Sockets = []policy.Socket{{Path: "/a/b/s"}} }, "/a /a/b /a/b/s"},
		"a secret": {func(pol *policy.Policy, _ *Program) {
			pol.Env.Secret = []policy.SecretFrom{{From: "file:/a/key"}, {From: "env:A"}}
		}, "/a/key"},
		"a baseline": {func(pol *policy.Policy, _ *Program) {
			pol.Bounds = []policy.Bounds{{Read: path("/a/r"), Write: path("/b/w"), Unprotect: path("/c/d/u"), Connect: []policy.Socket{{Path: "/e/s"}}}}
		}, "/a /a/r /b /b/w /c /c/d /e /e/s"},
		"mcpen's own": {func(*policy.Policy, *Program) {}, "/home /home/ada /st /st/mcpen"},
	} {
		var pol policy.Policy
		var prog Program
		c.change(&pol, &prog)
		asks := Asks(pol, prog, "/home/ada", "/st/mcpen", "")
		for _, p := range strings.Fields(c.want) {
			if !slices.ContainsFunc(asks, func(a Ask) bool { return a.Path == p }) {
				t.Errorf("%s: nobody asks for %s", name, p)
			}
		}
		for _, a := range asks {
			if a.Writable != (name == "what is written" && a.Path == "/a/b") {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// A device and a file of /proc are no single files of the user's, and neither are two
// names of one file two.
func TestSinglesAreTheUsers(t *testing.T) {
	comp := &compiler{host: laptopHost()}
	comp.host.Paths = map[string]PathFact{}
	for p, f := range map[string]PathFact{"/a/db": {Exists: true, Real: "/a/db"}, "/a/link": {Exists: true, Real: "/a/db"}, "/b": {Exists: true, Real: "/b/one"}, "/dev/x": {Exists: true, Real: "/dev/x"}, "/proc/x": {Exists: true, Real: "/proc/x"},
		"/d": {Exists: true, Dir: true, Real: "/d"}, "/s": {Exists: true, Socket: true, Real: "/s"}, "/in": {Exists: true, Real: "/folder/in"}, "/absent": {}, "/devx": {Exists: true, Real: "/devx"}, "/home/ada/x": {Exists: true, Real: "/home/ada/x"}} {
		comp.host.Paths[p] = f
		comp.pol.Filesystem.Write = append(comp.pol.Filesystem.Write, policy.Path{Path: p})
	}
	got := fmt.Sprintf("%+v", comp.singles([]string{"/folder"}))
	if want := "[{File:/a/db Folder:/a At:} {File:/b/one Folder:/b At:} {File:/devx Folder: At:} {File:/home/ada/x Folder: At:}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
