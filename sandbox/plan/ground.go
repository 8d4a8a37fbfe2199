package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/policy"
)

// made returns the innermost ground that holds the symlink: a folder in which somebody
// untrusted could have made it.
func (c *compiler) made(l Link) (Ground, bool) {
	var in Ground
	for _, g := range c.host.Grounds {
		if l.Path != g.Dir && under(l.Path, g.Dir) && len(g.Dir) > len(in.Dir) {
			in = g
		}
	}
	return in, in.Dir != ""
}

// out is the first symlink by which a path leaves the folder in which somebody
// untrusted could have made it.
func (c *compiler) out(f PathFact) (Link, Ground, bool) {
	for _, l := range f.Links {
		if g, ok := c.made(l); ok && !under(f.Real, g.Dir) {
			return l, g, true
		}
	}
	return Link{}, Ground{}, false
}

// led reports whether a path of the profile leaves a folder by a symlink that a server
// or a repository could have made there, to a place that no honest rule gives. It
// records the problem.
func (c *compiler) led(from origin, r policy.Path, f PathFact, writable bool) bool {
	l, g, out := c.out(f)
	if from != fromProfile || !out || !writable && (c.systemic(f.Real) || c.honest(f.Real, c.pol.Filesystem.Read)) || c.honest(f.Real, c.pol.Filesystem.Write) {
		return false
	}
	c.problem(c.leads(at(r.At), "give", r.Path, f.Real, l, g))
	return true
}

// leaves is led for the paths that a program needs because of symlinks.
func (c *compiler) leaves(links []Link, n Need, f PathFact) bool {
	l, g, out := c.out(PathFact{Links: links, Real: f.Real})
	if !out || c.honest(f.Real, c.pol.Filesystem.Read) || c.honest(f.Real, c.pol.Filesystem.Write) {
		return false
	}
	c.problem(Problem{Refused: true, Text: fmt.Sprintf("cannot run %q: it needs %q because of the symlink %q, which %s could have made", c.prog.Path, f.Real, l.Path, g.Who),
		Grant: c.roots().AllowPath("read", f.Real).Noted("if the server may have it")})
	return true
}

// secretFile returns the file that a reference to a secret names; ok is false if it
// names none.
func secretFile(from string) (string, bool) { return strings.CutPrefix(from, "file:") }

// secrets refuses a secret's file that leaves a folder by a symlink that somebody
// untrusted could have made there: they would choose the file whose content the server
// gets.
func (c *compiler) secrets() {
	for _, s := range c.pol.Env.Secret {
		file, ok := secretFile(s.From)
		if !ok {
			continue
		}
		f := c.host.Paths[file]
		l, g, out := c.out(f)
		for _, own := range f.Links {
			if !out && c.writes(own.Path) && !c.writes(f.Real) {
				l, g, out = own, Ground{Who: "the server"}, true
			}
		}
		if out {
			c.problem(c.leads(at(s.At), "fetch the secret", file, f.Real, l, g))
		}
	}
}

// leads is the problem of a path whose target somebody untrusted could have chosen.
func (c *compiler) leads(where, verb, name, real string, l Link, g Ground) Problem {
	return Problem{At: where, Refused: true, Text: fmt.Sprintf("cannot %s %q: it leads to %q by the symlink %q, which %s could have made", verb, name, real, l.Path, g.Who),
		Hint: fmt.Sprintf("name %q itself, if that is what was meant", real)}
}

// honest reports whether one of the rules gives a real path without a symlink that
// somebody untrusted could have made.
func (c *compiler) honest(real string, rules []policy.Path) bool {
	return slices.ContainsFunc(rules, func(r policy.Path) bool {
		f := c.host.Paths[r.Path]
		_, _, out := c.out(f)
		return f.Exists && !out && under(real, f.Real)
	})
}

// refuseLed refuses a denied path or a socket that leads through any symlink that
// somebody untrusted could have made: they would choose the hidden path or the socket.
func (c *compiler) refuseLed(p, verb, where string) bool {
	f := c.host.Paths[p]
	for _, l := range f.Links {
		g, ok := c.made(l)
		if !ok && c.writes(l.Path) && !c.held(l.Path) {
			g, ok = Ground{Who: "the server"}, true
		}
		if ok {
			c.problem(c.leads(where, verb, p, f.Real, l, g))
			return true
		}
	}
	return false
}

// planted reports whether a path leads through a symlink that the server could have
// made in an earlier run: the server would choose the path that the next run gives it.
// It records the problem.
func (c *compiler) planted(r policy.Path, f PathFact) bool {
	for _, l := range f.Links {
		if c.writes(l.Path) && !c.held(l.Path) {
			c.problem(Problem{At: at(r.At), Text: fmt.Sprintf("cannot give %q: it leads to %q by the symlink %q, which the server could make", r.Path, f.Real, l.Path),
				Hint: fmt.Sprintf("name %q itself, if that is what was meant", f.Real)})
			return true
		}
	}
	return false
}

