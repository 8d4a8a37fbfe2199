package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// whyCase is a server whose profile has a rule of each kind, one a line.
func whyCase(t *testing.T) (Case, tree) {
	t.Helper()
	tr := parseTree(t, laptop, `
file /home/ada/src/app/.git/config
file /home/ada/src/app/sub/x
dir /home/ada/src/app/secret
file /home/ada/docs/a
link /home/ada/docs/out -> /home/ada/other/x
link /home/ada/l -> docs
file /home/ada/other/x
file /home/ada/one.db
file /tmp/shown/a
socket /srv/run/db.sock
socket /run/docker.sock
`)
	pos := func(line int) policy.Pos { return policy.Pos{File: "p.toml", Line: line, Col: 1} }
	host := func(line int, s string, private bool) policy.Host {
		h, err := policy.ParseHost(s)
		if err != nil {
			t.Fatal(err)
		}
		h.At, h.Private = pos(line), private
		return h
	}
	pol := policy.Closed("demo")
	pol.Given = []policy.Given{{Name: "workspace", Values: []string{"/home/ada/src/app"}}, {Name: "home", Values: []string{"/home/ada"}}}
	pol.Filesystem = policy.Filesystem{
		Read:  []policy.Path{{Path: "/home/ada/docs", At: pos(1)}, {Path: "/tmp/shown", At: pos(7)}, {Path: "/home/ada/later", Optional: true, At: pos(2)}},
		Write: []policy.Path{{Path: "/home/ada/src/app", At: pos(3)}, {Path: "/home/ada/one.db", At: pos(4)}},
		Deny:  []policy.Path{{Path: "/home/ada/src/app/secret", At: pos(5)}, {Path: "/home/ada/.ssh", At: pos(6)}},
	}
	pol.Network.Allow = []policy.Host{host(10, "api.example.com:443", false), host(11, "*.example.org:8000-8002", false),
		host(12, "10.0.0.0/8:5432", false), host(13, "100.64.0.0/10:80", false), host(14, "localhost:5000", false), host(15, "192.0.0.0/8:443", false)}
	pol.Tools.Filter = policy.Filter{Allow: []policy.Glob{{Pattern: "get_*", At: pos(20)}}, Deny: []policy.Glob{{Pattern: "get_secret", At: pos(21)}}}
	pol.Tools.Rules = []policy.ToolRule{{Tool: "get_a", PerMinute: 1, At: pos(22)}}
	c := Case{Policy: pol, Program: laptopNode(), Host: laptopHost()}
	c.Host.Mediation = Fact{Is: Yes}
	tr.answer(&c.Host, Asks(pol, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
	return c, tr
}

// short formats an answer in one line: the action, + or -, the line number, and the
// grant that would change it.
func short(a Answer) string {
	var out []string
	for _, v := range a.Decisions {
		s := v.Do + map[bool]string{true: "+", false: "-"}[v.Allowed]
		if v.Rule != "" {
			s += strings.TrimSuffix(strings.TrimPrefix(v.Rule, "p.toml:"), ":1")
		}
		if v.Grant != nil {
			s += " " + v.Grant.Line()
		}
		if v.Never != "" {
			s += " never"
		}
		if v.Hint != "" {
			s += " " + v.Hint
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// A person who reads "allowed" in error, or the wrong line, changes the wrong thing.
func TestWhy(t *testing.T) {
	c, tr := whyCase(t)
	for _, test := range []struct{ ask, want, why, unknown string }{
		{"/home/ada/docs/a", `read+1; write-1 filesystem.write = ["~/docs/a"]`, "to be read alone", "symlinks lead"},
		{"/home/ada/docs", `read+1; write-1 filesystem.write = ["~/docs"]`, "", "symlinks"},
		{"/home/ada/docs/new", `read+1; write-1 never`, "", "now nothing is"},
		{"/home/ada/docs/out", `read- filesystem.read = ["~/docs/out"]; write- filesystem.write = ["~/docs/out"]`, "nothing of it", ""},
		{"/home/ada/l/a", `read- filesystem.read = ["~/l/a"]; write- filesystem.write = ["~/l/a"]`, `symlink "/home/ada/l"`, ""},
		{"/home/ada/src/app/sub/x", "read+3; write+3", "declared", "at the start"},
		{"/home/ada/src/app/sub/new", "read+3; write+3", "declared", "now nothing is"},
		{"/home/ada/src/app/.git/config", `read+3; write-3 filesystem.unprotect = ["${workspace}/.git"]`, "stays as it is", ""},
		{"/home/ada/src/app/sub/.git/hooks/x", `read+3; write-3 filesystem.unprotect = ["${workspace}/sub/.git"]`, "protected: .git", ""},
		{"/home/ada/src/app/secret", "read-5 never; write-5 never", "denied", ""},
		{"/home/ada/src/app/secret/new", "read-5 never; write-5 never", "denied", ""},
		{"/home/ada/.ssh/id_ed25519", "read-6 never; write-6 never", "denied", ""},
		{"/home/ada/one.db", "read+4; write+4", "neither replaced", ""},
		{"/home/ada/one.db-wal", "read- never; write- never", "nothing of it", "now nothing is"},
		{"/home/ada/later/x", "read-2 never; write-2 never", "may be absent", ""},
		{"/home/ada/other/x", `read- filesystem.read = ["~/other/x"]; write- filesystem.write = ["~/other/x"]`, "no rule declares it", ""},
		{"/home/ada", "read- never; write- never", "no rule declares it", ""},
		{"/home/ada/.local/state/mcpen/store", "read- never; write- never", "", ""},
		{"/usr/bin/node", "read+; write- never", "", ""},
		{"/etc/passwd", `read- filesystem.read = ["/etc/passwd"]; write- never`, "its own", ""},
		{"/tmp/shown/a", `read+7; write-7 filesystem.write = ["/tmp/shown/a"]`, "to be read alone", ""},
		{"/tmp/x", "read- never; write- never", "its own", ""},
		{"/srv/run/db.sock", `connect- sockets.connect = ["/srv/run/db.sock"]`, "no rule names", ""},
		{"/run/docker.sock", `connect- sockets.connect = [{ path = "/run/docker.sock", override = "` + policy.Override + `" }]`, "", ""},

		{"api.example.com:443", "connect+10", "TLS with this name", "which addresses the name has"},
		{"api.example.com:80", `connect-10 network.allow = ["api.example.com:80"]`, "another port", ""},
		{"a.example.org:8001", "connect+11", "TLS with no other name", "which addresses"},
		{"example.org:8001", `connect- network.allow = ["example.org:8001"]`, "not looked up", ""},
		{"a.b.c.d.e.example.org:8001", `connect-11 network.allow = ["a.b.c.d.e.example.org:8001"]`, "too long", ""},
		{"evil.example:443", `connect- network.allow = ["evil.example:443"]`, "not looked up", ""},
		{"10.1.2.3:5432", "connect+12", "10.0.0.0/8", "this machine's own"},
		{"10.1.2.3:80", `connect-12 network.allow = ["10.1.2.3:80"]`, "another port", "which names lead"},
		{"192.168.1.1:443", `connect-15 network.allow = ["192.168.1.1:443"]`, "not such as a whole", "which names lead"},
		{"192.0.2.1:443", "connect+15", "", "this machine's own"},
		{"169.254.169.254:80", "connect- never", "metadata", ""},
		{"100.100.100.200:80", "connect-13 never", "metadata", ""},
		{"8.8.8.8:53", `connect- network.allow = ["8.8.8.8:53"]`, "", "which names lead"},
		{"::ffff:10.1.2.3:5432", "connect- never", "IPv4 address in an IPv6 one", ""},
		{"localhost:5000", "connect+14", "loopback", ""},
		{"127.0.0.1:5000", "connect+14", "loopback", ""},
		{"127.0.0.2:5000", "connect- never", "the server's own", ""},
		{"localhost:22", `connect- network.allow = ["localhost:22"]`, "the server's own", ""},
		{"127.0.0.1:22", `connect- network.allow = ["localhost:22"]`, "the server's own", ""},

		{"get_a", "call+20", "bounded at p.toml:22:1", "pins"},
		{"get_secret", "call-21 never", "which wins", "has a tool of this name"},
		{"delete", `call-20 tools.allow = ["delete"]`, "no pattern", ""},
		{"delete*", "call-20 never", "", ""},
	} {
		a, err := Why(c, askOf(test.ask, tr))
		if err != nil {
			t.Fatal(err)
		}
		if got := short(a); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s\n(%+v)", test.ask, got, test.want, a)
		}
		if text := fmt.Sprint(a.Decisions); !strings.Contains(text, test.why) {
			t.Errorf("%s: %q is not in %s", test.ask, test.why, text)
		}
		if text := strings.Join(a.Unknown, "; "); !strings.Contains(text, test.unknown) || a.Kind == "host" && (text == "") != (test.unknown == "") {
			t.Errorf("%s: %q is not in %q", test.ask, test.unknown, text)
		}
	}
}

func askOf(s string, tr tree) Question {
	if strings.HasPrefix(s, "/") {
		q := Question{Path: s, Facts: map[string]PathFact{"/": tr.look("/")}}
		for i, r := range s {
			if r == '/' && i > 0 {
				q.Facts[s[:i]] = tr.look(s[:i])
			}
		}
		q.Facts[s] = tr.look(s)
		return q
	}
	if i := strings.LastIndex(s, ":"); i > 0 {
		q := Question{Host: s[:i]}
		fmt.Sscan(s[i+1:], &q.Port)
		return q
	}
	return Question{Tool: s}
}

// A server without any grant may do nothing, whatever the question; and it may not
// connect if no namespace holds the network.
func TestWhyOfNothingRefuses(t *testing.T) {
	full, tr := whyCase(t)
	c := Case{Policy: policy.Closed("demo"), Program: full.Program, Host: laptopHost()}
	tr.answer(&c.Host, Asks(c.Policy, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
	for _, ask := range []string{"/home/ada/docs/a", "/home/ada/src/app/sub/x", "/srv/run/db.sock", "api.example.com:443", "10.1.2.3:5432", "localhost:5000"} {
		a, err := Why(c, askOf(ask, tr))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(a.Decisions, func(v Decision) bool { return v.Allowed || v.Rule != "" }) || len(a.Decisions) == 0 {
			t.Errorf("%s: %+v", ask, a)
		}
	}
	c.Policy.Require.Without = []policy.Without{{Layer: policy.LayerNamespaces}}
	c.Policy.Require.Layers = slices.DeleteFunc(slices.Clone(c.Policy.Require.Layers), func(l policy.Layer) bool { return l == policy.LayerNamespaces })
	a, err := Why(c, askOf("api.example.com:443", tr))
	if err != nil || cmp.Or(a.Decisions[0].Allowed, a.Decisions[0].Grant != nil) || a.Decisions[0].Never == "" {
		t.Errorf("without namespaces: %+v, %v", a, err)
	}
}

// Behind a proxy, mcpen does not know the addresses of a name. If the plan does not
// compile, the answer is the list of problems.
func TestWhyByAProxy(t *testing.T) {
	c, tr := whyCase(t)
	c.Host.Proxies = Proxies{HTTPS: Proxy{Via: "http://proxy.example:3128", At: "HTTPS_PROXY"}}
	for ask, want := range map[string]string{"api.example.com:443": "which way the connection takes", "10.1.2.3:5432": "which way the connection takes", "evil.example:443": "which way the connection takes", "localhost:5000": "", "127.0.0.1:22": "", "a.localhost:1": ""} {
		a, err := Why(c, askOf(ask, tr))
		if got := strings.Join(a.Unknown, "; "); err != nil || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", ask, got, err)
		}
	}
	bad := c
	bad.Policy.Server.Dir = "/nowhere"
	if a, err := Why(bad, askOf("/etc", tr)); err == nil || len(a.Decisions) != 0 {
		t.Errorf("a plan that does not compile: %+v, %v", a, err)
	}
}

// These are the grants, and the reasons why there is none.
func TestWhyNever(t *testing.T) {
	c, tr := whyCase(t)
	for ask, want := range map[string]string{
		"/home/ada/docs/new":       "name the folder that it is to be in",
		"/home/ada/one.db-wal":     "make it, and ask again",
		"/home/ada":                "a whole home directory",
		"/usr/bin/node":            "the machine's own programs",
		"/home/ada/src/app/secret": "take it out of filesystem.deny",
		"a._b.example:443":         "is not a host name",
		"a.localhost:80":           "only",
		"127.0.0.2:5000":           "only",
	} {
		a, err := Why(c, askOf(ask, tr))
		if err != nil || len(a.Decisions) == 0 {
			t.Fatal(err)
		}
		never := a.Decisions[len(a.Decisions)-1].Never
		if (never == "") != (want == "") || !strings.Contains(never, want) {
			t.Errorf("%s: %q, want %q (%+v)", ask, never, want, a)
		}
	}
	tr.put("/home/ada/closed", entry{kind: "closed"})
	a, err := Why(c, askOf("/home/ada/closed/x", tr))
	if err != nil || !strings.Contains(strings.Join(a.Unknown, "; "), "what is there: ") || strings.Contains(strings.Join(a.Unknown, "; "), "what will be there") {
		t.Errorf("what cannot be looked at: %+v, %v", a, err)
	}
	// A device is writable, whatever the mount says; a link to one leads there.
	c.Policy.Filesystem.Write = append(slices.Clone(c.Policy.Filesystem.Write), policy.Path{Path: "/dev/shm/none", Optional: true})
	if a, err := Why(c, askOf("/dev/null", tr)); err != nil || len(a.Decisions) != 2 || !a.Decisions[0].Allowed || !a.Decisions[1].Allowed {
		t.Errorf("/dev/null: %+v, %v", a, err)
	}
	// A declared socket is allowed, by its name and by its target.
	tr.put("/srv/link.sock", entry{"link", "run/db.sock"})
	c, _ = whyCase(t)
	c.Policy.Sockets = []policy.Socket{{Path: "/srv/run/db.sock", At: policy.Pos{File: "p.toml", Line: 30, Col: 1}}, {Path: "/run/docker.sock", Override: policy.Override, At: policy.Pos{File: "p.toml", Line: 31, Col: 1}}}
	tr.answer(&c.Host, Asks(c.Policy, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
	for ask, want := range map[string]string{"/srv/run/db.sock": "connect+30 declared", "/srv/link.sock": "connect+30 declared", "/run/docker.sock": "connect+31 declared, though whoever may talk to this socket is the host itself"} {
		a, err := Why(c, askOf(ask, tr))
		if err != nil || short(a)+" "+a.Decisions[0].Why != want {
			t.Errorf("%s: %s %s, want %s (%v)", ask, short(a), a.Decisions[0].Why, want, err)
		}
	}
	// Without a mediator only a mount holds a protected place.
	c, tr = whyCase(t)
	c.Policy.Require.Layers = slices.DeleteFunc(slices.Clone(c.Policy.Require.Layers), func(l policy.Layer) bool { return l == policy.LayerMediation })
	for ask, want := range map[string]string{"/home/ada/src/app/.git/config": `read+3; write-3 filesystem.unprotect = ["${workspace}/.git"]`, "/home/ada/src/app/sub/x": "read+3; write+3", "/home/ada/docs/a": `read+1; write-1 filesystem.write = ["~/docs/a"]`} {
		a, err := Why(c, askOf(ask, tr))
		if err != nil || short(a) != want || slices.ContainsFunc(a.Unknown, func(s string) bool { return strings.Contains(s, "at the start: what a protected") }) {
			t.Errorf("without a mediator, %s: %s, want %s (%v)", ask, short(a), want, err)
		}
	}
}

// A denied place stays denied by way of a link, and so does what lies below a denied
// link; a folder that leads to the home is the home.
func TestWhyByWayOfLinks(t *testing.T) {
	c, tr := whyCase(t)
	tr.put("/home/ada/way", entry{"link", "src/app/secret"})
	tr.put("/home/ada/denied", entry{"link", "other"})
	tr.put("/home/ada/other/out", entry{"link", "../docs/a"})
	tr.put("/home/ada/me", entry{"link", "/home/ada"})
	c.Policy.Filesystem.Deny = append(slices.Clone(c.Policy.Filesystem.Deny), policy.Path{Path: "/home/ada/denied", At: policy.Pos{File: "p.toml", Line: 8, Col: 1}})
	tr.answer(&c.Host, Asks(c.Policy, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
	for ask, want := range map[string]string{
		"/home/ada/way": "read-5 never; write-5 never", "/home/ada/way/new": "read-5 never; write-5 never", "/home/ada/way/deep/new": "read-5 never; write-5 never",
		"/home/ada/denied/x": "read-8 never; write-8 never", "/home/ada/denied/out": "read-8 never; write-8 never", "/home/ada/other/x": "read-8 never; write-8 never",
		"/home/ada/docs/a": `read+1; write-1 filesystem.write = ["~/docs/a"]`,
	} {
		a, err := Why(c, askOf(ask, tr))
		if err != nil || short(a) != want {
			t.Errorf("%s: %s, want %s (%v)", ask, short(a), want, err)
		}
	}
	for dir, want := range map[string]string{"/home/ada/me": "the user's home is not there as a whole", "/home/ada": "the user's home is not there as a whole", "/home/ada/docs": ""} {
		c.Policy.Server.Dir = dir
		tr.answer(&c.Host, Asks(c.Policy, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
		if _, err := Compile(c.Policy, c.Program, c.Host); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("in %s: %v, want %q", dir, err, want)
		}
	}
}

// A bare word may be a host and a tool: the answer tells of the tool only if it was
// asked for.
func TestWhyOfANameAndATool(t *testing.T) {
	c, _ := whyCase(t)
	for tool, want := range map[string]string{"": "look up+10", "get_a": "look up+10; call+20", "delete": `look up+10; call-20 tools.allow = ["delete"]`} {
		a, err := Why(c, Question{Host: "api.example.com", Tool: tool})
		if err != nil || a.Kind != "name" || short(a) != want || (len(a.Unknown) > 0) != (tool != "") {
			t.Errorf("%q: %s, want %s; unknown %q (%v)", tool, short(a), want, a.Unknown, err)
		}
	}
}

// Each protected name says which program trusts it: a person who reads of a refusal
// decides by that.
func TestEveryProtectedNameSaysWhoTrustsIt(t *testing.T) {
	for _, p := range protectors {
		if p.by == "" || len(p.names) == 0 {
			t.Errorf("%q: %q", p.by, p.names)
		}
	}
}

// A gap names its cause: a person who reads of another mends the wrong thing.
func TestGapsNameTheirCause(t *testing.T) {
	c, tr := whyCase(t)
	tr.put("/tmp/mine", entry{kind: "dir"})
	without := func(layers ...policy.Layer) Case {
		c := c
		c.Policy.Filesystem.Write = append(slices.Clone(c.Policy.Filesystem.Write), policy.Path{Path: "/tmp/mine", At: policy.Pos{File: "p.toml", Line: 9, Col: 1}})
		c.Policy.Require.Without = nil
		for _, l := range layers {
			c.Policy.Require.Layers = slices.DeleteFunc(slices.Clone(c.Policy.Require.Layers), func(have policy.Layer) bool { return have == l })
			c.Policy.Require.Without = append(c.Policy.Require.Without, policy.Without{Layer: l})
		}
		c.Host.Paths = nil
		tr.answer(&c.Host, Asks(c.Policy, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
		return c
	}
	for _, test := range []struct {
		c    Case
		want string // "" if the mediator is there
		mine string // what the gap of the writable folder in /tmp says
	}{
		{without(), "", `"/tmp/mine" read-only by Landlock: by the mounts only`},
		{without(policy.LayerMediation), "the profile or the command line does without", `"/tmp/mine" without new sockets and fifos: they can be made`},
	} {
		p, err := Compile(test.c.Policy, test.c.Program, test.c.Host)
		if err != nil {
			t.Fatal(err)
		}
		why, mine := "", ""
		for _, g := range p.Gaps {
			if g.Layer == policy.LayerMediation {
				why = g.Why
			}
			if strings.Contains(g.Want, "/tmp/mine") {
				mine = g.Want + ": " + g.Have
			}
		}
		if why != test.want || mine != test.mine {
			t.Errorf("no mediator, as %q, and %q; want %q and %q\n%+v", why, mine, test.want, test.mine, p.Gaps)
		}
	}
	for want, holds := range map[string][]policy.Layer{"": {policy.LayerNamespaces, policy.LayerSeccomp}, "there are no namespaces, in which the mediator would be": {policy.LayerSeccomp}, "there is no system call filter, which would ask the mediator": {policy.LayerNamespaces}} {
		cc := &compiler{pol: c.Policy, host: c.Host, plan: Plan{Layers: holds}}
		if got := cc.unmediated(); got != want {
			t.Errorf("with %v: %q, want %q", holds, got, want)
		}
	}
}

// A grant is offered only if it would help, and what nobody here knows is said only where it
// matters: of a variable that is passed on, and not of one that is set.
func TestWhatHelpsAndWhatIsNotKnown(t *testing.T) {
	c, _ := whyCase(t)
	c.Policy.Env.Pass = []policy.EnvName{{Name: "PASSED", At: policy.Pos{File: "p.toml", Line: 30, Col: 1}}}
	c.Policy.Env.Set = []policy.EnvValue{{Name: "SET", Value: "x", At: policy.Pos{File: "p.toml", Line: 31, Col: 1}}}
	p, err := Compile(c.Policy, c.Program, c.Host)
	if err != nil {
		t.Fatal(err)
	}
	p.Process.Secrets = []Secret{{Name: "KEY", From: "env:A_KEY", At: "p.toml:32:1"}}
	for name, want := range map[string]string{
		"PASSED": "true p.toml:30:1 passed on [whether it is set where the server is started from]", "SET": "true p.toml:31:1 set []", "KEY": "true p.toml:32:1 a secret, from env:A_KEY []", "NEITHER": "false no line passes or sets it []",
	} {
		w := inquiry{Case: c, plan: p, q: Question{Variable: name}}
		a := w.variable()
		v := a.Decisions[0]
		if got := strings.Join(strings.Fields(fmt.Sprint(v.Allowed, " ", v.Rule, " ", v.Why, " ", a.Unknown)), " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	w := inquiry{Case: c, plan: p, q: Question{Variable: "NEITHER"}}
	g := audit.AllowVariable("NEITHER")
	if v := w.try(w.get(), g, func(*policy.Policy) {}); v.Grant != nil || v.Never != w.get().Why {
		t.Errorf("a grant that changes nothing: %+v", v)
	}
	if v := w.try(w.get(), g, func(pol *policy.Policy) { pol.Env.Pass = append(pol.Env.Pass, policy.EnvName{Name: "NEITHER"}) }); v.Grant != g || v.Never != "" || v.Allowed {
		t.Errorf("a grant that helps: %+v", v)
	}
	if v := w.try(w.get(), nil, func(*policy.Policy) {}); v.Grant != nil || v.Never != "no profile can spell it" {
		t.Errorf("no grant: %+v", v)
	}
}

// A layer that a profile or a command line gives up is named among what is not held: nobody
// is to think that it is there. One that is wanted and is had is no gap.
func TestLayersGivenUpAreNamed(t *testing.T) {
	c, _ := whyCase(t)
	for _, l := range []policy.Layer{policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp} {
		for _, given := range []bool{false, true} {
			pol := c.Policy
			if given {
				pol.Require.Layers = slices.DeleteFunc(slices.Clone(pol.Require.Layers), func(have policy.Layer) bool { return have == l })
			}
			cc := &compiler{pol: pol, host: c.Host}
			cc.layers()
			named := slices.ContainsFunc(cc.plan.Gaps, func(g Gap) bool {
				return g.Layer == l && g.Have == "none" && g.Why == "the profile or the command line does without"
			})
			if named != given || slices.Contains(cc.plan.Layers, l) == given {
				t.Errorf("%s, given up %v: named %v, held %v", l, given, named, cc.plan.Layers)
			}
		}
	}
}
