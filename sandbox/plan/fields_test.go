package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// notForCompile lists the fields that Compile does not read, and why.
var notForCompile = map[string]string{
	"Policy.Description":       "for a person",
	"Policy.Server.Command":    "Find makes the Program of it",
	"Policy.Server.Package":    "Prepare makes the Program of it",
	"Policy.Server.Args":       "part of the Program's arguments",
	"Policy.Install.Scripts":   "for the install sandbox",
	"Policy.Install.Build":     "for the install sandbox",
	"Policy.Install.MinAge":    "for the resolver of packages",
	"Policy.Install.Python":    "for the resolver of packages",
	"Policy.Network.Listen.At": "in a problem: a port that is wanted twice",

	"Policy.Filesystem.Unprotect.At":       "in a problem: unprotected in vain",
	"Policy.Filesystem.Unprotect.Optional": "what is not there need not be unprotected",
	"Policy.Filesystem.Deny.Optional":      "what is there is hidden all the same",
	"Policy.Filesystem.Protect.At":         "in a problem of the profile",

	"Policy.Bounds.Read.At":            "a profile's own rule is the one that goes beyond",
	"Policy.Bounds.Write.At":           "a profile's own rule is the one that goes beyond",
	"Policy.Bounds.Unprotect.At":       "a profile's own rule is the one that goes beyond",
	"Policy.Bounds.Connect.At":         "a profile's own rule is the one that goes beyond",
	"Policy.Bounds.Read.Optional":      "a bound need not be there",
	"Policy.Bounds.Write.Optional":     "a bound need not be there",
	"Policy.Bounds.Unprotect.Optional": "a bound need not be there",
	"Policy.Bounds.Connect.Override":   "a profile insists for itself",

	"Host.Kernel": "for a person: nothing follows from a version",
	"Host.Arch":   "the filter is compiled for the binary's own",
	"Host.Errata": "for doctor",
	"Host.Routes": "the start tries it and fails closed",
	"Host.Memfd":  "the start tries it and fails closed",
	"Host.Zone":   "for doctor; the link itself is in Paths",

	"Program.Via":  "for a person",
	"Program.Tree": "the store has checked it",
}

// An unread field is a promise in a profile that mcpen does not keep.
func TestEveryFieldIsConsumed(t *testing.T) {
	used, all := map[string]bool{}, map[string]bool{}
	for _, base := range bases(t) {
		pol, prog, h := base.policy, base.program, base.host
		want := outcome(pol, prog, h)
		note := func(name string) {
			all[name] = true
			if !used[name] && outcome(pol, prog, h) != want {
				used[name] = true
			}
		}
		touch(reflect.ValueOf(&pol).Elem(), "Policy", note)
		touch(reflect.ValueOf(&prog).Elem(), "Program", note)
		touch(reflect.ValueOf(&h).Elem(), "Host", note)
	}
	for name := range all {
		if reason := exempt(name); used[name] == (reason != "") {
			t.Errorf("%s: consumed: %v, listed as for others: %q", name, used[name], reason)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[policy.Policy](), reflect.TypeFor[Program](), reflect.TypeFor[Host]()} {
		fields(typ, typ.Name(), func(name string) {
			if !all[name] {
				t.Errorf("%s: no base of this test fills it in", name)
			}
		})
	}
}

// exempt is the reason why Compile need not read a field, or the field that contains
// it.
func exempt(name string) string {
	for key, reason := range notForCompile {
		if name == key || strings.HasPrefix(name, key+".") {
			return reason
		}
	}
	return ""
}

func outcome(pol policy.Policy, prog Program, h Host) string {
	p, err := Compile(pol, prog, h)
	if err != nil {
		return asJSON(err)
	}
	return asJSON(p)
}

// touch changes one leaf after another, reports its name, and restores it.
func touch(v reflect.Value, name string, changed func(string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			n := name + "." + f.Name
			if f.Anonymous {
				n = name
			}
			touch(v.Field(i), n, changed)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			touch(v.Elem(), name, changed)
		}
	case reflect.Slice:
		for i := range v.Len() {
			touch(v.Index(i), name, changed)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			old := v.MapIndex(k)
			tmp := reflect.New(old.Type()).Elem()
			tmp.Set(old)
			if old.Kind() == reflect.Interface {
				v.SetMapIndex(k, reflect.ValueOf("changed"))
				changed(name)
			} else {
				touch(tmp, name, func(n string) { v.SetMapIndex(k, tmp); changed(n) })
			}
			v.SetMapIndex(k, old)
		}
	default:
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int()/2 + 1_000_000)
		case reflect.Uint16, reflect.Uint32:
			v.SetUint(v.Uint() + 1)
		case reflect.Float64:
			v.SetFloat(v.Float() + 1)
		default:
			panic(name + ": cannot change a " + v.Kind().String())
		}
		changed(name)
		v.Set(old)
	}
}

