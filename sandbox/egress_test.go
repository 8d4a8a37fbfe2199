package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// egressProfile is the profile of the programs in these tests.
const egressProfile = `
[network]
allow = [
  "allowed.test:443", "allowed.test:80",
  "echo.test:7777", "db.test:5432", "git.test:22", "six.test:22", "git.test:2323", "six.test:2323",
  "inward.test:80", "twoface.test:80",
  "localhost:5555", "localhost:5557",
]
listen = [9000, 7777]
[sockets]
connect = [%q]
[env]
set = { SSL_CERT_FILE = %[2]q, NODE_EXTRA_CA_CERTS = %[2]q, CURL_CA_BUNDLE = %[2]q }
`

// reached lists the outcome inside for each program and target. Outside, every address
// leads to a peer of the test, and the outcome is OK, except as the last column says:
// "root" marks rows that need root there, and anything else is the outcome. UNNAMED
// marks connections to a port that no rule names: Landlock refuses them, and if the
// kernel's Landlock knows no ports, nothing listens there.
const reached = `
# What is allowed works, and nothing had to be set.
go       http      http://allowed.test/        OK
go       http      https://allowed.test/       OK
go       tcp       git.test:22                 OK
go       tcp       six.test:22                 OK
go       pg        db.test:5432                OK
go       echo      echo.test:7777              OK
go       many      git.test:22                 OK
go       dns       allowed.test@9.9.9.9:53     OK
node     fetch     http://allowed.test/        OK
node     fetch     https://allowed.test/       OK
node     get       https://allowed.test/       OK
node     net       git.test:22                 OK
python3  urllib    http://allowed.test/        OK
python3  urllib    https://allowed.test/       OK
python3  ssl       allowed.test:443            OK
python3  asyncio   git.test:22                 OK
curl     get       http://allowed.test/        OK
curl     get       https://allowed.test/       OK
c        connect   git.test:22                 OK
c        connect   six.test:22                 OK

# Where nobody listens, it is told as outside, so that whoever waits for a
# service or has a list of hosts goes on.
go       tcp       git.test:2323               ECONNREFUSED   ECONNREFUSED
go       connect   203.0.113.22:2323           ECONNREFUSED   ECONNREFUSED
go       tcp       six.test:2323               ECONNREFUSED   ECONNREFUSED
go       tcp       localhost:5557              ECONNREFUSED   ECONNREFUSED
node     net       git.test:2323               ECONNREFUSED   ECONNREFUSED
python3  asyncio   git.test:2323               ECONNREFUSED   ECONNREFUSED
c        connect   git.test:2323               ECONNREFUSED   ECONNREFUSED
c        connect   six.test:2323               ECONNREFUSED   ECONNREFUSED

# A name that nobody allowed does not exist.
go       http      https://other.test/         NXDOMAIN
go       dns       other.test@9.9.9.9:53       NXDOMAIN
node     fetch     https://other.test/         ENOTFOUND
node     get       http://other.test/          ENOTFOUND
python3  urllib    https://other.test/         EAI_NONAME
python3  asyncio   other.test:22               EAI_NONAME
curl     get       https://other.test/         exit6
c        connect   other.test:22               EAI_NONAME

# Nor does one that is allowed and leads inward, but for its other address.
go       http      http://inward.test/         NXDOMAIN
python3  urllib    http://inward.test/         EAI_NODATA
curl     get       http://inward.test/         exit6
go       http      http://twoface.test/        OK

# An allowed name on another port.
go       tcp       allowed.test:22             ECONNRESET
go       tcp       allowed.test:7778           UNNAMED
c        connect   allowed.test:22             ECONNRESET
c        connect   allowed.test:7778           UNNAMED

# Addresses that no name led to.
go       connect   203.0.113.99:22             ECONNRESET
go       connect   [2001:db8:1::99]:22         ECONNRESET
go       connect   203.0.113.99:7778           UNNAMED
go       http      http://203.0.113.99/        ECONNRESET|EPIPE
node     fetch     http://203.0.113.99/        ECONNRESET
node     net       203.0.113.99:22             ECONNRESET
python3  urllib    http://203.0.113.99/        ECONNRESET
python3  asyncio   203.0.113.99:22             ECONNRESET
curl     get       http://203.0.113.99/        exit7|exit55|exit56
curl     get       https://203.0.113.99/       exit7|exit35   exit60
curl     get       http://[2001:db8:1::99]/    exit7|exit55|exit56
c        connect   203.0.113.99:22             ECONNRESET
c        connect   [2001:db8:1::99]:22         ECONNRESET

# Metadata and private networks.
go       http      http://169.254.169.254/     ECONNRESET|EPIPE
go       connect   [fd00:ec2::254]:22          ECONNRESET
go       connect   10.0.0.5:22                 ECONNRESET
go       connect   172.16.0.5:22               ECONNRESET
go       connect   192.168.1.1:22              ECONNRESET
go       connect   100.64.0.1:22               ECONNRESET
go       connect   [fc00::5]:22                ECONNRESET
node     fetch     http://169.254.169.254/     ECONNRESET
python3  urllib    http://169.254.169.254/     ECONNRESET
curl     get       http://169.254.169.254/     exit7|exit55|exit56
c        connect   169.254.169.254:22          ECONNRESET
c        connect   10.0.0.5:22                 ECONNRESET

# What is no TCP, and TCP by other doors.
go       udp       203.0.113.10:443            ECONNREFUSED
go       udp       203.0.113.99:4444           ECONNREFUSED
go       udp       [2001:db8:1::99]:443        ECONNREFUSED
go       icmp      203.0.113.10                ENOSYS
go       raw       203.0.113.10                EPERM       root
go       packet    -                           EAFNOSUPPORT      root
go       fastopen  169.254.169.254:22          ENOTSUP
go       fastopen  203.0.113.99:22             ENOTSUP
go       mptcp     169.254.169.254:22          EPROTONOSUPPORT

# The loopback: the sandbox's own, but for the port with a rule.
go       tcp       localhost:5555              OK
go       tcp       127.0.0.1:5555              OK
go       tcp       127.0.0.1:5556              UNNAMED
go       self      127.0.0.1:9000              OK
go       self      127.0.0.1:0                 OK
go       self      127.0.0.1:7777              OK             EADDRINUSE
`

