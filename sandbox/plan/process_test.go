package plan

import (
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// If several sources set a variable, the later in this order wins: mcpen, the runtime,
// the trial's desk, git, certificates, pass, set. A secret appears in no list.
func TestTheLastWordOfAVariable(t *testing.T) {
	pol, h, prog := richPolicy(t), richHost(t), richProgram()
	sources := []struct {
		name string
		set  func(names ...string)
	}{
		{"program", func(names ...string) {
			for _, n := range names {
				prog.Env = append(prog.Env, Env{Name: n, Value: "program"})
			}
		}},
		{"pass", func(names ...string) {
			h.Env = map[string]string{}
			for _, n := range names {
				h.Env[n] = "pass"
				pol.Env.Pass = append(pol.Env.Pass, policy.EnvName{Name: n})
			}
		}},
		{"set", func(names ...string) {
			for _, n := range names {
				pol.Env.Set = append(pol.Env.Set, policy.EnvValue{Name: n, Value: "set"})
			}
		}},
		{"secret", func(names ...string) {
			for _, n := range names {
				pol.Env.Secret = append(pol.Env.Secret, policy.SecretFrom{Name: n, From: "env:X"})
			}
		}},
	}
	prog.Env, pol.Env = nil, policy.Env{}
	sources[0].set("HOME", "A", "B", "C", "D")
	sources[1].set("B", "C", "D")
	sources[2].set("C", "D", "USER")
	sources[3].set("D")
	pol.Env.Pass = append(pol.Env.Pass, policy.EnvName{Name: "UNSET"})
	p, err := Compile(pol, prog, h)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	last := ""
	for _, e := range p.Process.Env {
		if e.Name <= last {
			t.Errorf("%s stands behind %s", e.Name, last)
		}
		last = e.Name
		got[e.Name] = e.Value
	}
	for name, want := range map[string]string{"HOME": "program", "A": "program", "B": "pass", "C": "set", "D": "", "USER": "set", "UNSET": "", "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": "/tmp", "LOGNAME": "ada"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if len(p.Process.Secrets) != 1 || p.Process.Secrets[0].Name != "D" || p.Process.Secrets[0].From != "env:X" {
		t.Errorf("secrets: %+v", p.Process.Secrets)
	}
	if names := strings.Join(EnvNames(pol), " "); names != "B C D UNSET" {
		t.Errorf("asked for %s", names)
	}
	for user, want := range map[string]string{"ada": "ada", "": "user"} {
		h.User = user
		if got := (&compiler{host: h}).user(); got != want {
			t.Errorf("%q is called %q", user, got)
		}
	}
}

// An Opaque never prints its value.
func TestOpaqueHasWords(t *testing.T) {
	if s := Opaque("x"); s.String() != "[secret]" || s.GoString() != "[secret]" {
		t.Errorf("%s, %#v", s.String(), s.GoString())
	}
}

// If a repository or the server could have made a symlink on the way to a profile's
// secret, it would choose the file whose content the server gets.
func TestSecretsAreWhereThePersonPutThem(t *testing.T) {
	for _, c := range []struct {
		name, file, tree string
		grounds          []Ground
		want             string
	}{
		{"a file", "/home/ada/key", "file /home/ada/key", nil, ""},
		{"a link of the person's", "/home/ada/key", "link /home/ada/key -> docs/key\nfile /home/ada/docs/key", nil, ""},
		{"a link of a repository's, out of it", "/home/ada/repo/key", "link /home/ada/repo/key -> ../.ssh/id_ed25519", []Ground{{"/home/ada/repo", "the repository"}}, "the repository could have made"},
		{"a link of a repository's, within it", "/home/ada/repo/key", "link /home/ada/repo/key -> a/key\nfile /home/ada/repo/a/key", []Ground{{"/home/ada/repo", "the repository"}}, ""},
		{"a link of the server's", "/home/ada/src/app/key", "link /home/ada/src/app/key -> /home/ada/.ssh/id_ed25519", nil, "the server could have made"},
		{"a link of the server's, within its folder", "/home/ada/src/app/key", "link /home/ada/src/app/key -> README", nil, ""},
		{"a file of the server's", "/home/ada/src/app/README", "", nil, ""},
	} {
		tr := parseTree(t, laptop, c.tree)
		pol := policy.Closed("demo")
		pol.Filesystem.Write = []policy.Path{{Path: "/home/ada/src/app"}}
		pol.Env.Secret = []policy.SecretFrom{{Name: "A", From: "env:A"}, {Name: "K", From: "file:" + c.file, At: policy.Pos{File: "p.toml", Line: 5, Col: 1}}}
		h := laptopHost()
		h.Grounds = c.grounds
		tr.answer(&h, Asks(pol, laptopNode(), h.Home, h.State, h.Config, h.Runtime))
		_, err := Compile(pol, laptopNode(), h)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "p.toml:5:1: cannot fetch the secret") || err.(Problems)[0].Refused != strings.Contains(c.want, "could have made")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// If a repository's symlink leads a program to another project of the person's, the
// grant must not follow, unless the profile grants that project on purpose.
func TestProgramsStayWhereTheyAre(t *testing.T) {
	tr := parseTree(t, laptop, "file /home/ada/repo/tool/main.js\nlink /home/ada/repo/bin -> ../other/bin\nfile /home/ada/other/bin/run\n")
	for _, c := range []struct {
		name    string
		read    []policy.Path
		write   []policy.Path
		grounds []Ground
		want    string
	}{
		{"nobody else's folder", nil, nil, nil, ""},
		{"a repository", nil, nil, []Ground{{"/home/ada/repo", "the repository"}}, "which the repository could have made"},
		{"a repository, and declared", []policy.Path{{Path: "/home/ada/other"}}, nil, []Ground{{"/home/ada/repo", "the repository"}}, ""},
		{"a repository, and declared by the same link", []policy.Path{{Path: "/home/ada/repo/bin"}}, nil, []Ground{{"/home/ada/repo", "the repository"}}, "could have made"},
		{"a larger ground", nil, nil, []Ground{{"/home/ada", "nobody"}}, ""},
		{"the inner of two grounds", nil, nil, []Ground{{"/home/ada", "the outer"}, {"/home/ada/repo", "the inner"}}, "which the inner could have made"},
		{"the server's own folder", nil, []policy.Path{{Path: "/home/ada/repo"}}, nil, "which the server could have written"},
		{"the ground itself", nil, nil, []Ground{{"/home/ada/repo/bin", "the link"}}, ""},
	} {
		pol := policy.Closed("demo")
		pol.Filesystem.Read, pol.Filesystem.Write = c.read, c.write
		prog := laptopNode()
		prog.Needs = append(prog.Needs, Need{Path: "/home/ada/other/bin", Why: "its folder", Led: []string{"/home/ada/repo/bin"}})
		h := laptopHost()
		h.Grounds = c.grounds
		tr.answer(&h, Asks(pol, prog, h.Home, h.State, h.Config, h.Runtime))
		_, err := Compile(pol, prog, h)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || err.(Problems)[0].Refused != strings.Contains(c.want, "could have made")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A hint uses the profile's words for its folders. A parameter with several values is
// not a word for one folder.
func TestHintsKnowTheProfilesFolders(t *testing.T) {
	given := []policy.Given{{Name: "workspace", Values: []string{"/home/ada/src"}}, {Name: "state", Values: []string{"/home/ada/st"}}, {Name: "home", Values: []string{"/home/ada"}}, {Name: "other", Values: []string{"/srv"}}}
	for path, want := range map[string]string{"/home/ada/src/x": "${workspace}/x", "/home/ada/st/x": "${state}/x", "/home/ada/x": "~/x", "/srv/x": "/srv/x"} {
		if got := roots(given).AllowPath("read", path).Line(); got != `filesystem.read = ["`+want+`"]` {
			t.Errorf("%s: %s", path, got)
		}
	}
	if r := (Plan{Tools: Tools{Given: given}}).Roots(); r != roots(given) || r.State != "/home/ada/st" {
		t.Errorf("%+v", r)
	}
	two := []policy.Given{{Name: "workspace", Values: []string{"/a", "/b"}}, {Name: "state"}}
	if r := roots(two); r != roots(nil) {
		t.Errorf("%+v", r)
	}
}

// A plan that was compiled stays as it is: who starts it twice, with other secrets, gets
// neither the values nor the gaps of the first start.
func TestWithSecretsLeavesThePlan(t *testing.T) {
	p := Plan{Process: Process{Secrets: []Secret{{Name: "A", From: "env:A"}, {Name: "B", From: "?env:B"}}}}
	got := p.WithSecrets(map[string]Opaque{"A": "x", "C": "y"})
	if len(got.Process.Secrets) != 1 || got.Process.Secrets[0] != (Secret{Name: "A", From: "env:A", Value: "x"}) {
		t.Errorf("%+v", got.Process.Secrets)
	}
	if len(p.Process.Secrets) != 2 || p.Process.Secrets[0].Value != "" || p.Process.Secrets[1].Name != "B" {
		t.Errorf("the plan itself: %+v", p.Process.Secrets)
	}
}

// A value that one caller adds to a plan must not be in another caller's, and the plan
// that was shown stays the one that was shown.
func TestAddingToAPlanLeavesThePlan(t *testing.T) {
	p := Plan{Version: Version, Name: "x", Root: []Mount{{Target: "/a"}, {Target: "/b"}}, Layers: []policy.Layer{policy.LayerLandlock},
		Network:  Network{Proxies: Proxies{HTTPS: Proxy{Via: "http://s:1"}, HTTP: Proxy{Via: "http://h:1", Login: "old"}}},
		Landlock: Landlock{ABI: 6, Connect: []Span{{1, 2}}, Paths: []Rule{{Path: "/a"}}}, Process: Process{Path: "/bin/x"}}
	before := p.Digest()

	got := p.WithLogins(map[string]Opaque{"http://s:1": "u:p", "http://other:1": "q"})
	if via := got.Network.Proxies; via.HTTPS.Login != "u:p" || via.HTTP.Login != "" {
		t.Errorf("logins %q and %q, want those of the proxies' addresses alone", string(via.HTTPS.Login), string(via.HTTP.Login))
	}
	if got := p.WithWritable([]string{"/b", "/c"}).Root; len(got) != 2 || got[0].Writable || !got[1].Writable {
		t.Errorf("mounts %+v, want /b alone writable", got)
	}
	m := p.Mediator()
	if m.Landlock.ABI != 6 || len(m.Landlock.Connect) != 1 || len(m.Layers) != 1 || m.Network.Proxies.HTTPS.Via == "" || m.Version != Version {
		t.Errorf("the mediator lacks what it decides by: %+v", m)
	}
	if m.Name != "" || m.Root != nil || m.Process.Path != "" || m.Landlock.Paths != nil {
		t.Errorf("the mediator is given what it does not decide by: %+v", m)
	}
	if via := p.Network.Proxies; p.Digest() != before || p.Root[1].Writable || via.HTTPS.Login != "" || via.HTTP.Login != "old" {
		t.Errorf("the plan changed: %+v", p)
	}
}
