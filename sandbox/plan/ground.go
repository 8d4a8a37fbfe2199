package plan

import (
	"fmt"
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

// SecretFile returns the file that a reference to a secret names; ok is false if it
// names none.
func SecretFile(from string) (string, bool) { return strings.CutPrefix(from, "file:") }

// secrets refuses a secret's file that leaves a folder by a symlink that somebody
// untrusted could have made there: they would choose the file whose content the server
// gets.
func (c *compiler) secrets() {
	for _, s := range c.pol.Env.Secret {
		file, ok := SecretFile(s.From)
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
