package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/policy"
)

// wider lists the ways in which plan b lets a server do more than plan a does, one
// sentence each. It knows the meaning of a plan, not how Compile computes it.
func wider(a, b Plan) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, p := range places(a, b) {
		was, is := reach(a, p), reach(b, p)
		if is.write && (!was.write || was.source != is.source) {
			say("%q (%s) can be written", p, is.source)
		} else if is.source != "" && was.source != is.source {
			say("%q (%s) can be seen", p, is.source)
		}
	}
	for _, r := range b.Landlock.Paths {
		if rank(granted(b.Landlock, r.Path)) > rank(granted(a.Landlock, r.Path)) && reach(b, r.Path).source != "" {
			say("Landlock grants %s on %q", r.Access, r.Path)
		}
	}
	for _, port := range boundaries(a.Landlock.Connect, b.Landlock.Connect, []Span{a.Landlock.Own, b.Landlock.Own}, a.Network.Ports, b.Network.Ports) {
		if b.Landlock.Connects(uint16(port)) && !a.Landlock.Connects(uint16(port)) {
			say("Landlock lets port %d through", port)
		}
		if holdsPort(b.Network.Ports, port) && !holdsPort(a.Network.Ports, port) {
			say("the egress listens on %d", port)
		}
	}
	if a.Landlock.Scoped && !b.Landlock.Scoped || a.Landlock.ABI > b.Landlock.ABI {
		say("Landlock holds less")
	}
	lists(a, b, say)
	return out
}

// lists compares everything but files.
func lists(a, b Plan, say func(string, ...any)) {
	more := func(what string, was, is []string) {
		for _, v := range is {
			if !slices.Contains(was, v) {
				say("%s: %s", what, v)
			}
		}
	}
	var hosts, sockets, env, globs, kept, names [2][]string
	for i, p := range []Plan{a, b} {
		for _, h := range p.Network.Hosts {
			hosts[i] = append(hosts[i], fmt.Sprint(h.Kind, h.Name, h.First, h.Last, h.TLS, h.Private))
		}
		for _, s := range p.Network.Sockets {
			sockets[i] = append(sockets[i], s.Path)
		}
		for _, e := range p.Process.Env {
			env[i] = append(env[i], e.Name+"="+e.Value)
		}
		for _, s := range p.Process.Secrets {
			env[i] = append(env[i], s.Name+"="+s.From)
		}
		for _, g := range p.Tools.Deny {
			globs[1-i] = append(globs[1-i], g.Pattern) // fewer denials are wider
		}
		kept[i] = append(slices.Concat(p.Writes.Except, p.Writes.Folders), p.Writes.Sockets...)
		for _, f := range p.Writes.Free {
			kept[i] = append(kept[i], "free "+f)
		}
		names[1-i] = append(names[1-i], p.Writes.Names...) // fewer names are wider
	}
	more("host", hosts[0], hosts[1])
	more("socket", sockets[0], sockets[1])
	more("variable", env[0], env[1])
	more("tool no longer denied", globs[0], globs[1])
	if a.Seccomp.Mediate && len(b.Writes.Folders) > 0 {
		more("no longer kept", kept[0], kept[1])
		more("name no longer kept", names[0], names[1])
	}
	if a.Tools.Nothing != (policy.Pos{}) && b.Tools.Nothing == (policy.Pos{}) {
		say("some tool is allowed")
	}
	if len(a.Tools.Allow) > 0 && b.Tools.Nothing == (policy.Pos{}) {
		var was, is []string
		for _, g := range a.Tools.Allow {
			was = append(was, g.Pattern)
		}
		for _, g := range b.Tools.Allow {
			is = append(is, g.Pattern)
		}
		if len(is) == 0 {
			say("every tool is allowed")
		}
		more("tool", was, is)
	}
	for _, l := range a.Limits {
		if now, ok := b.Limit(l.Name); !ok || now.Value > l.Value {
			say("limit %s: %d became %d", l.Name, l.Value, now.Value)
		}
	}
	if !b.Seccomp.On && a.Seccomp.On || a.Seccomp.Alone && !b.Seccomp.Alone || a.Seccomp.Mediate && !b.Seccomp.Mediate && len(b.Writes.Folders) > 0 {
		say("seccomp holds less")
	}
	for _, l := range a.Layers {
		if !b.Holds(l) && !(l == "mediation" && len(b.Writes.Folders) == 0) {
			say("the layer %s is gone", l)
		}
	}
}

// grant is a server's access at a path: a file of the host, or no file.
type grant struct {
	source string
	write  bool
}

// reach follows the mounts in their order: the last mount over a path decides.
func reach(p Plan, at string) grant {
	var g grant
	for _, m := range p.Root {
		if !under(at, m.Target) {
			continue
		}
		switch m.Kind {
		case MountBind:
			g = grant{path.Join(m.Source, strings.TrimPrefix(at, m.Target)), m.Writable}
		case MountCopy:
			g = grant{m.Source, false}
		case MountTmpfs, MountProc, MountMask:
			g = grant{}
		}
	}
	g.write = g.write && !kept(p, at) // nor does the mediator allow it
	return g
}

// places lists the paths at which two plans can differ: every target and source, and
// one path in each.
func places(plans ...Plan) []string {
	var out []string
	for _, p := range plans {
		for _, m := range p.Root {
			if m.Kind != MountSymlink {
				out = append(out, m.Target, path.Join(m.Target, "x"))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// granted is the widest access that Landlock grants on a path: rules add up.
func granted(l Landlock, p string) Access {
	var best Access
	for _, r := range l.Paths {
		if under(p, r.Path) && rank(r.Access) > rank(best) {
			best = r.Access
		}
	}
	return best
}

func rank(a Access) int {
	return slices.Index([]Access{"", AccessSelf, AccessRead, AccessDev, AccessWrite, AccessTmp}, a)
}

func holdsPort(spans []Span, port int) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return int(s.First) <= port && port <= int(s.Last) })
}

// boundaries are the ports at which two lists can differ.
func boundaries(lists ...[]Span) []int {
	var out []int
	for _, l := range lists {
		for _, s := range l {
			out = append(out, int(s.First)-1, int(s.First), int(s.Last), int(s.Last)+1)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
