package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// A trial's internet answers on these ports from the start. A program that tries a port
// outside the list fails as if the machine had no network.
func TestATrialAnswersOnTheUsualPorts(t *testing.T) {
	pol, h := richPolicy(t), richHost(t)
	pol.Network, pol.Filesystem, pol.Sockets, pol.Bounds, pol.Process.PTY = policy.Network{}, policy.Filesystem{}, nil, nil, false
	h.Desk = &Desk{User: "alex", Hostname: "desk", Home: "/home/alex", Dir: "/home/alex", Init: "init"}
	prog := richProgram()
	prog.Needs[0].Led = nil
	p, err := Compile(pol, prog, h)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Network.Ports {
		if s.First != s.Last {
			t.Errorf("%+v is no single port", s)
		}
		got = append(got, fmt.Sprint(s.First))
	}
	if want := "21 22 25 80 443 465 587 993 1433 3000 3306 4443 5000 5432 5672 6379 8000 8080 8443 8888 9000 9092 9200 11434 27017"; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	if !p.Network.Every || p.Network.Ephemeral != (Span{56928, 61023}) || p.Network.Proxies != (Proxies{}) {
		t.Errorf("%+v", p.Network)
	}
}

// A trial without namespaces, or with a file beside its home, would reveal this
// machine.
func TestATrialIsNotHeldByHalf(t *testing.T) {
	for what, change := range map[string]func(*policy.Policy, *Host){
		"cannot try a program without namespaces": func(pol *policy.Policy, h *Host) {
			pol.Require.Layers = []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp}
		},
		`the desk's "/home/ada/x" is not in its home`: func(pol *policy.Policy, h *Host) {
			h.Desk.Files = []DeskFile{{Path: "/home/alex/ok"}, {Path: "/home/ada/x"}}
		},
		`the desk's "/home/alexx" is not in its home`: func(pol *policy.Policy, h *Host) { h.Desk.Files = []DeskFile{{Path: "/home/alexx"}} },
		"": func(pol *policy.Policy, h *Host) { h.Desk.Files = []DeskFile{{Path: "/home/alex/a/b"}} },
	} {
		pol, h, prog := richPolicy(t), richHost(t), richProgram()
		pol.Network, pol.Filesystem, pol.Sockets, pol.Bounds, pol.Process.PTY = policy.Network{}, policy.Filesystem{}, nil, nil, false
		prog.Needs[0].Led = nil
		h.Desk = &Desk{User: "alex", Hostname: "desk", Home: "/home/alex", Dir: "/home/alex", Init: "init"}
		change(&pol, &h)
		p, err := Compile(pol, prog, h)
		if (err == nil) != (what == "") || err != nil && !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %v", what, err)
		}
		if err == nil && p.Desk == nil {
			t.Error("the plan has no desk")
		}
	}
}

