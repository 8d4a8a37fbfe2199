package plan

import (
	"fmt"
	"slices"

	"mcpen/sandbox/policy"
)

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
