package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/internal/golden"
	"mcpen/sandbox/policy"
)

// TestPlans checks the plan of each story of testdata: a profile, a program and a
// machine, then either the plan or the problems.
//
// host.json and program.json override laptopHost and laptopNode. tree adds to the
// laptop's files, or replaces them if its first line is "only". without removes layers
// as --without does. The expected plan leaves out the parts it shares with
// closed.txtar's.
func TestPlans(t *testing.T) {
	golden.Each(t, "testdata/*.txtar", 100, func(t *testing.T, name string, ar *txtar.Archive) {
		part, got := tell(t, readStory(t, ar), name == "closed")
		golden.Replace(ar, txtar.File{Name: part, Data: []byte(got)}, "plan.json", "error")
	})
}

// story is the input of one archive.
type story struct {
	policy  policy.Policy
	program Program
	host    Host
}

func laptopHost() Host {
	return Host{
		Kernel: "6.12.0", Arch: "amd64", UID: 1000, GID: 1000, Counted: true, Umask: 0o022, User: "ada", Home: "/home/ada", Runtime: "/run/user/1000/mcpen",
		State: "/home/ada/.local/state/mcpen", Config: "/home/ada/.config/mcpen", Cwd: "/home/ada/src/app", Zone: "/usr/share/zoneinfo/UTC",
		Namespaces: Fact{Is: Yes}, Landlock: 7, Seccomp: Fact{Is: Yes}, Notify: Fact{Is: Yes}, Routes: Fact{Is: Yes}, Memfd: Fact{Is: Yes},
		Cgroup: Cgroup{How: HowSystemd, Controllers: []string{"memory", "pids", "cpu"}},
	}
}

func laptopNode() Program {
	return Program{Path: "/usr/bin/node", Args: []string{"node", "server.js"}}
}

func readStory(t *testing.T, ar *txtar.Archive) story {
	t.Helper()
	s := story{host: laptopHost(), program: laptopNode()}
	files := map[string][]byte{}
	for _, f := range ar.Files {
		files[f.Name] = f.Data
	}
	for name, v := range map[string]any{"host.json": &s.host, "program.json": &s.program} {
		if data, ok := files[name]; ok {
			strictly(t, data, v)
		}
	}
	in := policy.Input{Start: "/home/ada/src/app", Home: s.host.Home, State: s.host.State, Config: s.host.Config, Cwd: s.host.Cwd, Workspace: "/home/ada/src/app"}
	for _, l := range strings.Fields(string(files["without"])) {
		in.Without = append(in.Without, policy.Layer(l))
	}
	profile, err := policy.Parse("profile.toml", files["profile.toml"], nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.policy, err = policy.Resolve(profile, in); err != nil {
		t.Fatal(err)
	}
	s.policy.Sources = nil // hashes mean nothing to a reader
	text := laptop
	if own, only := strings.CutPrefix(string(files["tree"]), "only\n"); only {
		text = own
	} else {
		text += own
	}
	asks := Asks(s.policy, s.program, s.host.Home, s.host.State, s.host.Config, s.host.Runtime)
	parseTree(t, text).answer(&s.host, asks)
	return s
}

func strictly(t *testing.T, data []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// tell returns the last file of a story.
func tell(t *testing.T, s story, whole bool) (name, content string) {
	t.Helper()
	p, err := Compile(s.policy, s.program, s.host)
	if err != nil {
		var ps Problems
		if !errors.As(err, &ps) {
			t.Fatalf("not Problems: %v", err)
		}
		var b strings.Builder
		for _, x := range ps {
			fmt.Fprintln(&b, Problems{x}.Error())
			if x.Lack != "" {
				fmt.Fprintf(&b, "    lacks: %s\n", x.Lack)
			}
			if advice := x.Advice(); advice != "" {
				fmt.Fprintf(&b, "    hint: %s\n", strings.ReplaceAll(advice, "\n", "\n          "))
			}
		}
		return "error", b.String()
	}
	var v any = p
	if !whole {
		v = beside(t, p, closedPlan(t))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return "plan.json", b.String()
}

// closedPlan is the plan of a server without a profile.
func closedPlan(t *testing.T) Plan {
	t.Helper()
	s := readStory(t, &txtar.Archive{Files: []txtar.File{{Name: "profile.toml", Data: []byte("version = 1\nname = \"demo\"\n")}}})
	p, err := Compile(s.policy, s.program, s.host)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// beside returns the parts of a plan that differ from another plan, and the mounts it
// lacks.
func beside(t *testing.T, p, other Plan) map[string]any {
	t.Helper()
	out := map[string]any{}
	a, b := reflect.ValueOf(p), reflect.ValueOf(other)
	for i := range a.NumField() {
		key, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			out[key] = a.Field(i).Interface()
		}
	}
	if _, ok := out["root"]; ok {
		out["root"] = without(p.Root, other.Root)
		if lacks := without(other.Root, p.Root); len(lacks) > 0 {
			out["root_lacks"] = lacks
		}
	}
	if _, ok := out["landlock"]; ok {
		l := p.Landlock
		l.Paths = without(l.Paths, other.Landlock.Paths)
		out["landlock"] = l
	}
	return out
}

func without[T comparable](all, some []T) []T {
	out := []T{}
	for _, v := range all {
		if !slices.Contains(some, v) {
			out = append(out, v)
		}
	}
	return out
}