// fields lists the leaves of a type, under the names that touch uses.
func fields(typ reflect.Type, name string, each func(string)) {
	switch typ.Kind() {
	case reflect.Struct:
		for f := range typ.Fields() {
			n := name + "." + f.Name
			if f.Anonymous {
				n = name
			}
			fields(f.Type, n, each)
		}
	case reflect.Slice, reflect.Map, reflect.Pointer:
		fields(typ.Elem(), name, each)
	default:
		each(name)
	}
}

// bases are the inputs in which the fields are changed: a machine that can do
// everything, one that can do little, and a profile whose paths are absent.
func bases(t *testing.T) []story {
	t.Helper()
	able := story{richPolicy(t), richProgram(), richHost(t)}
	able.host.Leads, able.host.Named = []ProtectedPlace{{"/home/ada/src/app/rc", "why"}}, []string{".hooks"}
	poor := story{richPolicy(t), richProgram(), richHost(t)}
	poor.host.Mediation = Fact{No, "why"}
	poor.host.Notify, poor.host.Seccomp, poor.host.Namespaces = Fact{No, "why"}, Fact{No, "why"}, Fact{No, "why"}
	poor.host.Landlock, poor.host.Cgroup = 0, Cgroup{Why: "why"}
	mute := story{richPolicy(t), richProgram(), richHost(t)}
	mute.host.Notify, mute.host.Cgroup = Fact{No, "why"}, Cgroup{Why: "why"}
	mute.policy.Log.OnError = policy.OnErrorStop
	absent := story{richPolicy(t), richProgram(), richHost(t)}
	absent.host.Paths["/home/ada/docs"] = PathFact{Err: "EACCES"}
	absent.host.Paths["/home/ada/src/app"] = PathFact{}
	absent.policy.Filesystem.Read[0].Optional = true
	nameless := story{richPolicy(t), richProgram(), richHost(t)}
	nameless.policy.Server.Dir = ""
	own := story{richPolicy(t), richProgram(), richHost(t)}
	own.policy.Filesystem.Read = append(slices.Clone(own.policy.Filesystem.Read), policy.Path{Path: "/etc/xdg/mcpenx"}, policy.Path{Path: "/run/mx/a"})
	own.host.Config, own.host.Runtime, own.host.State = "/etc/xdg/mcpen", "/run/m", "/srv/stat"
	own.policy.Filesystem.Read = append(own.policy.Filesystem.Read, policy.Path{Path: "/srv/statx"})
	own.host.Paths["/srv/statx"] = PathFact{Exists: true, Dir: true, Real: "/srv/statx"}
	deaf := story{richPolicy(t), richProgram(), richHost(t)}
	deaf.host.Mediation = Fact{No, "why"}
	own.policy.Filesystem.Read = append(own.policy.Filesystem.Read, policy.Path{Path: "/home/adax"})
	for _, p := range []string{"/etc/xdg/mcpenx", "/run/mx/a", "/home/adax"} {
		own.host.Paths[p] = PathFact{Exists: true, Dir: true, Real: p}
	}
	install := story{richPolicy(t), richProgram(), richHost(t)}
	install.program.Needs[0].Led = nil // nothing in a folder that an installer fills is protected
	install.program.Install = &Install{Dir: "/home/ada/src/app", Env: []Env{{Name: "PATH", Value: "/usr/bin"}}, Umask: 0o22}
	docker := story{richPolicy(t), richProgram(), richHost(t)}
	docker.policy.Sockets = []policy.Socket{{Path: "/run/docker.sock"}}
	login := story{richPolicy(t), richProgram(), richHost(t)}
	login.host.Login = policy.Dirs{Home: "/home/bob", State: "/home/bob/st", Config: "/home/bob/co"}
	login.policy.Bounds = nil
	for _, p := range []string{"/home/bobx", "/home/bob/stx", "/home/bob/cox"} {
		login.policy.Filesystem.Read = append(slices.Clone(login.policy.Filesystem.Read), policy.Path{Path: p})
		login.host.Paths[p] = PathFact{Exists: true, Dir: true, Real: p}
	}
	led := story{richPolicy(t), richProgram(), richHost(t)}

	led.host.Grounds = []Ground{{"/home/ada/src", "the repository"}}
	led.host.Paths["/home/ada/docs"] = PathFact{Exists: true, Dir: true, Real: "/home/ada/docs", Links: []Link{{"/home/ada/src/docs", "../docs"}}}
	trial := story{richPolicy(t), richProgram(), richHost(t)}
	trial.policy.Filesystem, trial.policy.Sockets, trial.policy.Process.PTY, trial.policy.Bounds = policy.Filesystem{}, nil, false, nil
	trial.program.Needs[0].Led = nil
	trial.host.Desk = &Desk{User: "alex", Hostname: "desk", Home: "/home/alex", Dir: "/home/alex/src", Init: "init", Env: []Env{{Name: "SHELL", Value: "/bin/bash", At: "x"}},
		Files: []DeskFile{{Path: "/home/alex/.netrc", Content: "x", Mode: 0o600, Time: 1}}, Over: []Over{{Target: "/etc/ssl/certs/all.pem", Source: "/run/m/all.pem"}},
		Moved: []Moved{{Source: "/home/ada/docs", Target: "/home/alex/.npm/node"}}}
	via := story{richPolicy(t), richProgram(), richHost(t)}
	via.policy.Network.Proxy = policy.Proxy{Via: "http://proxy.example.com:3128", At: policy.Pos{File: "p.toml", Line: 3, Col: 4}}
	return []story{via, able, poor, mute, absent, nameless, own, deaf, install, docker, login, led, trial}
}

