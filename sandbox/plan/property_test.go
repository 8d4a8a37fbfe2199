package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// randomWorld makes one random machine: folders, files, symlinks between them.
func randomWorld(r *rand.Rand) (text string, paths []string) {
	names := []string{"a", "b", "c", ".git", ".envrc", "node_modules", ".bin", ".config", "git"}
	roots := []string{"/home/ada/w", "/srv", "/tmp/w", "/var/tmp/w"}
	paths = append(paths, roots...)
	var b strings.Builder
	b.WriteString(laptop)
	for _, p := range roots {
		fmt.Fprintln(&b, "dir", p)
	}
	links := map[string]bool{}
	for range 12 + r.IntN(12) {
		p := path.Join(paths[r.IntN(len(paths))], names[r.IntN(len(names))])
		if slices.Contains(paths, p) || slices.ContainsFunc(paths, func(q string) bool { return links[q] && under(p, q) }) {
			continue
		}
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(&b, "link %s -> %s\n", p, paths[r.IntN(len(paths))])
			links[p] = true
		default:
			fmt.Fprintln(&b, "dir", p)
		}
		paths = append(paths, p)
	}
	for q := range links { // paths through a link
		if r.IntN(2) == 0 {
			paths = append(paths, path.Join(q, "a"), path.Join(q, ".git"))
		}
	}
	slices.Sort(paths)
	return b.String(), paths
}

func randomPolicy(r *rand.Rand, paths []string) policy.Policy {
	pol := policy.Closed("demo")
	some := func(most int) (out []policy.Path) {
		for range r.IntN(most + 1) {
			out = append(out, policy.Path{Path: paths[r.IntN(len(paths))], Optional: true})
		}
		return out
	}
	pol.Filesystem = policy.Filesystem{Read: some(3), Write: some(3), Deny: some(2)}
	for _, p := range some(2) {
		if isProtected(p.Path) {
			pol.Filesystem.Unprotect = append(pol.Filesystem.Unprotect, p)
		}
	}
	hosts := []policy.Host{
		{Kind: policy.HostName, Name: "a.example", First: 443, Last: 443, TLS: policy.TLSUsual}, {Kind: policy.HostWildcard, Name: "b.example", First: 8000, Last: 8015, TLS: policy.TLSUsual},
		{Kind: policy.HostCIDR, Name: "10.0.0.0/8", First: 81, Last: 81}, {Kind: policy.HostLocal, Name: "localhost", First: 5432, Last: 5432},
	}
	for _, h := range hosts {
		if r.IntN(2) == 0 {
			pol.Network.Allow = append(pol.Network.Allow, h)
		}
	}
	pol.Network.Listen = []policy.Port{{Port: 9000}, {Port: 9001}}[:r.IntN(3)]
	pol.Sockets = []policy.Socket{{Path: "/srv/sock/x.sock"}, {Path: "/tmp/x.sock"}}[:r.IntN(3)]
	pol.Env.Pass = []policy.EnvName{{Name: "LANG"}, {Name: "TZ"}}[:r.IntN(3)]
	pol.Env.Set = []policy.EnvValue{{Name: "A", Value: "1"}, {Name: "LANG", Value: "C"}}[:r.IntN(2)]
	pol.Env.Secret = []policy.SecretFrom{{Name: "TOKEN", From: "env:TOKEN"}}[:r.IntN(2)]
	pol.Tools.Allow = []policy.Glob{{Pattern: "get_*"}, {Pattern: "put_*"}}[:r.IntN(3)]
	pol.Limits.CPU, pol.Limits.CPUTime = float64(r.IntN(3)), 90e9
	if r.IntN(6) == 0 { // without namespaces, most of it is unavailable
		pol.Require.Layers = []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp}
		pol.Filesystem.Deny, pol.Sockets, pol.Network = nil, nil, policy.Network{}
	}
	return pol
}

// narrowing is one step that makes a policy narrower. do returns false if the step does
// not apply. It must not change the lists of its argument in place.
type narrowing struct {
	name string
	do   func(*rand.Rand, tree, *policy.Policy) bool
}

