package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"mcpen/sandbox/policy"
)

// Each of these changes gives a server more. A comparison that misses one would let
// every test of narrowing pass.
func TestWiderSeesEveryGain(t *testing.T) {
	rich := func(t *testing.T) Plan {
		p := rich(t)
		p.Seccomp.Alone = true // as without namespaces
		return p
	}
	base := rich(t)
	if found := wider(base, base); found != nil {
		t.Fatalf("a plan is wider than itself: %q", found)
	}
	for name, widen := range map[string]func(*Plan){
		"a folder to read": func(p *Plan) { p.Root = append(p.Root, Mount{Kind: MountBind, Source: "/srv", Target: "/srv"}) },
		"a right to write": func(p *Plan) { find(p, "/home/ada/docs").Writable = true },
		"a mask is gone":   func(p *Plan) { remove(p, "/home/ada/docs/hidden") },
		"a protection is gone": func(p *Plan) {
			remove(p, "/home/ada/src/app/.git") // the mediator protects it a second time
			p.Writes.Except = append(p.Writes.Except, "/home/ada/src/app/.git")
		},
		"another source":     func(p *Plan) { find(p, "/usr").Source = "/" },
		"a rule of Landlock": func(p *Plan) { p.Landlock.Paths = append(p.Landlock.Paths, Rule{"/usr", AccessWrite}) },
		"a port of Landlock": func(p *Plan) { p.Landlock.Connect = append(p.Landlock.Connect, Span{22, 22}) },
		"the scope":          func(p *Plan) { p.Landlock.Scoped = false },
		"an older ABI":       func(p *Plan) { p.Landlock.ABI = 1 },
		"a listener":         func(p *Plan) { p.Network.Ports = append(p.Network.Ports, Span{22, 22}) },
		"a host": func(p *Plan) {
			p.Network.Hosts = append(p.Network.Hosts, policy.Host{Kind: policy.HostName, Name: "evil.example", First: 443, Last: 443})
		},
		"a host without TLS": func(p *Plan) { p.Network.Hosts[0].TLS = policy.TLSNever },
		"a socket": func(p *Plan) {
			p.Network.Sockets = append(p.Network.Sockets, Socket{Socket: policy.Socket{Path: "/run/docker.sock"}})
		},
		"a variable":                func(p *Plan) { p.Process.Env = append(p.Process.Env, Env{Name: "AWS_TOKEN"}) },
		"a secret":                  func(p *Plan) { p.Process.Secrets = append(p.Process.Secrets, Secret{Name: "X", From: "env:X"}) },
		"a tool":                    func(p *Plan) { p.Tools.Allow = append(p.Tools.Allow, policy.Glob{Pattern: "*"}) },
		"every tool":                func(p *Plan) { p.Tools.Allow = nil },
		"a tool no longer denied":   func(p *Plan) { p.Tools.Deny = nil },
		"a higher limit":            func(p *Plan) { p.Limits[0].Value++ },
		"a limit less":              func(p *Plan) { p.Limits = p.Limits[1:] },
		"no filter":                 func(p *Plan) { p.Seccomp.On = false },
		"sockets, others' IPC":      func(p *Plan) { p.Seccomp.Alone = false },
		"a layer less":              func(p *Plan) { p.Layers = p.Layers[1:] },
		"a place not kept":          func(p *Plan) { p.Writes.Except = append(p.Writes.Except, "/home/anna/notes/.envrc") },
		"a name not kept":           func(p *Plan) { p.Writes.Names = p.Writes.Names[1:] },
		"a folder without mediator": func(p *Plan) { p.Seccomp.Mediate = false },
		"a place of the server's":   func(p *Plan) { p.Writes.Free = append(p.Writes.Free, "/home/anna/notes") },
		"a socket's file system":    func(p *Plan) { p.Writes.Sockets = append(p.Writes.Sockets, "/home/anna/notes") },
	} {
		p := rich(t)
		widen(&p)
		if wider(base, p) == nil {
			t.Errorf("not seen: %s", name)
		}
	}
}