// richPolicy sets every field.
func richPolicy(t *testing.T) policy.Policy {
	t.Helper()
	at := policy.Pos{File: "p.toml", Line: 3, Col: 4}
	path := func(p string) []policy.Path { return []policy.Path{{Path: p, At: at}} }
	pol := policy.Closed("demo")
	pol.Description = "a demo"
	pol.Sources = []policy.Source{{File: "p.toml", SHA256: "00"}}
	pol.Server = policy.Server{Command: []string{"node"}, Package: "npm:x", Args: []string{"a"}, Dir: "/home/ada/src/app", At: at}
	pol.Filesystem = policy.Filesystem{Read: append(path("/home/ada/docs"), policy.Path{Path: "/usr/bin/git", Optional: true, At: at}), Write: path("/home/ada/src/app"), Deny: path("/home/ada/docs/hidden"),
		Unprotect: path("/home/ada/src/app/.vscode"), Protect: []policy.Name{{Name: "deploy.sh", At: at}}}
	pol.Network = policy.Network{Allow: []policy.Host{{Kind: policy.HostName, Name: "a.example", First: 443, Last: 443, TLS: policy.TLSAlways, At: at}},
		Listen: []policy.Port{{Port: 9000, At: at}}}
	pol.Sockets = []policy.Socket{{Path: "/srv/run/db.sock", Override: "", At: at}}
	pol.Env = policy.Env{Pass: []policy.EnvName{{Name: "LANG", At: at}}, Set: []policy.EnvValue{{Name: "A", Value: "1", At: at}},
		Secret: []policy.SecretFrom{{Name: "TOKEN", From: "env:TOKEN", At: at}}}
	pol.Process = policy.Process{PTY: true, At: at}
	globs := policy.Filter{Allow: []policy.Glob{{Pattern: "get_*", At: at}}, Deny: []policy.Glob{{Pattern: "x", At: at}}}
	pol.Tools.Filter, pol.Prompts, pol.Resources = globs, globs, globs
	pol.Tools.Allow = slices.Clone(globs.Allow)
	pol.Tools.Rules = []policy.ToolRule{{Tool: "get_a", Schema: map[string]any{"maxProperties": 1.0}, PerMinute: 3, Concurrent: 2, At: at}}
	pol.Tools.Except = []policy.Glob{{Pattern: "get_now", At: at}}
	pol.Given = []policy.Given{{Name: "workspace", Values: []string{"/home/ada/src/app"}}}
	pol.Limits.CPU, pol.Limits.CPUTime = 2, 90e9
	pol.Install.Scripts = []string{"esbuild"}
	pol.Install.Build = []string{"proxy-tools"}
	pol.Require.At = at
	pol.Require.Without = []policy.Without{{Layer: policy.LayerLimits, At: at}}
	pol.Bounds = []policy.Bounds{{Read: append(path("/home/ada"), policy.Path{Path: "/usr/bin", At: at}), Write: path("/home/ada/src"), Unprotect: path("/home/ada/src/app/.vscode"), Connect: []policy.Socket{{Path: "/srv/run/db.sock", At: at}}}}
	return pol
}

func richProgram() Program {
	return Program{Path: "/opt/node/bin/node", Args: []string{"node", "server.js"}, Needs: []Need{{Path: "/opt/node", Why: "node", Led: []string{"/home/ada/src/app/.git"}}},
		Env: []Env{{Name: "NODE_PATH", Value: "/opt", At: "x"}}, Via: []string{"nvm"}, Tree: "ab"}
}

func richHost(t *testing.T) Host {
	t.Helper()
	h := laptopHost()
	h.Git = []Env{{Name: "safe.directory", Value: "/srv/a", At: "git config"}}
	h.Errata, h.Env = 1, map[string]string{"LANG": "C"}
	h.Certificates = map[string]string{"SSL_CERT_FILE": "PEM"}
	h.Trusted = map[string]string{"AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"}
	h.Cgroup = Cgroup{How: HowCgroup2, Path: "/user.slice", Controllers: []string{"memory", "pids", "cpu"}, Why: ""}
	parseTree(t, laptop, `
file /opt/node/bin/node
dir /home/ada/docs/hidden
dir /home/ada/src/app/.git
dir /home/ada/src/app/.vscode
socket /srv/run/db.sock
`).answer(&h, Asks(richPolicy(t), richProgram(), h.Home, h.State, h.Config, h.Runtime))
	return h
}
