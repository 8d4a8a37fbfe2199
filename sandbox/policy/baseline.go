package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// narrow applies a baseline to a resolved policy. A setting that the baseline leaves
// out stays as it is. For the others:
//
//   - a list that allows (paths, hosts, sockets, variables, install.scripts,
//     install.build, layers to go without, and tools, prompts, resources) is a bound:
//     exceeding it is a mistake, and an empty list allows nothing;
//   - a list that denies is added;
//   - network.proxy is the proxy to use, and a different one is a mistake;
//   - the tighter limit, the stricter mode, the longer min-age holds;
//   - required layers are added, and going without one of them is a mistake.
//
// Ports of the sandbox's own loopback (network.listen) reach nothing outside and are
// not bounded.
//
// A baseline has no server and no parameters, and sets no variable. In it, "${state}"
// is the state of the server at hand, and "${workspace}" the folder in which mcpen was
// started; no option moves it. If either is unknown, a bound with it allows nothing.
//
// narrow compares paths by name. Whoever follows symlinks compares their targets; the
// policy carries the bounds for that.
func (r *resolver) narrow(p *Profile, out *Policy, baseline *Profile) {
	base := &resolver{ledger: r.ledger, in: r.in, name: r.name, bounds: true}
	base.in.Pass, base.in.Secrets = nil, nil
	base.in.Params, base.in.Baselines, base.in.Without, base.in.Workspace = nil, nil, nil, r.in.Start
	bb := baseline.body
	r.refuseInBaseline(baseline)
	bounds := base.resolve(baseline)
	out.Sources = append(out.Sources, bounds.Sources...)
	if bb.read.set || bb.write.set || bb.unprotect.set || bb.connect.set {
		out.Bounds = append(out.Bounds, boundsOf(bounds, bb))
	}

	r.narrowPaths(out, bounds, bb)
	r.narrowNetwork(out, bounds, bb)
	r.narrowProxy(p, out, bounds, bb)
	r.narrowEnv(out, bounds, bb)
	out.Filesystem.Deny = addPaths(out.Filesystem.Deny, bounds.Filesystem.Deny)
	out.Filesystem.Unprotect = without(r, out.Filesystem.Unprotect, bounds.Filesystem.Unprotect, bb.unprotect.set)
	out.Filesystem.Protect = append(out.Filesystem.Protect, bounds.Filesystem.Protect...)
	r.narrowFilter("tools", &out.Tools.Filter, bounds.Tools.Filter, p.body.tools.allow.set)
	r.narrowFilter("prompts", &out.Prompts, bounds.Prompts, p.body.prompts.allow.set)
	r.narrowFilter("resources", &out.Resources, bounds.Resources, p.body.resources.allow.set)
	narrowTools(&out.Tools, bounds.Tools, bb)
	r.narrowExcept(&out.Tools, bounds.Tools, bb)
	out.Client.narrow(bounds.Client)
	narrowLimits(&out.Limits, bb)
	r.narrowRest(p, out, bounds, bb)
}

// boundsOf returns a baseline's lists of paths and sockets. A list that the baseline
// has is not nil, even if it is empty.
func boundsOf(bounds Policy, b body) Bounds {
	var out Bounds
	f := bounds.Filesystem
	if b.read.set {
		out.Read = append(append([]Path{}, f.Read...), f.Write...)
	}
	if b.write.set {
		out.Write = append([]Path{}, f.Write...)
	}
	if b.unprotect.set {
		out.Unprotect = append([]Path{}, f.Unprotect...)
	}
	if b.connect.set {
		out.Connect = append([]Socket{}, bounds.Sockets...)
	}
	return out
}

const beyond = "the baseline does not allow %s"

func (r *resolver) refuseInBaseline(baseline *Profile) {
	b := baseline.body
	for _, k := range []struct {
		set bool
		at  Pos
		key string
	}{
		{b.command.set, b.command.at, "server.command"},
		{b.pkg.set, b.pkg.at, "server.package"},
		{b.args.set, b.args.at, "server.args"},
		{b.dir.set, b.dir.at, "server.dir"},
		{b.envTables[envSet] != Pos{}, b.envTables[envSet], "env.set"},
	} {
		if k.set {
			r.add(k.at, k.key, "", "a baseline only bounds what profiles say, and cannot say this itself")
		}
	}
	for _, p := range baseline.Params {
		r.add(p.At, "params."+p.Name, "", "a baseline has no parameters")
	}
}