var narrowings = []narrowing{
	{"drop a read", func(r *rand.Rand, tr tree, p *policy.Policy) bool {
		old := p.Filesystem.Read
		return drop(r, &p.Filesystem.Read) && !slices.ContainsFunc(old, func(r policy.Path) bool {
			// A read rule in a writable folder takes the right to write away.
			return slices.ContainsFunc(p.Filesystem.Write, func(w policy.Path) bool {
				return under(tr.look(r.Path).Real, tr.look(w.Path).Real)
			})
		})
	}},
	{"drop a write", func(r *rand.Rand, tr tree, p *policy.Policy) bool {
		old := p.Filesystem.Write
		return drop(r, &p.Filesystem.Write) && !slices.ContainsFunc(old, tr.leadsOut)
	}},
	{"read what was written", func(r *rand.Rand, tr tree, p *policy.Policy) bool {
		old := p.Filesystem.Write
		if !drop(r, &p.Filesystem.Write) || slices.ContainsFunc(old, tr.leadsOut) {
			return false
		}
		for _, w := range old {
			if !slices.Contains(p.Filesystem.Write, w) {
				p.Filesystem.Read = append(slices.Clone(p.Filesystem.Read), w)
			}
		}
		return true
	}},
	{"drop an unprotect", func(r *rand.Rand, _ tree, p *policy.Policy) bool { return drop(r, &p.Filesystem.Unprotect) }},
	{"add a deny", func(r *rand.Rand, tr tree, p *policy.Policy) bool {
		paths := slices.Sorted(maps.Keys(tr))
		p.Filesystem.Deny = append(slices.Clone(p.Filesystem.Deny), policy.Path{Path: paths[r.IntN(len(paths))]})
		return true
	}},
	{"drop a host", func(r *rand.Rand, _ tree, p *policy.Policy) bool { return drop(r, &p.Network.Allow) }},
	{"drop a port", func(r *rand.Rand, _ tree, p *policy.Policy) bool { return drop(r, &p.Network.Listen) }},
	{"drop a socket", func(r *rand.Rand, _ tree, p *policy.Policy) bool { return drop(r, &p.Sockets) }},
	{"drop a variable", func(r *rand.Rand, _ tree, p *policy.Policy) bool { return drop(r, &p.Env.Pass) }},
	{"drop a secret", func(r *rand.Rand, _ tree, p *policy.Policy) bool { return drop(r, &p.Env.Secret) }},
	{"drop an allowed tool", func(r *rand.Rand, _ tree, p *policy.Policy) bool {
		return len(p.Tools.Allow) > 1 && drop(r, &p.Tools.Allow) // an empty list allows every tool
	}},
	{"deny a tool", func(_ *rand.Rand, _ tree, p *policy.Policy) bool {
		p.Tools.Deny = append(slices.Clone(p.Tools.Deny), policy.Glob{Pattern: "x"})
		return true
	}},
	{"lower the limits", func(r *rand.Rand, _ tree, p *policy.Policy) bool {
		l := &p.Limits
		l.Memory, l.Processes, l.OpenFiles, l.FileSize = l.Memory/3+1, l.Processes/3+1, l.OpenFiles/3+1, l.FileSize/3+1
		l.Tmp, l.TmpFiles, l.CPU, l.CPUTime = l.Tmp/3+1, l.TmpFiles/3+1, l.CPU/10000, l.CPUTime/1e6
		return true
	}},
}

// leadsOut reports whether a protected place in the folder is a symlink. Its target,
// perhaps in another writable folder, is held only while this folder is declared: the
// probe looks for links only in declared folders.
func (tr tree) leadsOut(w policy.Path) bool {
	real := tr.look(w.Path).Real
	places := append(tr.below(real), tails(path.Base(real))...)
	return slices.ContainsFunc(places, func(b string) bool { return tr[path.Join(real, b)].kind == "link" })
}

func drop[T any](r *rand.Rand, list *[]T) bool {
	if len(*list) == 0 {
		return false
	}
	i := r.IntN(len(*list))
	*list = slices.Delete(slices.Clone(*list), i, i+1)
	return true
}

// If a user removes something from a profile, or denies more, the server must not gain
// anything.
func TestNarrowingNeverWidens(t *testing.T) {
	tried := map[string]int{}
	for seed := range uint64(500) {
		if found := narrowed(t, seed, Compile, tried); found != "" {
			t.Fatal(found)
		}
	}
	for _, n := range narrowings {
		if tried[n.name] < 20 {
			t.Errorf("%s was tried only %d times", n.name, tried[n.name])
		}
	}
}

type compile func(policy.Policy, Program, Host) (Plan, error)