// rich is a plan with entries in every list.
func rich(t *testing.T) Plan {
	t.Helper()
	p, err := Compile(richPolicy(t), richProgram(), richHost(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func find(p *Plan, target string) *Mount {
	return &p.Root[slices.IndexFunc(p.Root, func(m Mount) bool { return m.Target == target })]
}

func remove(p *Plan, target string) {
	n := len(p.Root)
	p.Root = slices.DeleteFunc(p.Root, func(m Mount) bool { return m.Target == target })
	if len(p.Root) == n {
		panic("no mount at " + target)
	}
}

// The child must read exactly the compiled plan. Two runs with one digest ran under the
// same plan.
func TestPlanIsItsJSON(t *testing.T) {
	p := rich(t)
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Plan
	strictly(t, data, &back)
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("the child is told something else (-launcher +child):\n%s", diff)
	}
	if back.Digest() != p.Digest() {
		t.Error("the digest changed on the way")
	}
	for range 20 { // maps iterate in a different order each time
		if again := rich(t); again.Digest() != p.Digest() {
			t.Fatal("the same policy has two digests")
		}
	}
	changed := rich(t)
	changed.Process.Args = append(changed.Process.Args, "x")
	if changed.Digest() == p.Digest() {
		t.Error("another plan has the same digest")
	}
	p.Process.Secrets[0].Value = "hunter2"
	if back.Digest() != p.Digest() {
		t.Error("a secret's value is part of the digest, and could be guessed from the log")
	}
}

// A secret must not end up in a log because somebody printed a plan.
func TestOpaqueNeverPrints(t *testing.T) {
	const value = "hunter2"
	s := Secret{Name: "TOKEN", From: "env:TOKEN", Value: value}
	p := Plan{Process: Process{Secrets: []Secret{s}}}
	var b bytes.Buffer
	things := []any{s.Value, &s.Value, s, &s, []Secret{s}, map[string]Secret{"a": s}, map[string]Opaque{"a": value}, []Opaque{value}, p, &p,
		struct{ V Opaque }{value}, fmt.Errorf("cannot: %v", s.Value)}
	for _, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%X", "% x", "%d", "%10.4s", "%T", "%t", "%U", "%c"} {
			fmt.Fprintf(&b, verb+"\n", thing)
		}
		fmt.Fprintln(&b, thing)
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("m", "v", thing)
		}
		if data, err := json.Marshal(thing); err == nil {
			b.Write(data)
		}
		toml.NewEncoder(&b).Encode(map[string]any{"v": thing}) // some of them are not valid TOML
	}
	for _, form := range []string{value, "68756e74657232", "68756E74657232", "68 75 6e 74 65 72 32", "hunt"} {
		if i := strings.Index(b.String(), form); i >= 0 {
			t.Errorf("the secret came out: …%s", b.String()[max(0, i-80):i+len(form)])
		}
	}
	// The twin: a conversion yields the value.
	if string(s.Value) != value {
		t.Error("the value cannot be had")
	}
}

// An empty Opaque and a full one print the same.
func TestOpaqueTellsNothing(t *testing.T) {
	if a, b := fmt.Sprintf("%v %+v %#v %q %x", Opaque(""), Opaque(""), Opaque(""), Opaque(""), Opaque("")),
		fmt.Sprintf("%v %+v %#v %q %x", Opaque("abc"), Opaque("abc"), Opaque("abc"), Opaque("abc"), Opaque("abc")); a != b {
		t.Errorf("%q and %q", a, b)
	}
}

// Asks and Compile must not change their arguments: others compile the same policy
// again.
func TestCompileLeavesItsArgumentsAlone(t *testing.T) {
	pol, prog, h := richPolicy(t), richProgram(), richHost(t)
	if _, err := Compile(pol, prog, h); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(pol, richPolicy(t)) || !reflect.DeepEqual(prog, richProgram()) || !reflect.DeepEqual(h, richHost(t)) {
		t.Error("an argument changed")
	}
}

// A profile with more ports than the egress can listen on fails before the start.
func TestTooManyPorts(t *testing.T) {
	pol := policy.Closed("demo")
	for i := range uint16(64) {
		pol.Network.Allow = append(pol.Network.Allow, policy.Host{Kind: policy.HostName, Name: "a.example", First: 1000 + 20*i, Last: 1015 + 20*i})
	}
	for _, c := range []struct{ rules, problems int }{{64, 1}, {63, 0}} {
		less := pol
		less.Network.Allow = pol.Network.Allow[:c.rules]
		_, err := compileIn(parseTree(t, laptop), nil, Compile, less)
		ps, _ := err.(Problems)
		if len(ps) != c.problems {
			t.Errorf("%d rules: %v", c.rules, err)
		}
	}
}