func (r *resolver) narrowPaths(out *Policy, bounds Policy, b body) {
	writable := ancestors(bounds.Filesystem.Write)
	readable := ancestors(append(slices.Clone(bounds.Filesystem.Read), bounds.Filesystem.Write...))
	denied := ancestors(bounds.Filesystem.Deny)
	check := func(key string, rules []Path, bound bool, allowed pathSet) {
		for _, p := range rules {
			_, ok := allowed.over(p.Path)
			if _, no := denied.over(p.Path); no || bound && !ok {
				r.add(p.At, key, "", beyond, quote(p.Path))
			}
		}
	}
	check("filesystem.read", out.Filesystem.Read, b.read.set, readable)
	check("filesystem.write", out.Filesystem.Write, b.write.set, writable)
}

// addPaths adds a baseline's denied paths. A path is optional only if both the baseline
// and the profile say so.
func addPaths(paths, more []Path) []Path {
	out := slices.Clone(paths)
	for _, p := range more {
		if i := slices.IndexFunc(out, func(have Path) bool { return have.Path == p.Path }); i >= 0 {
			out[i].Optional = out[i].Optional && p.Optional
		} else {
			out = append(out, p)
		}
	}
	return out
}

// without reports unprotected places that the baseline's own list does not cover.
func without(r *resolver, paths, allowed []Path, bound bool) []Path {
	set := ancestors(allowed)
	for _, p := range paths {
		if _, ok := set.over(p.Path); bound && !ok {
			r.add(p.At, "filesystem.unprotect", "", beyond, quote(p.Path))
		}
	}
	return paths
}

// maxPairs bounds the comparisons of hosts and patterns, which are pairwise.
const maxPairs = 1 << 20

func (r *resolver) narrowNetwork(out *Policy, bounds Policy, b body) {
	if b.allow.set {
		if len(out.Network.Allow)*len(bounds.Network.Allow) > maxPairs {
			r.add(b.allow.at, "network.allow", "", "is too long to compare")
			return
		}
		for _, h := range out.Network.Allow {
			if !slices.ContainsFunc(bounds.Network.Allow, func(b Host) bool { return b.covers(h) }) {
				r.add(h.At, "network.allow", "", beyond, quote(h.String()))
			}
		}
	}
	if b.connect.set {
		allowed := make(map[string]bool)
		for _, s := range bounds.Sockets {
			allowed[s.Path] = true
		}
		for _, s := range out.Sockets {
			if !allowed[s.Path] {
				r.add(s.At, "sockets.connect", "", beyond, quote(s.Path))
			}
		}
	}
}

// covers reports whether h allows everything that o allows.
func (h Host) covers(o Host) bool {
	if o.First < h.First || o.Last > h.Last || o.Private && !h.Private {
		return false
	}
	for p := int(o.First); p <= int(o.Last); p++ {
		if o.strictness(uint16(p)) < h.strictness(uint16(p)) {
			return false
		}
	}
	named := o.Kind == HostName || o.Kind == HostWildcard
	switch h.Kind {
	case HostName, HostLocal:
		return o.Kind == h.Kind && o.Name == h.Name
	case HostWildcard:
		return named && strings.HasSuffix(o.Name, "."+h.Name) || o.Kind == HostWildcard && o.Name == h.Name
	case HostCIDR:
		outer, err := netip.ParsePrefix(h.Name)
		inner, err2 := netip.ParsePrefix(o.Name)
		return o.Kind == HostCIDR && err == nil && err2 == nil && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
	}
	return false
}

func (r *resolver) narrowEnv(out *Policy, bounds Policy, b body) {
	pass, secret := make(map[string]bool), make(map[string]string)
	for _, v := range bounds.Env.Pass {
		pass[v.Name] = true
	}
	for _, v := range bounds.Env.Secret {
		secret[v.Name] = strings.TrimPrefix(v.From, "?")
	}
	if _, bound := b.envTables[envPass]; bound {
		for _, v := range out.Env.Pass {
			if !pass[v.Name] {
				r.add(v.At, "env.pass", "", beyond, quote(v.Name))
			}
		}
	}
	if _, bound := b.envTables[envSecret]; bound {
		for _, v := range out.Env.Secret {
			if secret[v.Name] != strings.TrimPrefix(v.From, "?") {
				r.add(v.At, "env.secret."+v.Name, "", "the baseline does not allow this variable from this secret")
			}
		}
	}
}