// attempt is one row of reached.
type attempt struct{ program, op, target, inside, outside string }

func attempts(t *testing.T, text string) (rows []attempt) {
	t.Helper()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		row := attempt{f[0], f[1], f[2], f[3], "OK"}
		if len(f) == 5 {
			row.outside = f[4]
		}
		if row.outside == "root" && os.Geteuid() == 0 {
			row.outside = "OK"
		}
		rows = append(rows, row)
	}
	return rows
}

func (a attempt) String() string { return a.program + " " + a.op + " " + a.target }

// commands start the programs, in the folder with their files. All of them
// write to descriptor 9.
var commands = map[string]string{
	"go":      "./probe",
	"node":    "node net.mjs",
	"python3": "/usr/bin/python3 net.py",
	"curl":    ". ./net.sh",
	"c":       "./net",
}

// scriptOf is the shell script that makes the attempts.
func scriptOf(rows []attempt) string {
	var s strings.Builder
	for _, program := range []string{"go", "node", "python3", "curl", "c"} {
		var args []string
		for _, r := range rows {
			if r.program == program {
				args = append(args, r.op, r.target)
			}
		}
		if args == nil {
			continue
		}
		fmt.Fprintf(&s, "set -- %s\n", strings.Join(args, " "))
		fmt.Fprintf(&s, "%s", commands[program])
		if program != "curl" {
			s.WriteString(` "$@"`)
		}
		s.WriteString("\n")
	}
	return s.String()
}

// unnamed is the outcome for a TCP port that no rule names: Landlock's answer, or
// otherwise if Landlock knows no ports.
func unnamed(pl plan.Plan, otherwise string) string {
	if pl.Landlock.ABI >= 4 {
		return "EACCES"
	}
	return otherwise
}

// outcomes reads the programs' output.
func outcomes(said string) map[string]string {
	got := map[string]string{}
	for line := range strings.Lines(said) {
		f := strings.Fields(line)
		if len(f) >= 4 {
			got[strings.Join(f[:3], " ")] = strings.Join(f[3:], " ")
		}
	}
	return got
}

// present drops the rows of programs that are not here.
func present(t *testing.T, rows []attempt) []attempt {
	t.Helper()
	missing := map[string]bool{}
	for program := range commands {
		if program == "go" || program == "c" {
			continue
		}
		if _, err := os.Stat("/usr/bin/" + program); err != nil {
			missing[program] = true
			t.Logf("%s is not here: its rows are left out", program)
		}
	}
	return slices.DeleteFunc(rows, func(r attempt) bool { return missing[r.program] })
}

