package plan

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// attempt is one random try to exceed a baseline: through a profile, the profiles it
// extends, parameters, words of the command line, the workspace, and symlinks.
type attempt struct {
	tree     tree
	text     string // of everything, for a person
	bounds   string // of the baseline
	profile  *policy.Profile
	baseline *policy.Profile
	in       policy.Input
}

func randomAttempt(t *testing.T, seed uint64) (attempt, bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	text, paths := randomWorld(r)
	tr := parseTree(t, text, "socket /srv/sock/x.sock\nlink /srv/l.sock -> sock/x.sock")
	some := func(list []string) string {
		var out []string
		for range r.IntN(3) {
			if s := fmt.Sprintf("%q", list[r.IntN(len(list))]); !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return strings.Join(out, ", ")
	}
	var named []string
	for _, p := range paths {
		named = append(named, "?"+p)
	}
	named = append(named, "?${workspace}", "?${workspace}/a", "?${workspace}/.git", "?~/w/a")
	layers := []string{"namespaces", "landlock", "seccomp"}
	tools := []string{"get_*", "get_a", "*", "put_?", "x"}
	body := func(keep int, more ...string) string {
		lines := []string{
			"[filesystem]", "read = [" + some(append(named, more...)) + "]", "write = [" + some(append(named, more...)) + "]",
			"deny = [" + some(named) + "]", "[require]", "without = [" + some(layers) + "]", "[sockets]", "connect = [" + some([]string{"/srv/sock/x.sock", "/srv/l.sock"}) + "]",
			"[env]", "pass = [" + some([]string{"LANG", "TZ"}) + "]", "[tools]", "allow = [" + some(tools) + "]", "[network]",
			"allow = [" + some([]string{"a.example:443", "*.example:443", "a.example:80", "10.0.0.0/8:81"}) + "]", "[limits]", fmt.Sprintf("processes = %d", 1+r.IntN(9)),
		}
		for i := len(lines) - 1; i > 0; i-- { // some keys are not written
			if strings.Contains(lines[i], " = ") && r.IntN(3) >= keep {
				lines = slices.Delete(lines, i, i+1)
			}
		}
		return strings.Join(lines, "\n") + "\n"
	}
	// Typical bounds, so that some attempts are allowed.
	wide := append(slices.Repeat([]string{"?${workspace}"}, 6), "?/home/ada/w", "?/srv", "?/tmp/w")
	files := map[string]string{
		"p.toml": "version = 1\nname = \"demo\"\nextends = [\"q.toml\"]\n[params.dir]\ntype = \"directory\"\ndefault = \"/srv\"\n" + body(2, "?${dir}", "?${dir}/a"),
		"q.toml": "version = 1\n" + body(1),
		"b.toml": "version = 1\n" + strings.ReplaceAll(body(1, wide...), "?", ""),
	}
	a := attempt{tree: tr, text: text + "\n" + files["p.toml"] + "\n--\n" + files["q.toml"] + "\n--\n" + files["b.toml"]}
	a.bounds = files["b.toml"]
	load := func(ref, _ string) (string, []byte, error) { return ref, []byte(files[ref]), nil }
	var err error
	if a.profile, err = policy.Parse("p.toml", []byte(files["p.toml"]), load); err != nil {
		return a, false
	}
	if a.baseline, err = policy.ParseBaseline("b.toml", []byte(files["b.toml"]), load); err != nil {
		return a, false
	}
	a.in = policy.Input{Home: "/home/ada", State: "/home/ada/.local/state/mcpen", Config: "/home/ada/.config/mcpen", Cwd: "/home/ada/w",
		Workspace: paths[r.IntN(len(paths))], Start: "/home/ada/w", Params: map[string][]string{}, Baselines: []*policy.Profile{a.baseline}}
	if r.IntN(2) == 0 {
		a.in.Params["dir"] = []string{paths[r.IntN(len(paths))]}
	}
	if r.IntN(4) == 0 {
		a.in.Without = []policy.Layer{policy.Layer(layers[r.IntN(3)])}
	}
	if r.IntN(2) == 0 {
		a.in.Workspace = a.in.Start
	}
	return a, true
}

// If a baseline binds a user, no profile, command line or symlink may give a server
// more than the baseline allows.
func TestNothingGoesBeyondABaseline(t *testing.T) {
	started, narrowed := 0, 0
	for seed := range uint64(2000) {
		a, ok := randomAttempt(t, seed)
		if !ok {
			continue
		}
		found, ran := a.beyond(Compile, policy.Resolve)
		if found != "" {
			t.Fatalf("seed %d: %s\n%s\nworkspace %s, parameters %v, without %v", seed, found, a.text, a.in.Workspace, a.in.Params, a.in.Without)
		}
		if ran {
			started++
		} else {
			narrowed++
		}
	}
	if started < 30 || narrowed < 500 {
		t.Errorf("%d started and %d were refused: too few to tell", started, narrowed)
	}
}

// The property must detect the planted mistakes.
func TestBeyondFindsPlantedBugs(t *testing.T) {
	type resolve func(*policy.Profile, policy.Input) (policy.Policy, error)
	for name, bug := range map[string]struct {
		compile compile
		resolve resolve
	}{
		"names are compared, and not what they lead to": {func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			pol.Bounds = nil
			return Compile(pol, prog, h)
		}, policy.Resolve},
		"the baseline's workspace is the command line's": {Compile, func(p *policy.Profile, in policy.Input) (policy.Policy, error) {
			in.Start = in.Workspace
			return policy.Resolve(p, in)
		}},
		"the command line's word is the last": {func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			p, err := Compile(pol, prog, h)
			p.Layers = slices.DeleteFunc(p.Layers, func(l policy.Layer) bool { return l == policy.LayerSeccomp && len(pol.Sockets) > 0 })
			return p, err
		}, policy.Resolve},
		"a deny of the baseline is forgotten": {func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			pol.Filesystem.Deny = slices.DeleteFunc(slices.Clone(pol.Filesystem.Deny), func(d policy.Path) bool { return d.At.File == "b.toml" })
			return Compile(pol, prog, h)
		}, policy.Resolve},
	} {
		found := false
		for seed := uint64(0); !found && seed < 20000; seed++ {
			if a, ok := randomAttempt(t, seed); ok {
				is, _ := a.beyond(bug.compile, bug.resolve)
				found = is != ""
			}
		}
		if !found {
			t.Errorf("not found: %s", name)
		}
	}
}