// narrowFilter takes over the baseline's allow list if the profile has none. Otherwise
// the baseline's patterns must cover each of the profile's. If the list comes from
// another baseline, the patterns that both allow remain.
func (r *resolver) narrowFilter(key string, f *Filter, bound Filter, own bool) {
	for _, d := range bound.Deny {
		if !slices.ContainsFunc(f.Deny, func(g Glob) bool { return g.Pattern == d.Pattern }) {
			f.Deny = append(f.Deny, d)
		}
	}
	switch {
	case f.Nothing != (Pos{}) || len(bound.Allow) == 0 && bound.Nothing == (Pos{}):
	case bound.Nothing != (Pos{}) && !own:
		f.Allow, f.Nothing = nil, bound.Nothing
	case len(f.Allow) == 0:
		f.Allow, f.Nothing = bound.Allow, bound.Nothing
	case len(f.Allow)*len(bound.Allow) > maxPairs:
		r.add(f.Allow[0].At, key+".allow", "", "is too long to compare")
	case !own:
		first := f.Allow[0]
		if f.Allow = covered(f.Allow, bound.Allow); len(f.Allow) == 0 {
			f.Nothing = first.At
		}
	default:
		for _, g := range f.Allow {
			if !slices.ContainsFunc(bound.Allow, func(b Glob) bool { return b.covers(g) }) {
				r.add(g.At, key+".allow", "", beyond, quote(g.Pattern))
			}
		}
	}
}

// covered lists the patterns of each list that a pattern of the other covers, each
// once.
func covered(a, b []Glob) []Glob {
	var out []Glob
	for _, pair := range [][2][]Glob{{a, b}, {b, a}} {
		for _, g := range pair[0] {
			same := func(o Glob) bool { return o.Pattern == g.Pattern }
			if slices.ContainsFunc(pair[1], func(o Glob) bool { return o.covers(g) }) && !slices.ContainsFunc(out, same) {
				out = append(out, g)
			}
		}
	}
	return out
}

// covers reports whether g matches every name that o matches. It may miss a coverage:
// o's "*" must meet a "*" of g, and o's "?" a "?" or a "*".
func (g Glob) covers(o Glob) bool {
	p, s := g.Pattern, o.Pattern
	star, from := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == s[j] || p[i] == '?') && s[j] != '*':
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(p[i:], "*") == ""
}

// The modes from lax to strict.
var (
	pinOrder     = []PinMode{PinOff, PinWarn, PinFirstUse, PinEnforce}
	findingOrder = []FindingMode{FindingWarn, FindingHold}
	textOrder    = []TextMode{TextPass, TextShow, TextStrip}
)

func stricter[T comparable](dst *T, bound opt[T], order []T) {
	if bound.set && slices.Index(order, bound.v) > slices.Index(order, *dst) {
		*dst = bound.v
	}
}

func narrowTools(t *Tools, bounds Tools, b body) {
	stricter(&t.Pins, b.pins, pinOrder)
	stricter(&t.Findings, b.findings, findingOrder)
	stricter(&t.Results, b.results, textOrder)
	t.Validate = t.Validate || bounds.Validate
	at := make(map[string]int, len(t.Rules))
	for i, r := range t.Rules {
		at[r.Tool] = i
	}
	for _, bound := range bounds.Rules {
		if i, ok := at[bound.Tool]; ok {
			t.Rules[i] = both(t.Rules[i], bound)
		} else {
			t.Rules = append(t.Rules, bound)
		}
	}
}

// both combines two rules for one tool into a rule that enforces both.
func both(a, b ToolRule) ToolRule {
	a.PerMinute = tighter(a.PerMinute, b.PerMinute)
	a.Concurrent = tighter(a.Concurrent, b.Concurrent)
	switch {
	case a.Schema == nil:
		a.Schema = b.Schema
	case b.Schema != nil:
		a.Schema = map[string]any{"allOf": []any{a.Schema, b.Schema}}
	}
	return a
}