// A server in any language reaches the hosts of its profile without knowing of the
// sandbox. Every other host is refused at once, and nothing of a refused request leaves
// the machine.
func TestEgress(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func(t *testing.T, n *ownNetwork) {
		rows := present(t, attempts(t, reached))
		p := n.pen
		n.install()
		text := scriptOf(rows)

		n.sniff.forget()
		outside := outcomes(outsideOf(t, p.project, n.env(), text))
		for _, r := range rows {
			if got := outside[r.String()]; r.outside != "root" && got != r.outside {
				t.Errorf("%s proves nothing: outside it is told %s, want %s", r, got, r.outside)
			}
		}
		left := n.sniff.seen(t)
		for _, want := range []string{"tcp 169.254.169.254:80", "tcp 10.0.0.5:22", "udp 203.0.113.10:443", "icmp 203.0.113.10", "tcp [2001:db8:1::99]:22"} {
			if !slices.Contains(left, want) {
				t.Errorf("outside, %s was not seen to leave: nothing is proved about the inside", want)
			}
		}
		n.asked.forget()

		pl := p.plan(n.profile(), "read line\n"+text+"echo \"$line\" | sed 's/\"method.*/\"result\":{}}/'\n")
		r := p.start(pl)
		if _, err := r.in.WriteString(`{"jsonrpc":"2.0","id":7,"method":"ping"}` + "\n"); err != nil {
			t.Fatal(err)
		}
		if exit := r.wait(); exit != (sandbox.Exit{}) {
			said := make([]byte, 4096)
			k, _ := r.stderr.Read(said)
			t.Errorf("the programs ended with %+v: %s", exit, said[:k])
		}
		inside := outcomes(p.gone())
		for _, row := range rows {
			want := strings.Split(row.inside, "|") // a reset may come before connect(2) returns, and to the first read or write
			if row.inside == "UNNAMED" {
				want = []string{unnamed(pl, "ECONNREFUSED")}
			}
			if got := inside[row.String()]; !slices.Contains(want, got) {
				t.Errorf("%s: told %q, want %s", row, got, strings.Join(want, " or "))
			}
		}
		onlyAllowedLeft(t, n)
		everyDecisionIsRecorded(t, r.events.all())
		toldOfPorts(t, pl, r.events.all(), map[string]string{
			"allowed.test:7778": `network.allow = ["allowed.test:7778"]`,
			"203.0.113.99:7778": `network.allow = ["203.0.113.99:7778"]`,
			"localhost:5556":    `network.allow = ["localhost:5556"]`,
		})
	})
}

// toldOfPorts fails the test if no event reports a connection to a port that no rule
// names: the kernel refuses it, and the egress never hears of it.
func toldOfPorts(t *testing.T, p plan.Plan, events []audit.Event, hints map[string]string) {
	t.Helper()
	if !p.Seccomp.Notify {
		t.Logf("this kernel gives no notification: nobody is told of ports that no rule names")
		return
	}
	for subject, hint := range hints {
		if !slices.ContainsFunc(events, func(e audit.Event) bool {
			return e.Kind == audit.KindConnect && e.Verdict == audit.Refused && e.Subject == subject && e.Advice() == hint && e.Errno != "" && e.PID != 0
		}) {
			t.Errorf("nobody was told of %s with %s", subject, hint)
		}
	}
}

// onlyAllowedLeft fails the test if anything left the machine that the profile does not
// allow.
func onlyAllowedLeft(t *testing.T, n *ownNetwork) {
	t.Helper()
	allowed := []string{
		"tcp 203.0.113.10:443", "tcp 203.0.113.10:80", "tcp 203.0.113.77:7777", "tcp 203.0.113.54:5432", "tcp 203.0.113.22:22", "tcp [2001:db8:1::10]:22", "tcp 203.0.113.20:80",
		"tcp 203.0.113.22:2323", "tcp [2001:db8:1::10]:2323", "tcp 127.0.0.1:5557", "tcp [::1]:5557",
		"tcp 127.0.0.1:5555", "tcp [::1]:5555", // the family that was meant is tried first
		"udp 203.0.113.53:53",
	}
	left := n.sniff.seen(t)
	for _, what := range left {
		if !slices.Contains(allowed, what) {
			t.Errorf("%s left", what)
		}
	}
	for _, what := range allowed {
		if !slices.Contains(left, what) {
			t.Errorf("%s is allowed and was not seen to leave", what)
		}
	}
	for _, name := range n.asked.all() {
		if !slices.Contains([]string{"allowed.test", "echo.test", "db.test", "git.test", "six.test", "inward.test", "twoface.test"}, name) {
			t.Errorf("a name server was asked for %q", name)
		}
	}
}

