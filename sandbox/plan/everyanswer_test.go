package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/internal/golden"
	"mcpen/sandbox/policy"
)

// TestEveryAnswer checks each word that Why says, for a server of every sort:
// testdata/answers.txt has them all. A person acts on these words, so none may change or
// disappear by accident.
func TestEveryAnswer(t *testing.T) {
	const file = "testdata/answers.txt"
	paths := []string{"/home/ada/docs/a", "/home/ada/docs/new", "/home/ada/docs/out", "/home/ada/l/a", "/home/ada/src/app", "/home/ada/src/app/sub/x", "/home/ada/src/app/.git/config", "/home/ada/src/app/.git/new", "/home/ada/src/app/sub/.git/hooks/x",
		"/home/ada/src/app/secret/new", "/home/ada/.ssh/id_ed25519", "/home/ada/one.db", "/home/ada/one.db-wal", "/home/ada/later/x", "/home/ada/other/x", "/home/ada/other/new", "/home/ada", "/", "/usr/bin/node", "/usr/bin/new", "/etc/passwd", "/etc/localtime", "/bin/node", "/tmp", "/tmp/shown/a",
		"/tmp/x", "/var/tmp/x", "/dev/null", "/dev/pts/ptmx", "/proc/self/maps", "/run/home/x", "/run/user/1000/mcpen/x", "/srv/run/db.sock", "/run/docker.sock", "/home/ada/closed/x", "/home/ada/away/x"}
	others := []string{"api.example.com:443", "api.example.com:80", "a.example.org:7999", "a.example.org:8000", "a.example.org:8002", "a.example.org:8003", "a.b.c.d.e.example.org:8001", "a.b.c.d.e.example.org:80", "evil.example:443", "a._b.example:443",
		"10.1.2.3:5432", "10.1.2.3:80", "100.64.1.1:80", "192.168.1.1:443", "192.0.2.1:443", "169.254.169.254:80", "::ffff:10.1.2.3:5432", "2001:db8::1:443", "8.8.8.8:53", "localhost:5000", "127.0.0.1:5000", "::1:5000", "127.0.0.2:5000", "localhost:22", "a.localhost:80",
		"get_a", "get_b", "get_secret", "delete", "delete*", "dele\u202ete"}
	var b strings.Builder
	for _, v := range []struct {
		name string
		ask  []string
		with func(c *Case)
	}{
		{"as it is", slices.Concat(paths, others), func(*Case) {}},
		{"without a mediator", paths, func(c *Case) { c.drop(policy.LayerMediation) }},
		{"without namespaces", slices.Concat(paths, others[:12]), func(c *Case) {
			c.drop(policy.LayerMediation)
			c.drop(policy.LayerNamespaces)
			c.Policy.Network, c.Policy.Filesystem.Deny, c.Policy.Filesystem.Read = policy.Network{}, nil, c.Policy.Filesystem.Read[:1]
		}},
		{"by a proxy", others[:25], func(c *Case) {
			c.Host.Proxies = Proxies{HTTPS: Proxy{Via: "http://proxy.example:3128", At: "HTTPS_PROXY"}}
		}},
		{"with both sockets", paths[32:34], func(c *Case) {
			c.Policy.Sockets = []policy.Socket{{Path: "/srv/run/db.sock", At: policy.Pos{File: "p.toml", Line: 30, Col: 1}}, {Path: "/run/docker.sock", Override: policy.Override, At: policy.Pos{File: "p.toml", Line: 31, Col: 1}}}
		}},
		{"with pins that only warn", others[25:], func(c *Case) { c.Policy.Tools.Pins = policy.PinWarn }},
		{"with no pins", others[25:], func(c *Case) { c.Policy.Tools.Pins = policy.PinOff }},
		{"with no list of tools", others[25:], func(c *Case) { c.Policy.Tools.Filter = policy.Filter{} }},
		{"with TLS on every port", others[:8], func(c *Case) {
			for i := range c.Policy.Network.Allow {
				c.Policy.Network.Allow[i].TLS = policy.TLSAlways
			}
		}},
		{"with private addresses", others[10:16], func(c *Case) {
			for i := range c.Policy.Network.Allow {
				c.Policy.Network.Allow[i].Private = true
			}
		}},
	} {
		c, tr := whyCase(t)
		tr.put("/home/ada/closed", entry{kind: "closed"})
		tr.put("/home/ada/away", entry{"link", "other"})
		c.Policy.Network.Allow = slices.Clone(c.Policy.Network.Allow)
		v.with(&c)
		c.Host.Paths = nil
		tr.answer(&c.Host, Asks(c.Policy, c.Program, c.Host.Home, c.Host.State, c.Host.Config, c.Host.Runtime))
		fmt.Fprintf(&b, "# %s\n", v.name)
		for _, ask := range v.ask {
			a, err := Why(c, askOf(ask, tr))
			fmt.Fprintf(&b, "%s %+q of %+q", a.Kind, a.Subject, ask)
			if err != nil {
				fmt.Fprintf(&b, " %v", err)
			}
			b.WriteByte('\n')
			for _, v := range a.Decisions {
				fmt.Fprintf(&b, "\t%s %v", v.Do, v.Allowed)
				if v.Rule != "" {
					fmt.Fprintf(&b, " at %s", v.Rule)
				}
				fmt.Fprintf(&b, ": %s\n", v.Why)
				if v.Grant != nil {
					fmt.Fprintf(&b, "\t\tgrant: %s\n", v.Grant.Line())
				}
				if v.Never != "" {
					fmt.Fprintf(&b, "\t\tnever: %s\n", v.Never)
				}
			}
			for _, u := range a.Unknown {
				fmt.Fprintf(&b, "\tunknown: %s\n", u)
			}
		}
	}
	golden.File(t, file, b.String())
}