// A socket in a folder of mcpen's own, by its name or its target, would lead to the
// processes that confine the server.
func TestSocketsOfMcpenAreNotGiven(t *testing.T) {
	for path, want := range map[string]string{
		"/home/ada/.local/state/mcpen/x.sock": "/home/ada/.local/state/mcpen", "/home/ada/.config/mcpen/x.sock": "/home/ada/.config/mcpen", "/run/user/1000/mcpen/x.sock": "/run/user/1000/mcpen",
		"/srv/st/x.sock": "/home/ada/.local/state/mcpen", "/srv/co/x.sock": "/home/ada/.config/mcpen", "/srv/ru/x.sock": "/run/user/1000/mcpen", "/srv/run/db.sock": "", "/srv/run/later.sock": "", "/srv/st/later.sock": "/home/ada/.local/state/mcpen", "/srv/file": "it is no socket", "/srv/run/docker": "talk",
	} {
		tr := parseTree(t, laptop, "socket /home/ada/.local/state/mcpen/x.sock\nsocket /home/ada/.config/mcpen/x.sock\nsocket /run/user/1000/mcpen/x.sock\nlink /srv/st -> /home/ada/.local/state/mcpen\nlink /srv/co -> /home/ada/.config/mcpen\nlink /srv/ru -> /run/user/1000/mcpen\nsocket /srv/run/db.sock\nfile /srv/file\nsocket /run/docker.sock\nlink /srv/run/docker -> /run/docker.sock\n")
		pol := policy.Closed("demo")
		pol.Sockets = []policy.Socket{{Path: path, At: policy.Pos{File: "p.toml", Line: 7, Col: 1}}}
		p, err := compileIn(tr, map[string]PathFact{}, Compile, pol)
		if want == "" {
			if err != nil || len(p.Network.Sockets) != 1 || p.Network.Sockets[0].Real != path {
				t.Errorf("%s: %+v, %v", path, p.Network.Sockets, err)
			}
			continue
		}
		var ps Problems
		if !errors.As(err, &ps) || ps[0].At != "p.toml:7:1" || !strings.Contains(ps[0].Text, fmt.Sprintf("mcpen keeps its own files in %q", want)) && !strings.Contains(ps[0].Text, want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// A policy that reaches another machine needs certificates, proxies and a name server;
// one that reaches only this machine's ports does not.
func TestWhatDials(t *testing.T) {
	for want, hosts := range map[bool][][]policy.Host{
		false: {nil, {{Kind: policy.HostLocal}}, {{Kind: policy.HostLocal}, {Kind: policy.HostLocal}}},
		true:  {{{Kind: policy.HostName}}, {{Kind: policy.HostLocal}, {Kind: policy.HostCIDR}}, {{Kind: policy.HostWildcard}}, {{Kind: policy.HostAny}}},
	} {
		for _, allow := range hosts {
			pol := policy.Policy{Network: policy.Network{Allow: allow}}
			if Dials(pol) != want || WantsBundles(pol) != want {
				t.Errorf("%+v dials: %v", allow, !want)
			}
		}
	}
	if ephemeral(0) != (Span{60000, 60063}) || ephemeral(1) != (Span{56928, 61023}) {
		t.Errorf("local ports: %+v, %+v", ephemeral(0), ephemeral(1))
	}
}

// Landlock allows the listed ports, both ends included, and the odd local ports, which
// listeners get.
func TestLandlockConnects(t *testing.T) {
	l := Landlock{Connect: []Span{{80, 80}, {8000, 8002}}, Own: Span{60000, 60063}}
	for port, want := range map[uint16]bool{0: false, 79: false, 80: true, 81: false, 7999: false, 8000: true, 8001: true, 8002: true, 8003: false, 60000: false, 60001: true, 60063: true, 60062: false, 60065: false, 59999: false} {
		if got := l.Connects(port); got != want {
			t.Errorf("%d: %v", port, got)
		}
	}
	if (Landlock{}).Connects(1) || !(Landlock{Anywhere: true}).Connects(1) {
		t.Error("the zero Landlock connects, or a trial's does not")
	}
	for _, c := range []struct {
		s    Seccomp
		want bool
	}{{Seccomp{}, false}, {Seccomp{On: true, Alone: true, Trace: true}, false}, {Seccomp{Notify: true}, true}, {Seccomp{Opens: true}, true}, {Seccomp{Mediate: true}, true}} {
		if c.s.Listens() != c.want {
			t.Errorf("%+v listens: %v", c.s, !c.want)
		}
	}
}

// For a refused start, the exit code tells whether the machine lacks something or the
// person asked for something forbidden.
func TestProblemsSayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		ps            Problems
		lack, refused bool
		text          string
	}{
		{nil, false, false, ""}, {Problems{{Text: "a"}}, false, false, "a"}, {Problems{{Text: "a"}, {At: "p:1:1", Text: "b", Lack: policy.LayerSeccomp}}, true, false, "a\np:1:1: b"},
		{Problems{{Text: "a", Refused: true}, {Text: "b"}}, false, true, "a\nb"}, {Problems{{Text: "a"}, {Text: "b", Refused: true, Lack: policy.LayerLimits}}, true, true, "a\nb"},
	} {
		if c.ps.Lack() != c.lack || c.ps.Refused() != c.refused || c.ps.Error() != c.text {
			t.Errorf("%+v: lack %v, refused %v, %q", c.ps, c.ps.Lack(), c.ps.Refused(), c.ps.Error())
		}
	}
}