// everyDecisionIsRecorded looks for the events that a person would go by.
func everyDecisionIsRecorded(t *testing.T, events []audit.Event) {
	t.Helper()
	const megabyte = 1 << 20
	for _, want := range []audit.Event{
		{Kind: audit.KindName, Verdict: audit.Allowed, Subject: "allowed.test", Rule: "life.toml:10:3", Detail: "203.0.113.10"},
		{Kind: audit.KindName, Verdict: audit.Refused, Subject: "other.test", Hint: `network.allow = ["other.test:PORT"]`},
		{Kind: audit.KindName, Verdict: audit.Refused, Subject: "inward.test", Rule: "life.toml:12:3", Address: "10.0.0.5"},
		{Kind: audit.KindName, Verdict: audit.Refused, Subject: "inward.test", Rule: "life.toml:12:3", Address: "169.254.169.254"},
		{Kind: audit.KindConnect, Verdict: audit.Allowed, Subject: "allowed.test:443", Rule: "life.toml:10:3", Address: "203.0.113.10:443"},
		{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: "echo.test:7777", Rule: "life.toml:11:3", Address: "203.0.113.77:7777", Sent: megabyte, Received: megabyte + int64(len(greeting))},
		{Kind: audit.KindConnect, Verdict: audit.Allowed, Subject: "localhost:5555", Rule: "life.toml:13:3", Address: "127.0.0.1:5555"},
		{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "169.254.169.254:80", Address: "169.254.169.254:80"},
		{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "203.0.113.99:22", Address: "203.0.113.99:22", Hint: `network.allow = ["203.0.113.99:22"]`},
		{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "allowed.test:22", Address: "203.0.113.10:22"},
	} {
		found := slices.ContainsFunc(events, func(e audit.Event) bool { return tells(e, want) })
		if !found {
			t.Errorf("not recorded: %+v", want)
			for _, e := range events {
				if e.Subject == want.Subject {
					t.Logf("\tbut: %+v", e)
				}
			}
		}
	}
}

// tells reports whether an event matches want, and for which request.
func tells(e, want audit.Event) bool {
	return e.Kind == want.Kind && e.Verdict == want.Verdict && e.Subject == want.Subject && e.Address == want.Address &&
		e.Sent == want.Sent && e.Received == want.Received &&
		(want.Rule == "" || strings.HasSuffix(e.Rule, want.Rule)) && (want.Advice() == "" || e.Advice() == want.Advice()) &&
		(want.Detail == "" || e.Detail == want.Detail) &&
		(e.Verdict == audit.Observed || e.Request != nil && bytes.Equal(e.Request.ID, json.RawMessage("7")) && e.Request.Method == "ping")
}

// unreached lists the outcomes for a server whose profile allows nothing. UNNAMED is as
// above, and no address is reachable if Landlock knows no ports.
const unreached = `
go       http      http://other.test/          NXDOMAIN
node     fetch     http://other.test/          ENOTFOUND
python3  urllib    http://other.test/          EAI_NONAME
curl     get       http://other.test/          exit6
go       connect   203.0.113.99:22             UNNAMED
go       connect   [2001:db8:1::99]:22         UNNAMED
node     net       169.254.169.254:22          UNNAMED
python3  asyncio   10.0.0.5:22                 UNNAMED
curl     get       http://203.0.113.99/        exit7
c        connect   other.test:22               EAI_NONAME
c        connect   203.0.113.99:22             UNNAMED
go       udp       203.0.113.99:443            ENETUNREACH
go       self      127.0.0.1:0                 OK
`