// tighter returns the smaller of two limits; zero means no limit.
func tighter[T cmp.Ordered](a, b T) T {
	var none T
	if a == none || b == none {
		return max(a, b)
	}
	return min(a, b)
}

func narrowLimits(l *Limits, b body) {
	l.Memory = bounded(l.Memory, b.memory)
	l.Processes = bounded(l.Processes, b.processes)
	l.OpenFiles = bounded(l.OpenFiles, b.openFiles)
	l.FileSize = bounded(l.FileSize, b.fileSize)
	l.CPU = bounded(l.CPU, b.cpu)
	l.CPUTime = bounded(l.CPUTime, b.cpuTime)
	l.Tmp = bounded(l.Tmp, b.tmp)
	l.TmpFiles = bounded(l.TmpFiles, b.tmpFiles)
	l.Connections = bounded(l.Connections, b.connections)
	l.PerSecond = bounded(l.PerSecond, b.perSecond)
}

func bounded[T cmp.Ordered](have T, bound opt[T]) T {
	if !bound.set {
		return have
	}
	return tighter(have, bound.v)
}

// narrowRest narrows the remaining tables: wire, log, install, require.
func (r *resolver) narrowRest(p *Profile, out *Policy, bounds Policy, b body) {
	out.Wire.MaxLine = bounded(out.Wire.MaxLine, b.maxLine)
	out.Log.Files = out.Log.Files || bounds.Log.Files
	if b.finish.set {
		out.Wire.Finish = min(out.Wire.Finish, b.finish.v)
	}
	if b.grace.set {
		out.Wire.Grace = min(out.Wire.Grace, b.grace.v)
		out.Wire.Rush = min(out.Wire.Rush, b.grace.v)
	}
	if b.pty.set && !b.pty.v && out.Process.PTY {
		r.add(p.body.pty.at, p.body.pty.key, "", beyond, "terminals")
	}
	if b.arguments.set && !b.arguments.v && out.Log.Arguments {
		r.add(p.body.arguments.at, p.body.arguments.key, "", beyond, "tool arguments in the log")
	}
	if b.onError.v == OnErrorStop {
		out.Log.OnError = OnErrorStop
	}
	if b.minAge.set {
		out.Install.MinAge = max(out.Install.MinAge, b.minAge.v)
	}
	if b.scripts.set {
		for _, w := range p.body.scripts.items {
			if !slices.Contains(bounds.Install.Scripts, w.text) {
				r.add(w.at, w.key, "", beyond, "scripts of "+quote(w.text))
			}
		}
	}
	if b.build.set {
		for _, w := range p.body.build.items {
			if !slices.Contains(bounds.Install.Build, w.text) {
				r.add(w.at, w.key, "", beyond, "a build of "+quote(w.text))
			}
		}
	}
	r.narrowRequire(&out.Require, b)
}

// narrowRequire refuses to go without a layer that the baseline requires, or that its
// list of layers to go without leaves out.
func (r *resolver) narrowRequire(req *Require, b body) {
	for _, w := range req.Without {
		is := func(o opt[Layer]) bool { return o.v == w.Layer }
		if slices.ContainsFunc(b.layers.items, is) || b.without.set && !slices.ContainsFunc(b.without.items, is) {
			key := "require.without"
			if w.At == (Pos{}) {
				key = "--without"
			}
			r.add(w.At, key, "", beyond, "going without "+quote(string(w.Layer)))
		}
	}
	for _, l := range b.layers.items {
		if !slices.ContainsFunc(req.Without, func(w Without) bool { return w.Layer == l.v }) {
			req.need(l.v)
		}
	}
}

// narrowExcept checks the definitions that may vary against a baseline: a baseline that
// sets the pin mode also decides which definitions are exempt.
func (r *resolver) narrowExcept(t *Tools, bounds Tools, b body) {
	holds := b.pins.set && b.pins.v != PinOff && b.pins.v != PinWarn
	if !holds && !b.except.set {
		return
	}
	for _, g := range t.Except {
		if !slices.ContainsFunc(bounds.Except, func(b Glob) bool { return b.covers(g) }) {
			r.add(g.At, "tools.pins-except", "", beyond, "that "+quote(g.Pattern)+" varies")
		}
	}
}