// beyond carries the attempt out and returns the part of its plan that exceeds the
// baseline. It resolves the baseline as a profile of its own and does not use mcpen's
// comparison of the two.
func (a attempt) beyond(compile compile, resolve func(*policy.Profile, policy.Input) (policy.Policy, error)) (found string, ran bool) {
	pol, err := resolve(a.profile, a.in)
	if err != nil {
		return "", false
	}
	plan, err := compileIn(a.tree, map[string]PathFact{}, compile, pol)
	if err != nil {
		return "", false
	}
	var b = map[string][]policy.Said{}
	for _, s := range a.baseline.Said() {
		b[s.Key] = append(b[s.Key], s)
	}
	real := func(key string) (out []string) {
		for _, s := range b[key] {
			text := strings.NewReplacer("${workspace}", a.in.Start, "~", a.in.Home).Replace(s.Text)
			out = append(out, realOf(a.tree, text))
		}
		return out
	}
	written := func(key string) bool { // no two of the compared tables share a key
		_, key, _ = strings.Cut(key, ".")
		return strings.Contains(a.bounds, "\n"+key+" = [")
	}
	in := func(p string, dirs []string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return under(p, d) })
	}
	reads, writes, deny := append(real("filesystem.read"), real("filesystem.write")...), real("filesystem.write"), real("filesystem.deny")
	for _, m := range plan.Root {
		if m.Kind != MountBind || m.At == "" || m.Protected || m.Why == "what is denied lies in it" {
			continue
		}
		switch {
		case m.Writable && written("filesystem.write") && !in(m.Source, writes):
			return fmt.Sprintf("%q is written", m.Source), true
		case !m.Writable && written("filesystem.read") && !in(m.Source, reads):
			return fmt.Sprintf("%q is read", m.Source), true
		}
	}
	for at := range a.tree {
		if g := reach(plan, at); g.source != "" && in(g.source, deny) && !strings.HasPrefix(at, "/usr") && a.tree.look(at).Exists {
			return fmt.Sprintf("%q is denied and seen", at), true
		}
	}
	for _, s := range plan.Network.Sockets {
		if written("sockets.connect") && !slices.Contains(real("sockets.connect"), realOf(a.tree, s.Path)) {
			return fmt.Sprintf("the socket %q is joined", s.Path), true
		}
	}
	without := b["require.without"]
	for _, l := range policy.DefaultLayers() {
		may := slices.ContainsFunc(without, func(s policy.Said) bool { return s.Text == string(l) })
		if l == policy.LayerMediation && !slices.ContainsFunc(plan.Root, func(m Mount) bool { return m.Kind == MountBind && m.Writable && m.Dir }) {
			continue // nothing to mediate
		}
		if written("require.without") && !may && !plan.Holds(l) {
			return fmt.Sprintf("it goes without %s", l), true
		}
	}
	for _, e := range pol.Env.Pass {
		if written("env.pass") && !slices.ContainsFunc(b["env.pass."+e.Name], func(policy.Said) bool { return true }) {
			return fmt.Sprintf("the variable %s is passed", e.Name), true
		}
	}
	return "", true
}

// realOf resolves the symlinks of a path, as far as it exists.
func realOf(tr tree, p string) string {
	for dir, rest := path.Clean(p), ""; ; dir = path.Dir(dir) {
		if f := tr.look(dir); f.Exists || dir == "/" {
			return path.Join(f.Real, rest)
		}
		rest = path.Join(path.Base(dir), rest)
	}
}