// A server whose profile allows nothing gets an error at once, not after minutes of
// attempts. The author of its profile learns the hosts that it wanted.
func TestEgressNothingAllowed(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func(t *testing.T, n *ownNetwork) {
		n.install()
		rows := present(t, attempts(t, unreached))
		outside := outcomes(outsideOf(t, n.pen.project, nil, scriptOf(rows)))
		n.sniff.forget()
		pl := n.pen.plan("", scriptOf(rows))
		r := n.pen.start(pl)
		r.wait()
		inside := outcomes(n.pen.gone())
		for _, row := range rows {
			if got := outside[row.String()]; got != row.outside {
				t.Errorf("%s proves nothing: outside it is told %q", row, got)
			}
			want := row.inside
			if want == "UNNAMED" {
				want = unnamed(pl, "ENETUNREACH")
			}
			if got := inside[row.String()]; got != want {
				t.Errorf("%s: told %q, want %s", row, got, want)
			}
		}
		if left := n.sniff.seen(t); left != nil {
			t.Errorf("%q left", left)
		}
		toldOfPorts(t, pl, r.events.all(), map[string]string{
			"203.0.113.99:22":     `network.allow = ["203.0.113.99:22"]`,
			"[2001:db8:1::99]:22": `network.allow = ["[2001:db8:1::99]:22"]`,
			"169.254.169.254:22":  "",
			"10.0.0.5:22":         `network.allow = ["10.0.0.5:22"]`,
		})
		if slices.ContainsFunc(r.events.all(), func(e audit.Event) bool { return e.Subject == "203.0.113.99:443" }) {
			t.Error("a UDP socket, which programs connect to learn their own address, was taken for a connection")
		}
		if !slices.ContainsFunc(r.events.all(), func(e audit.Event) bool {
			return e.Kind == audit.KindName && e.Verdict == audit.Refused && e.Subject == "other.test" && e.Advice() == `network.allow = ["other.test:PORT"]`
		}) {
			t.Errorf("nobody was told what the server asked for: %+v", r.events.all())
		}
	})
}

// A server talks to the one unix socket that its profile names, and to no other:
// behind another may be the machine's root.
func TestEgressUnixSockets(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func(t *testing.T, n *ownNetwork) {
		n.install()
		named, other := n.socket("app.sock"), n.socket("docker.sock")
		rows := []attempt{{program: "go", op: "unix", target: named, inside: "OK"}, {program: "go", op: "unix", target: other, inside: "ENOENT"}}
		outside := outcomes(outsideOf(t, n.pen.project, nil, scriptOf(rows)))
		r := n.pen.start(n.pen.plan(n.profile(), scriptOf(rows)))
		r.wait()
		inside := outcomes(n.pen.gone())
		for _, row := range rows {
			if got := outside[row.String()]; got != "OK" {
				t.Errorf("%s proves nothing: outside it is told %q", row, got)
			}
			if got := inside[row.String()]; got != row.inside {
				t.Errorf("%s: told %q, want %s", row, got, row.inside)
			}
		}
		ev := slices.DeleteFunc(r.events.all(), func(e audit.Event) bool { return e.Kind != audit.KindConnect })
		if len(ev) == 0 || ev[0].Verdict != audit.Allowed || !strings.Contains(ev[0].Subject, "app.sock") {
			t.Errorf("the connection to the socket was not recorded: %+v", ev)
		}
	})
}

// outsideOf runs a script as it would run without mcpen.
func outsideOf(t *testing.T, dir string, env []string, text string) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("sh", "-c", text, "server")
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=/usr/bin:/bin", "HOME=" + dir}, env...)
	null := make([]*os.File, 6) // descriptors 3 to 8 lead nowhere
	cmd.ExtraFiles = append(null, write)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	var said bytes.Buffer
	if _, err := said.ReadFrom(read); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("outside: %v\n%s", err, &stderr)
	}
	return said.String()
}

// profile is the profile of these tests.
func (n *ownNetwork) profile() string {
	return fmt.Sprintf(egressProfile, n.socket("app.sock"), filepath.Join(n.pen.project, "ca.pem"))
}

func (n *ownNetwork) env() []string {
	ca := filepath.Join(n.pen.project, "ca.pem")
	return []string{"SSL_CERT_FILE=" + ca, "NODE_EXTRA_CA_CERTS=" + ca, "CURL_CA_BUNDLE=" + ca}
}

// socket is the path of a unix socket at which a peer listens.
func (n *ownNetwork) socket(name string) string {
	path := filepath.Join(n.sockets, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		n.t.Fatal(err)
	}
	n.serve(l, speaks)
	return path
}

// install puts the programs where they can be started.
func (n *ownNetwork) install() {
	for _, name := range []string{"probe", "net", "net.mjs", "net.py", "net.sh"} {
		data, err := os.ReadFile(filepath.Join(os.Getenv(egressFiles), name))
		if err == nil {
			err = os.WriteFile(filepath.Join(n.pen.project, name), data, 0o755)
		}
		if err != nil {
			n.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(n.pen.project, "ca.pem"), n.ca, 0o644); err != nil {
		n.t.Fatal(err)
	}
}

var egressLayers = []policy.Layer{policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp}
