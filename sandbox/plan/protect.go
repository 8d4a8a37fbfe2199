package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/policy"
)

// protect makes the places in a writable folder that code outside trusts
// read-only, and has the others watched for.
func (c *compiler) protect(r policy.Path) {
	f := c.host.Paths[r.Path]
	if !f.Exists || !f.Dir {
		return
	}
	if c.own(f.Real) {
		return
	}
	if f.Err != "" {
		c.problem(Problem{At: at(r.At), Text: fmt.Sprintf("cannot protect what lies in %q: %s", r.Path, f.Err),
			Hint: "make a smaller folder writable"})
		return
	}
	for _, p := range c.places(r, f) {
		if !c.unprotected(p.path) {
			c.hold(r, p)
		}
	}
	w := Watch{Dir: f.Real}
	for _, name := range Protected {
		w.Names = append(w.Names, name)
		// "bin" in a folder ".local" is ".local/bin".
		if first, second, ok := strings.Cut(name, "/"); ok && path.Base(f.Real) == first {
			w.Names = append(w.Names, "/"+second)
		}
	}
	for _, p := range c.trusted() {
		if under(p, f.Real) && p != f.Real && (isProtected(p) || path.Dir(p) == f.Real) {
			w.Except = append(w.Except, p[len(f.Real)+1:])
		}
	}
	slices.Sort(w.Except)
	w.Except = slices.Compact(w.Except)
	c.plan.Watch = append(c.plan.Watch, w)
	c.plan.Quarantine = path.Join(c.host.State, "quarantine")
	if c.host.State == "" {
		c.plan.Quarantine = path.Join(c.host.Runtime, "quarantine")
	}
}

// place is one protected place, its folder's symlinks resolved, and what it is.
type place struct {
	path string
	fact PathFact
}

// places lists the protected places that exist in a writable folder. A name of
// two parts also stands for its second where the folder is the first.
func (c *compiler) places(r policy.Path, f PathFact) []place {
	var out []place
	for _, b := range f.Below {
		p := path.Join(f.Real, b)
		out = append(out, place{p, c.host.Paths[p]})
	}
	for _, second := range seconds(path.Base(f.Real)) {
		p := path.Join(f.Real, second)
		fact := c.host.Paths[path.Join(r.Path, second)]
		link := slices.ContainsFunc(fact.Links, func(l Link) bool { return l.Path == p })
		if fact.Exists || link {
			out = append(out, place{p, fact})
		}
	}
	return out
}

// seconds lists what is protected directly in a folder of that name by a name of
// two parts, or, for the empty name, by any.
func seconds(base string) []string {
	var out []string
	for _, name := range Protected {
		if first, second, ok := strings.Cut(name, "/"); ok && (base == "" || base == first) {
			out = append(out, second)
		}
	}
	return out
}

// hold makes one protected place read-only. A symlink cannot be mounted on: it
// is what it leads to that must not change, and an exchanged link is taken away
// by the watch.
func (c *compiler) hold(r policy.Path, held place) {
	p, f := held.path, held.fact
	m := Mount{Kind: MountBind, Source: p, Target: p, Dir: f.Dir, Exec: true, Protected: true, Why: "protected: code outside trusts it", At: at(r.At)}
	switch {
	case f.Real == "" && len(f.Links) > 0:
		last := f.Links[len(f.Links)-1]
		to := last.Text
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(last.Path), to)
		}
		if c.writes(path.Clean(to)) {
			c.problem(Problem{At: at(r.At), Text: fmt.Sprintf("cannot protect %q: it is a symlink to %q, which the server could make", p, to),
				Hint: fmt.Sprintf("remove the symlink, or\n[filesystem]\nunprotect = [%q]", p)})
		}
		return
	case f.Real != "" && f.Real != p:
		if !c.writes(f.Real) || c.unprotected(f.Real) {
			return
		}
		m.Source, m.Target = f.Real, f.Real
	}
	c.add(fromProtected, m)
}

// writes reports whether a path without symlinks lies in a writable folder.
func (c *compiler) writes(p string) bool {
	return slices.ContainsFunc(c.pol.Filesystem.Write, func(w policy.Path) bool {
		f := c.host.Paths[w.Path]
		return f.Exists && under(p, f.Real)
	})
}

// trusted lists the places that the profile makes writable on purpose: those it
// names, and the folders it declares writable themselves.
func (c *compiler) trusted() []string {
	var out []string
	for _, u := range c.pol.Filesystem.Unprotect {
		out = append(out, c.realPlace(u.Path))
	}
	for _, w := range c.pol.Filesystem.Write {
		if f := c.host.Paths[w.Path]; f.Exists {
			out = append(out, f.Real)
		}
	}
	return out
}

// realPlace is a place with the symlinks on the way to it resolved, but not
// itself: what is protected is the name.
func (c *compiler) realPlace(p string) string {
	return path.Join(c.real(path.Dir(p)), path.Base(p))
}

func (c *compiler) unprotected(p string) bool { return slices.Contains(c.trusted(), p) }

// unprotects refuses what the profile unprotects in vain: a person who wrote it
// expects it to be writable.
func (c *compiler) unprotects() {
	for _, u := range c.pol.Filesystem.Unprotect {
		if isProtected(c.realPlace(u.Path)) {
			continue
		}
		c.problem(Problem{At: at(u.At), Text: fmt.Sprintf("cannot unprotect %q: it is no protected place by itself", u.Path),
			Hint: fmt.Sprintf("name the protected place, or what in it is to be written:\nwrite = [%q]", u.Path)})
	}
}

// isProtected reports whether the last part of a path, or its last two, are a
// protected name.
func isProtected(p string) bool {
	return slices.ContainsFunc(Protected, func(name string) bool { return strings.HasSuffix(p, "/"+name) })
}