// drop leaves a layer out, as --without does.
func (c *Case) drop(l policy.Layer) {
	c.Policy.Require.Without = append(c.Policy.Require.Without, policy.Without{Layer: l})
	c.Policy.Require.Layers = slices.DeleteFunc(slices.Clone(c.Policy.Require.Layers), func(have policy.Layer) bool { return have == l })
}

// TestProblemsInFull checks whole problems: where, what, the way out, and whether policy
// or the machine is the reason. Its rows are those that a profile's text cannot spell.
func TestProblemsInFull(t *testing.T) {
	pos := policy.Pos{File: "p.toml", Line: 3, Col: 4}
	paths := func(list ...string) (out []policy.Path) {
		for _, p := range list {
			out = append(out, policy.Path{Path: p, At: pos})
		}
		return out
	}
	bound := func(change func(*policy.Bounds)) []policy.Bounds {
		b := policy.Bounds{}
		change(&b)
		return []policy.Bounds{b}
	}
	read := func(list ...string) func(*story) {
		return func(s *story) { s.policy.Filesystem.Read = paths(list...) }
	}
	for name, c := range map[string]struct {
		tree   string
		change func(*story)
		want   string
	}{
		"too many ports": {"", func(s *story) {
			s.policy.Network.Allow = []policy.Host{{Kind: policy.HostName, Name: "a.example", First: 1000, Last: 3000, At: pos}}
		}, "p.toml:3:4: cannot listen for connections to 2003 ports (want 1024 at most) | name the ports that the server needs"},
		"beyond a baseline's readable folder": {"link /home/ada/in -> docs", func(s *story) {
			read("/home/ada/in", "/home/ada/src")(s)
			s.policy.Bounds = bound(func(b *policy.Bounds) { b.Read = paths("/home/ada/docs") })
		}, `p.toml:3:4: the baseline does not allow "/home/ada/src": it leads to "/home/ada/src" refused`},
		"beyond a baseline's writable folder": {"link /home/ada/src/app/out -> /home/ada/docs", func(s *story) {
			s.policy.Filesystem.Write = paths("/home/ada/src/app/out", "/home/ada/src/app")
			s.policy.Bounds = bound(func(b *policy.Bounds) { b.Write = paths("/home/ada/src") })
		}, `p.toml:3:4: the baseline does not allow "/home/ada/src/app/out": it leads to "/home/ada/docs" refused
p.toml:3:4: cannot give "/home/ada/src/app/out": it leads to "/home/ada/docs" by the symlink "/home/ada/src/app/out", which the server could make | name "/home/ada/docs" itself, if that is what was meant`},
		"a baseline's folder that a repository could have moved": {"link /home/ada/clone/in -> /home/ada/docs", func(s *story) {
			read("/home/ada/docs")(s)
			s.host.Grounds = []Ground{{"/home/ada/clone", "a repository"}}
			s.policy.Bounds = bound(func(b *policy.Bounds) { b.Read = paths("/home/ada/clone/in") })
		}, `p.toml:3:4: the baseline does not allow "/home/ada/docs": it leads to "/home/ada/docs" refused`},
		"beyond a baseline's free places": {"dir /home/ada/src/app/.git\ndir /home/ada/src/app/.idea", func(s *story) {
			s.policy.Filesystem.Write, s.policy.Filesystem.Unprotect = paths("/home/ada/src/app"), paths("/home/ada/src/app/.git", "/home/ada/src/app/.idea")
			s.policy.Bounds = bound(func(b *policy.Bounds) { b.Unprotect = paths("/home/ada/src/app/.idea") })
		}, `p.toml:3:4: the baseline does not allow "/home/ada/src/app/.git": it leads to "/home/ada/src/app/.git" refused`},
		"beyond a baseline's sockets": {"socket /srv/run/db.sock", func(s *story) {
			s.policy.Sockets = []policy.Socket{{Path: "/srv/run/db.sock", At: pos}}
			s.policy.Bounds = bound(func(b *policy.Bounds) { b.Connect = []policy.Socket{} })
		}, `p.toml:3:4: the baseline does not allow "/srv/run/db.sock": it leads to "/srv/run/db.sock" refused`},
		"no bound on sockets": {"socket /srv/run/db.sock", func(s *story) {
			s.policy.Sockets = []policy.Socket{{Path: "/srv/run/db.sock", At: pos}}
			s.policy.Bounds = bound(func(b *policy.Bounds) {})
		}, ""},
		"mcpen's own folder from above": {"", read("/run/user/1000"), `p.toml:3:4: cannot read "/run/user/1000": sockets of the session, which a read-only mount does not stop; see [sockets] | name the folders below it that the server needs`},
		"mcpen's own folder, elsewhere": {"dir /opt/run/mcpen", func(s *story) { read("/opt/run")(s); s.host.Runtime = "/opt/run/mcpen" }, `p.toml:3:4: cannot give "/opt/run": mcpen keeps its own files in "/opt/run/mcpen" | name the folders below it that the server needs`},
		"in mcpen's own folder":         {"dir /opt/run/mcpen/x", func(s *story) { read("/opt/run/mcpen/x")(s); s.host.Runtime = "/opt/run/mcpen" }, `p.toml:3:4: cannot give "/opt/run/mcpen/x": mcpen keeps its own files in "/opt/run/mcpen" | name the folders below it that the server needs`},
		"mcpen's own folder by a link":  {"link /opt/run -> /data/run\ndir /data/run", func(s *story) { read("/data")(s); s.host.Runtime = "/opt/run" }, `p.toml:3:4: cannot give "/data": mcpen keeps its own files in "/data/run" | name the folders below it that the server needs`},
		"the private home":              {"dir /run/home/x", read("/run/home/x"), `p.toml:3:4: cannot give "/run/home/x": the server's private home is at "/run/home"`},
		"a link into the private home":  {"link /srv/h -> /run/home/x\ndir /run/home/x", read("/srv/h"), `p.toml:3:4: cannot give "/srv/h": the server's private home is at "/run/home"`},
		"above the private home":        {"dir /run/home", read("/run"), `p.toml:3:4: cannot read "/run": sockets of the machine's services, which a read-only mount does not stop; see [sockets] | name the folders below it that the server needs`},
		"a need that is not there":      {"", func(s *story) { s.program.Needs = []Need{{Path: "/opt/x", Why: "x"}} }, `cannot use "/opt/x": it does not exist | install the program anew`},
		"a need that nobody may have":   {"", func(s *story) { s.program.Needs = []Need{{Path: "/home/ada", Why: "x"}} }, `cannot read "/home/ada": a whole home directory, with its keys and start files | install the program in a folder of its own`},
		"a need that is denied": {"dir /opt/x", func(s *story) {
			s.program.Needs, s.policy.Filesystem.Deny = []Need{{Path: "/opt/x", Why: "x"}}, paths("/opt")
		}, `cannot run "/usr/bin/node" without "/opt/x", which is denied at p.toml:3:4`},
		"a package tree in mcpen's store": {"dir /home/ada/.local/state/mcpen/store/aa", func(s *story) {
			s.program.Needs = []Need{{Path: "/home/ada/.local/state/mcpen/store/aa", Why: "x"}}
		}, ""},
		"the folder of a link to mcpen's configuration":     {"link /opt/etc/mcpen -> /data/etc\ndir /data/etc", func(s *story) { read("/opt/etc")(s); s.host.Config = "/opt/etc/mcpen" }, `p.toml:3:4: cannot read "/opt/etc": mcpen keeps its own files in "/opt/etc/mcpen" | name the folders below it that the server needs`},
		"the folder of a link to mcpen's state":             {"link /opt/st/mcpen -> /data/st\ndir /data/st", func(s *story) { read("/opt/st")(s); s.host.State = "/opt/st/mcpen" }, `p.toml:3:4: cannot read "/opt/st": mcpen keeps its own files in "/opt/st/mcpen" | name the folders below it that the server needs`},
		"the folder of a link to the login's configuration": {"link /opt/etc/mcpen -> /data/etc\ndir /data/etc", func(s *story) { read("/opt/etc")(s); s.host.Login.Config = "/opt/etc/mcpen" }, `p.toml:3:4: cannot read "/opt/etc": mcpen keeps its own files in "/opt/etc/mcpen" | name the folders below it that the server needs`},
		"the folder of a link to the login's state":         {"link /opt/st/mcpen -> /data/st\ndir /data/st", func(s *story) { read("/opt/st")(s); s.host.Login.State = "/opt/st/mcpen" }, `p.toml:3:4: cannot read "/opt/st": mcpen keeps its own files in "/opt/st/mcpen" | name the folders below it that the server needs`},
		"a home by a link":                                  {"link /opt/ada -> /data/ada\ndir /data/ada/x", func(s *story) { read("/data")(s); s.host.Login.Home = "/opt/ada" }, `p.toml:3:4: cannot read "/data": a whole home directory, with its keys and start files | name the folders below it that the server needs`},
		"the folder of a link to a home":                    {"link /opt/h/ada -> /data/ada\ndir /data/ada/x", func(s *story) { read("/opt/h")(s); s.host.Login.Home = "/opt/h/ada" }, `p.toml:3:4: cannot read "/opt/h": a whole home directory, with its keys and start files | name the folders below it that the server needs`},
		"mcpen's store as a whole":                          {"", func(s *story) { s.program.Needs = []Need{{Path: "/home/ada/.local/state/mcpen/store", Why: "x"}} }, `cannot read "/home/ada/.local/state/mcpen/store": mcpen keeps its own files in "/home/ada/.local/state/mcpen" | install the program in a folder of its own`},
		"an installer's folder in mcpen's store": {"dir /home/ada/.local/state/mcpen/store/new/.git", func(s *story) {
			s.policy.Filesystem.Write, s.program.Install = paths("/home/ada/.local/state/mcpen/store/new"), &Install{Dir: "/home/ada/.local/state/mcpen/store/new"}
		}, ""},
		"another folder of an installer's": {"dir /home/ada/.local/state/mcpen/store/old", func(s *story) {
			s.policy.Filesystem.Write, s.program.Install = paths("/home/ada/.local/state/mcpen/store/old"), &Install{Dir: "/home/ada/.local/state/mcpen/store/new"}
		}, `p.toml:3:4: cannot write "/home/ada/.local/state/mcpen/store/old": mcpen keeps its own files in "/home/ada/.local/state/mcpen" | name the folders below it that the server needs`},
		"a socket in /dev": {"socket /dev/log", func(s *story) {
			s.policy.Sockets = []policy.Socket{{Path: "/dev/log", Override: policy.Override, At: pos}}
		}, `p.toml:3:4: cannot join the socket "/dev/log": the server has a /dev of its own`},
		"a socket in mcpen's configuration": {"socket /home/ada/.config/mcpen/x", func(s *story) { s.policy.Sockets = []policy.Socket{{Path: "/home/ada/.config/mcpen/x", At: pos}} }, `p.toml:3:4: cannot give the socket "/home/ada/.config/mcpen/x": mcpen keeps its own files in "/home/ada/.config/mcpen"`},
		"the server's folder chose a need, and the profile has it": {"file /home/ada/repo/run\nfile /home/ada/other/x", func(s *story) {
			s.policy.Filesystem.Read, s.policy.Filesystem.Write = paths("/home/ada/other"), paths("/home/ada/repo")
			s.program.Needs = []Need{{Path: "/home/ada/other/x", Why: "x", Led: []string{"/home/ada/repo/run"}}}
		}, ""},
		"the server's folder chose a need, and a runtime has it": {"file /home/ada/repo/run\nfile /home/ada/other/x", func(s *story) {
			s.policy.Filesystem.Write = paths("/home/ada/repo")
			s.program.Needs = []Need{{Path: "/home/ada/other", Why: "runtime"}, {Path: "/home/ada/other/x", Why: "x", Led: []string{"/home/ada/repo/run"}}}
		}, ""},
		"a protected place chose a need": {"file /home/ada/repo/.git/run\nfile /home/ada/other/x", func(s *story) {
			s.policy.Filesystem.Write = paths("/home/ada/repo")
			s.program.Needs = []Need{{Path: "/home/ada/other/x", Why: "x", Led: []string{"/home/ada/repo/.git/run"}}}
		}, ""},
		"a program that nobody sees": {"file /opt/x/run", func(s *story) { s.program.Path = "/opt/x/run" }, "cannot run \"/opt/x/run\": nothing that the server can see holds it | [filesystem]; read = [\"/opt/x\"]"},
		"a denied place that nobody can look at": {"closed /home/ada/docs/x", func(s *story) {
			read("/home/ada/docs")(s)
			s.policy.Filesystem.Deny = paths("/home/ada/docs/x/y")
		}, `p.toml:3:4: cannot hide "/home/ada/docs/x/y": open "/home/ada/docs/x": EACCES`},
	} {
		t.Run(name, func(t *testing.T) {
			s := story{policy: policy.Closed("demo"), program: laptopNode(), host: laptopHost()}
			s.host.Mediation = Fact{Is: Yes}
			c.change(&s)
			parseTree(t, laptop, c.tree).answer(&s.host, Asks(s.policy, s.program, s.host.Home, s.host.State, s.host.Config, s.host.Runtime, s.host.Login.Home, s.host.Login.State, s.host.Login.Config))
			_, err := Compile(s.policy, s.program, s.host)
			var ps Problems
			if err != nil && !errors.As(err, &ps) {
				t.Fatal(err)
			}
			var lines []string
			for _, p := range ps {
				line := Problems{p}.Error()
				if a := p.Advice(); a != "" {
					line += " | " + strings.ReplaceAll(strings.TrimSpace(a), "\n", "; ")
				}
				if p.Refused {
					line += " refused"
				}
				if p.Lack != "" {
					line += " lacks " + string(p.Lack)
				}
				lines = append(lines, line)
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