// misled reports whether the server could have chosen, in an earlier run, a path that
// its program needs: a script names its interpreter, a symlink names another project.
func (c *compiler) misled(n Need) bool {
	f := c.host.Paths[n.Path]
	if !f.Exists || c.has(f.Real) || c.given(f.Real) {
		return false
	}
	for _, led := range n.Led {
		l := c.host.Paths[led].Links
		if i := slices.IndexFunc(l, func(l Link) bool { return l.Path == led }); i >= 0 && c.leaves(l[i:i+1], n, f) {
			return true
		}
	}
	for _, led := range n.Led {
		if c.writes(led) && !c.held(led) {
			c.problem(Problem{Text: fmt.Sprintf("cannot run %q: it needs %q because of %q, which the server could have written", c.prog.Path, f.Real, led),
				Grant: c.roots().AllowPath("read", f.Real).Noted("if the server may have it")})
			return true
		}
	}
	return false
}

// has reports whether the server can access a path anyway: the path is part of the
// system, or the server may write it.
func (c *compiler) has(real string) bool { return c.systemic(real) || c.writes(real) }

// given reports whether the profile or a runtime grants the path. Nobody could have
// chosen such a grant for the server.
func (c *compiler) given(real string) bool {
	over := func(p string) bool { f := c.host.Paths[p]; return f.Exists && f.Real != "" && under(real, f.Real) }
	return slices.ContainsFunc(c.pol.Filesystem.Read, func(r policy.Path) bool { return over(r.Path) }) ||
		slices.ContainsFunc(c.prog.Needs, func(n Need) bool { return len(n.Led) == 0 && over(n.Path) })
}

// held reports whether a path in a writable folder lies in a protected place. Such a
// place is read-only; if it is a symlink, the watch removes a replacement.
func (c *compiler) held(p string) bool {
	return slices.ContainsFunc(c.pol.Filesystem.Write, func(w policy.Path) bool {
		f := c.host.Paths[w.Path]
		return f.Exists && f.Dir && !c.own(f) && slices.ContainsFunc(c.places(w, f), func(held place) bool {
			return under(p, held.path) && !c.unprotected(held.path)
		})
	})
}

// fills reports whether a path is the folder that an installer fills, or lies in it.
func (c *compiler) fills(real string) bool {
	job := c.prog.Install
	return job != nil && job.Dir != "" && under(real, c.real(job.Dir))
}

// own reports whether a folder is the server's own: in its state, or the folder that an
// installer fills. Nothing in it is protected, since nothing outside runs code from it.
func (c *compiler) own(f PathFact) bool {
	own := policy.Input{State: c.real(c.host.State)}.ServerState(c.pol.Name)
	return own != "" && under(f.Real, own) || c.fills(f.Real)
}

// bounds compares the targets of the profile's paths and sockets with the targets of
// each baseline's. The policy package compared their names when it resolved the
// profile.
func (c *compiler) bounds() {
	f := c.pol.Filesystem
	for _, b := range c.pol.Bounds {
		c.within(f.Read, b.Read, c.real)
		c.within(f.Write, b.Write, c.real)
		c.within(f.Unprotect, b.Unprotect, c.realPlace)
		if b.Connect != nil {
			c.within(socketPaths(c.pol.Sockets), socketPaths(b.Connect), c.real)
		}
	}
}

// within refuses every rule that leads beyond the bounds; nil sets no bound. A bound
// allows nothing if it leaves its folder by a symlink that a server or a repository
// could have made.
func (c *compiler) within(rules, bounds []policy.Path, real func(string) string) {
	if bounds == nil {
		return
	}
	var allowed []string
	for _, b := range bounds {
		if _, _, out := c.out(c.host.Paths[b.Path]); !out {
			allowed = append(allowed, real(b.Path))
		}
	}
	for _, r := range rules {
		is := real(r.Path)
		if !slices.ContainsFunc(allowed, func(dir string) bool { return under(is, dir) }) {
			c.problem(Problem{At: at(r.At), Refused: true, Text: fmt.Sprintf("the baseline does not allow %q: it leads to %q", r.Path, is)})
		}
	}
}

// socketPaths returns the paths of sockets; for an empty list it returns an empty,
// non-nil list.
func socketPaths(sockets []policy.Socket) []policy.Path {
	out := make([]policy.Path, len(sockets))
	for i, s := range sockets {
		out[i] = policy.Path{Path: path.Clean(s.Path), At: s.At}
	}
	return out
}