// narrowed applies each narrowing to one random policy and returns the rights that a
// server gained.
func narrowed(t *testing.T, seed uint64, compile compile, tried map[string]int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	text, paths := randomWorld(r)
	tr := parseTree(t, text)
	pol := randomPolicy(r, paths)
	wide, err := compileIn(tr, nil, compile, pol)
	if err != nil {
		return ""
	}
	if found := sound(tr, pol, wide); found != "" {
		return fmt.Sprintf("seed %d: %s\n%s", seed, found, asJSON(pol))
	}
	known := map[string]PathFact{}
	for _, n := range narrowings {
		less := pol
		if !n.do(r, tr, &less) {
			continue
		}
		narrow, err := compileIn(tr, known, compile, less)
		if err != nil {
			continue // nothing starts
		}
		tried[n.name]++
		if found := wider(wide, narrow); len(found) > 0 {
			return fmt.Sprintf("seed %d: to %s made more possible: %q\nfrom %s\nto %s", seed, n.name, found, asJSON(pol), asJSON(less))
		}
	}
	return ""
}

// The property must detect mistakes that are easily made.
func TestNarrowingFindsPlantedBugs(t *testing.T) {
	for name, bug := range map[string]compile{
		"the last deny is forgotten where there are two": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			if n := len(pol.Filesystem.Deny); n > 1 {
				pol.Filesystem.Deny = pol.Filesystem.Deny[1:]
			}
			return Compile(pol, prog, h)
		},
		"without unprotect nothing is protected": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			p, err := Compile(pol, prog, h)
			if len(pol.Filesystem.Unprotect) == 0 && len(pol.Filesystem.Write) == 1 {
				p.Root = slices.DeleteFunc(p.Root, func(m Mount) bool { return m.Protected })
				p.Seccomp.Mediate = false
			}
			return p, err
		},
		"a limit below one is none": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			p, err := Compile(pol, prog, h)
			p.Limits = slices.DeleteFunc(p.Limits, func(l Limit) bool { return l.Name == LimitCPU && pol.Limits.CPU < 0.001 })
			return p, err
		},
		"no rule means every host": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			if len(pol.Network.Allow) == 0 {
				pol.Network.Allow = []policy.Host{{Kind: policy.HostCIDR, Name: "0.0.0.0/0", First: 443, Last: 443}}
			}
			p, err := Compile(pol, prog, h)
			return p, err
		},
		"without a variable other processes' IPC is open": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			p, err := Compile(pol, prog, h)
			p.Seccomp.Alone = p.Seccomp.Alone && len(pol.Env.Pass) > 0
			return p, err
		},
		"a rule for the home holds for what lies in it": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			p, err := Compile(pol, prog, h)
			p.Landlock.Paths = append(p.Landlock.Paths, Rule{"/home/ada", AccessTmp})
			return p, err
		},
		"no variable means every variable": func(pol policy.Policy, prog Program, h Host) (Plan, error) {
			if len(pol.Env.Pass) == 0 {
				pol.Env.Pass = []policy.EnvName{{Name: "LANG"}, {Name: "TZ"}}
			}
			return Compile(pol, prog, h)
		},
	} {
		found := ""
		for seed := uint64(0); found == "" && seed < 500; seed++ {
			found = narrowed(t, seed, bug, map[string]int{})
		}
		if found == "" {
			t.Errorf("not found: %s", name)
		}
	}
}

