package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/policy"
)

// protect makes the protected places directly in a writable folder read-only by mounts.
// The mediator protects the deeper ones and those made later, and also these once more.
func (c *compiler) protect(r policy.Path) {
	f := c.host.Paths[r.Path]
	if !f.Exists || !f.Dir || c.own(f) {
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
}

// mediate configures the mediator. There is one if the server may write to a folder of
// the user's, could find a socket in a folder it reads, or may write to a single file:
// nothing can be made beside such a file, and the mediator reports the attempt.
func (c *compiler) mediate() {
	w := Writes{}
	for _, r := range c.pol.Filesystem.Write {
		if f := c.host.Paths[r.Path]; f.Exists && f.Dir && !c.own(f) {
			w.Folders = append(w.Folders, f.Real)
		}
	}
	w.Singles = c.singles(w.Folders)
	if len(w.Folders) == 0 && len(w.Singles) == 0 && !c.searchable() {
		return
	}
	if why := c.unmediated(); why != "" {
		c.unheld(w, why)
		return
	}
	c.plan.Layers = append(c.plan.Layers, policy.LayerMediation)
	within := func(p string) bool {
		return slices.ContainsFunc(w.Folders, func(dir string) bool { return under(p, dir) })
	}
	for _, m := range c.plan.Root {
		switch {
		case m.Kind == MountTmpfs && slices.Contains(c.privates(), m.Target), m.Kind == MountDir && m.Writable, m.Kind == MountDevice, m.Kind == MountPipe,
			m.Kind == MountBind && m.Writable && !within(m.Target):
			w.Free = append(w.Free, m.Target)
		}
		if m.Kind == MountTmpfs && m.Writable {
			w.Sockets = append(w.Sockets, m.Target)
		}
	}
	if len(w.Folders) > 0 {
		w.Except, w.Names, w.Home = c.exceptions(), c.protectedNames(), c.host.Home
		for _, h := range c.host.Leads {
			if within(h.Place) && !slices.Contains(w.Except, h.Place) {
				w.Led = append(w.Led, h)
			}
		}
	}
	slices.Sort(w.Folders)
	w.Folders = slices.Compact(w.Folders)
	c.plan.Writes = w
}

// searchable reports whether the server sees a directory of the user's in which it
// could find a socket.
func (c *compiler) searchable() bool {
	dir := func(p string) bool {
		f := c.host.Paths[p]
		return f.Exists && f.Dir && !c.systemic(f.Real)
	}
	return slices.ContainsFunc(c.pol.Filesystem.Read, func(r policy.Path) bool { return dir(r.Path) }) ||
		slices.ContainsFunc(c.prog.Needs, func(n Need) bool { return len(n.Led) > 0 && dir(n.Path) })
}

// unmediated is the reason why there is no mediator; "" if there is one.
func (c *compiler) unmediated() string {
	switch {
	case !c.requires(policy.LayerMediation):
		return "the profile or the command line does without"
	case !c.plan.Holds(policy.LayerNamespaces):
		return "there are no namespaces, in which the mediator would be"
	case !c.plan.Holds(policy.LayerSeccomp):
		return "there is no system call filter, which would ask the mediator"
	case c.host.Mediation.Is == No:
		return c.host.Mediation.Why
	}
	return ""
}

// unheld notes the protections that are missing without a mediator. With a writable
// folder that is an error, unless the profile or the command line leaves the layer out
// by name.
func (c *compiler) unheld(w Writes, why string) {
	if len(w.Folders) == 0 && !c.searchable() {
		return // the mediator would only report attempts beside single files
	}
	if len(w.Folders) == 0 {
		c.note(policy.LayerMediation, "only the sockets that the profile names", "every unix socket in a declared folder can be connected to", why)
		return
	}
	c.gap(policy.LayerMediation, "protected places in writable folders, at any depth",
		"only those that are there at the start, in the folder itself; others can be made and changed, and unix sockets connected to", why)
}

// exceptions are the places that the profile makes writable on purpose, with the
// symlinks on the way resolved.
func (c *compiler) exceptions() []string {
	out := c.trusted()
	slices.Sort(out)
	return slices.Compact(out)
}

// protectedNames are the names that the profile, the baseline and the user's git add to
// mcpen's own.
func (c *compiler) protectedNames() []string {
	var names []string
	for _, p := range c.pol.Filesystem.Protect {
		names = append(names, p.Name)
	}
	for _, n := range c.host.Named {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// place is one protected place and its fact; its folder's symlinks are resolved.
type place struct {
	path string
	fact PathFact
}

// places lists the protected places that exist directly in a writable folder. If the
// folder's name is the first element of a protected name, the rest of that name counts
// too.
func (c *compiler) places(r policy.Path, f PathFact) []place {
	var out []place
	for _, b := range f.Below {
		p := path.Join(f.Real, b)
		out = append(out, place{p, c.host.Paths[p]})
	}
	for _, tail := range tails(path.Base(f.Real)) {
		p := path.Join(f.Real, tail)
		fact := c.host.Paths[path.Join(r.Path, tail)]
		link := slices.ContainsFunc(fact.Links, func(l Link) bool { return l.Path == p })
		if fact.Exists || link {
			out = append(out, place{p, fact})
		}
	}
	return out
}

// tails returns the rests of the protected names of several elements whose first
// element is base; for an empty base, the rests of all of them.
func tails(base string) []string {
	var out []string
	for _, name := range Protected {
		if first, rest, ok := strings.Cut(name, "/"); ok && (base == "" || base == first) && !strings.Contains(rest, "*") {
			out = append(out, rest)
		}
	}
	return out
}

// hold makes one protected place read-only. A symlink cannot be a mount point: its
// target must not change, and the watch removes a replaced link.
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
		if c.writes(path.Clean(to)) && c.unmediated() != "" {
			c.problem(Problem{At: at(r.At), Text: fmt.Sprintf("cannot protect %q: it is a symlink to %q, which the server could make", p, to),
				Hint: "remove the symlink", Grant: c.roots().AllowPath("unprotect", p)})
		}
		return
	case f.Real != "":
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

// trusted lists the places that the profile makes writable on purpose: those under
// unprotect, and the declared writable folders themselves.
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

// realPlace resolves the symlinks above a place, but not the place itself: the name is
// protected.
func (c *compiler) realPlace(p string) string {
	before, rest := p, ""
	for strings.Contains(before, "*") {
		before, rest = path.Dir(before), path.Join(path.Base(before), rest)
	}
	if rest != "" {
		return path.Join(c.real(before), rest)
	}
	return path.Join(c.real(path.Dir(p)), path.Base(p))
}

func (c *compiler) unprotected(p string) bool { return slices.Contains(c.trusted(), p) }

// unprotects refuses an unprotected place that an outer protected place would still
// hold: a person who wrote the rule expects it to take effect.
func (c *compiler) unprotects() {
	for _, u := range c.pol.Filesystem.Unprotect {
		p := c.realPlace(u.Path)
		outer := c.protectedIn(path.Dir(p))
		if outer == "" {
			continue
		}
		c.problem(Problem{At: at(u.At), Text: fmt.Sprintf("cannot unprotect %q: it lies in %q, which is protected", u.Path, outer),
			Hint: "name the protected place", Grant: c.roots().AllowPath("write", u.Path).Noted("what in it is to be written")})
	}
}

// protectedIn returns the outermost protected place that is a path of a writable folder
// or holds it; "" if there is none.
func (c *compiler) protectedIn(p string) string {
	j := NewJudge(Writes{Folders: c.writable(), Names: c.protectedNames(), Except: c.trusted()})
	if s, held := j.At(p, Known{}); s == Kept {
		return held.Place
	}
	return ""
}

// writable lists the user's folders that the server may write to.
func (c *compiler) writable() []string {
	var out []string
	for _, w := range c.pol.Filesystem.Write {
		if f := c.host.Paths[w.Path]; f.Exists && f.Dir {
			out = append(out, f.Real)
		}
	}
	return out
}

// singles lists the user's single files that the server may write to. It skips a file
// in one of the folders, which the server reaches by name anyway.
func (c *compiler) singles(folders []string) []Single {
	var out []Single
	for _, r := range c.pol.Filesystem.Write {
		f := c.host.Paths[r.Path]
		switch {
		case !f.Exists || f.Dir || f.Socket || c.own(f) || under(f.Real, "/dev") || under(f.Real, "/proc"):
		case slices.ContainsFunc(folders, func(dir string) bool { return under(f.Real, dir) }):
		default:
			s := Single{File: f.Real, Folder: path.Dir(f.Real), At: at(r.At)}
			if c.refuse(fromProfile, s.Folder, true) != nil {
				s.Folder = ""
			}
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Single) int { return strings.Compare(a.File, b.File) })
	return slices.CompactFunc(out, func(a, b Single) bool { return a.File == b.File })
}

// Single returns the single file that a path names or lies beside. Because of it, the
// path cannot be created or replaced.
func (j *Judge) Single(p string) (Single, bool) {
	dir := path.Dir(p)
	i := slices.IndexFunc(j.w.Singles, func(s Single) bool { return s.File == p })
	if i < 0 {
		i = slices.IndexFunc(j.w.Singles, func(s Single) bool { return path.Dir(s.File) == dir })
	}
	if i < 0 {
		return Single{}, false
	}
	return j.w.Singles[i], true
}