// compileIn compiles on a machine with these files. known caches their facts between
// compilations.
func compileIn(tr tree, known map[string]PathFact, compile compile, pol policy.Policy) (Plan, error) {
	h := laptopHost()
	h.Paths = known
	h.Env = map[string]string{"LANG": "C.UTF-8", "TZ": "UTC"}
	tr.answer(&h, Asks(pol, laptopNode(), h.Home, h.State, h.Config, h.Runtime))
	return compile(pol, laptopNode(), h)
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// sound checks the invariants of every plan: its mounts work in their order, and no
// denied or undeclared path is reachable.
func sound(tr tree, pol policy.Policy, p Plan) (found string) {
	fail := func(format string, args ...any) {
		if found == "" {
			found = fmt.Sprintf(format, args...)
		}
	}
	seen := map[string]Mount{}
	for _, m := range p.Root {
		if _, again := seen[m.Target]; again {
			fail("%q is mounted twice", m.Target)
		}
		for dir := path.Dir(m.Target); dir != "/"; dir = path.Dir(dir) {
			above, ok := seen[dir]
			if !ok {
				continue
			}
			if above.Kind == MountSymlink || above.Kind == MountMask || above.Kind == MountProc {
				fail("%q lies in the %s %q", m.Target, above.Kind, dir)
			}
			if above.Kind == MountBind && !tr.look(path.Join(above.Source, m.Target[len(dir):])).Exists {
				fail("%q has no mount point in %q", m.Target, dir)
			}
			break
		}
		for later := range seen {
			if under(later, m.Target) {
				fail("%q hides %q, which was mounted before", m.Target, later)
			}
		}
		if m.Kind == MountBind && tr.look(m.Source).Real != m.Source {
			fail("%q leads elsewhere", m.Source)
		}
		if m.Kind == MountMask && seen[m.Target].Kind == MountMask {
			fail("%q is hidden twice", m.Target)
		}
		seen[m.Target] = m
	}
	denied(pol, tr, p, fail)
	twice(p, fail)
	return found
}

// twice checks that Landlock grants on each bind the access of its mount, and no more
// because the bind lies in something wider. The exceptions are writable folders, where
// only mounts can hold, and the cases that the plan notes.
func twice(p Plan, fail func(string, ...any)) {
	for _, m := range p.Root {
		if m.Kind != MountBind || rank(granted(p.Landlock, m.Target)) <= rank((&compiler{plan: p}).access(m)) {
			continue
		}
		have := granted(p.Landlock, m.Target)
		inWritable := slices.ContainsFunc(p.Root, func(o Mount) bool {
			return o.Kind == MountBind && o.Writable && o.Target != m.Target && under(m.Target, o.Target) && granted(p.Landlock, o.Target) == have
		})
		told := slices.ContainsFunc(p.Gaps, func(g Gap) bool {
			return g.Layer == policy.LayerLandlock && strings.HasPrefix(g.Want, fmt.Sprintf("%q", m.Target))
		})
		if !told && !inWritable {
			fail("Landlock grants %s on %q, and nobody is told", have, m.Target)
		}
	}
}

// denied checks every file of the world against the declared and denied paths.
func denied(pol policy.Policy, tr tree, p Plan, fail func(string, ...any)) {
	var reads, writes, deny, trusted []string
	reals := func(rules []policy.Path) (out []string) {
		for _, r := range rules {
			if f := tr.look(r.Path); f.Exists {
				out = append(out, f.Real)
			}
		}
		return out
	}
	reads, writes, deny = reals(pol.Filesystem.Read), reals(pol.Filesystem.Write), reals(pol.Filesystem.Deny)
	for _, u := range pol.Filesystem.Unprotect {
		trusted = append(trusted, path.Join(tr.look(path.Dir(u.Path)).Real, path.Base(u.Path)))
	}
	lies := func(at string, in []string) bool {
		return slices.ContainsFunc(in, func(dir string) bool { return under(at, dir) })
	}
	for at := range tr {
		g := reach(p, at)
		switch {
		case g.source == "" || strings.HasPrefix(at, "/usr") || strings.HasPrefix(at, "/etc"):
		case lies(g.source, deny):
			fail("%q is denied and visible", at)
		case g.write && !lies(g.source, writes):
			fail("%q is writable, and nobody said so", at)
		case !lies(g.source, reads) && !lies(g.source, writes):
			fail("%q is visible, and nobody said so", at)
		case g.write && tr[at].kind != "link" && !kept(p, at) && guardedPlace(p, at, writes, trusted):
			fail("%q is protected and writable", at)
		}
	}
}

// kept reports whether the mediator refuses to change a path.
func kept(p Plan, at string) bool {
	s, _ := NewJudge(p.Writes).At(at, Known{})
	return p.Seccomp.Mediate && s == Kept
}

// guardedPlace reports whether a path is, or lies in, a protected place of a writable
// folder that no rule names. Without a mediator only places directly in the folder
// count.
func guardedPlace(plan Plan, at string, writes, trusted []string) bool {
	if slices.ContainsFunc(append(trusted, writes...), func(p string) bool { return under(at, p) && strings.Contains(p, "/.") }) {
		return false
	}
	for _, w := range writes {
		if !under(at, w) || slices.ContainsFunc(writes, func(inner string) bool { return inner != w && under(inner, w) && under(at, inner) }) {
			continue
		}
		for p := at; p != w; p = path.Dir(p) {
			if isProtected(p) && (plan.Seccomp.Mediate || slices.Contains(Protected, p[len(w)+1:])) && !slices.Contains(trusted, p) {
				return true
			}
		}
	}
	return false
}

// isProtected reports whether the last elements of a path form a protected name.
func isProtected(p string) bool {
	j := NewJudge(Writes{Folders: []string{"/"}})
	s, held := j.At(p, Known{})
	return s == Kept && held.Place == p
}
