package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"mcpen/sandbox/audit"
)

// settle orders the steps into mounts so that each mount's parent comes first. It drops
// a step that another mount already covers, chooses between two steps with one target,
// and refuses an impossible mount: libcontainer makes mount points only in a private
// file system or the skeleton, never in a folder of the host.
func (c *compiler) settle() {
	c.refuseLedDenials()
	c.undeny()
	c.varTmp()
	slices.SortStableFunc(c.steps, func(a, b step) int { return inOrder(a.Mount, b.Mount) })
	var kept []step
	for _, s := range c.steps {
		if n := len(kept); n > 0 && kept[n-1].Target == s.Target {
			kept[n-1] = c.merge(kept[n-1], s)
			continue
		}
		kept = append(kept, s)
	}
	grounds := map[string]step{}
	for _, s := range kept {
		ground, ok := nearest(grounds, s.Target)
		if ok && !c.stands(s, ground) {
			continue
		}
		switch s.Kind {
		case MountBind, MountTmpfs, MountProc, MountPTY:
			grounds[s.Target] = s
		}
		c.plan.Root = append(c.plan.Root, s.Mount)
	}
	c.masks()
}

// inOrder compares two mounts: parents first, then by name.
func inOrder(a, b Mount) int {
	return cmp.Or(cmp.Compare(depth(a.Target), depth(b.Target)), cmp.Compare(a.Target, b.Target))
}

// merge chooses between two steps with the same target.
func (c *compiler) merge(a, b step) step {
	if a.from > b.from {
		a, b = b, a
	}
	switch {
	case a.Kind == MountBind && b.Kind == MountBind && b.from == fromProtected:
		return b
	case a.Kind == MountBind && b.Kind == MountBind:
		if a.Writable && !b.Writable {
			return a
		}
		return b // both were requested: the wider of two rights on one path
	case a.Kind == MountDevice || a.Kind == MountPipe || a.Kind == MountProc || a.Kind == MountPTY || b.Kind == MountSymlink:
		return a
	case a.from == fromUs && a.Kind == MountTmpfs && b.Kind == MountTmpfs:
		return a // the socket goes into the private file system
	case b.Kind == MountBind && a.Kind != MountTmpfs, b.Kind == MountTmpfs && (a.Kind == MountDir || a.Kind == MountTmpfs):
		return b
	}
	c.problem(Problem{At: b.At, Text: fmt.Sprintf("cannot put two things at %q: %s, and %s", b.Target, a.Why, b.Why), Hint: elsewhere(b, a)})
	return a
}

// nearest is the mount that holds a path.
func nearest(grounds map[string]step, p string) (step, bool) {
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if g, ok := grounds[dir]; ok {
			return g, true
		}
	}
	return step{}, false
}

// stands reports whether a step is still needed, and possible, in the mount that holds
// it.
func (c *compiler) stands(s, ground step) bool {
	switch {
	case ground.Kind == MountTmpfs, s.from == fromDesk:
		return true
	case ground.Kind == MountBind && s.Kind == MountBind && s.Source == path.Join(ground.Source, s.Target[len(ground.Target):]):
		return s.Writable != ground.Writable // the host has the mount point; the same right again has no effect
	case ground.Kind == MountBind && s.Kind != MountBind && s.from != fromSocket:
		return false // the host's own file is visible
	}
	c.problem(Problem{At: s.At, Text: fmt.Sprintf("cannot put %q (%s) into %q (%s)", s.Target, s.Why, ground.Target, ground.Why), Hint: elsewhere(s, ground)})
	return false
}

// elsewhere is the hint for a socket's folder that meets a declared one.
func elsewhere(s, ground step) string {
	if s.from == fromSocket && ground.from == fromProfile {
		return "declare less than " + ground.Target + ", or have the service listen elsewhere"
	}
	return ""
}

// varTmp makes /var/tmp a folder of its own, instead of a symlink to /tmp, if something
// is declared in it: a mount point cannot lie in a symlink.
func (c *compiler) varTmp() {
	const name = "/var/tmp"
	inIt := func(s step) bool { return s.Target != name && under(s.Target, name) }
	if !slices.ContainsFunc(c.steps, inIt) {
		return
	}
	for i, s := range c.steps {
		if s.Target == name && s.Kind == MountSymlink && s.from == fromUs {
			l := c.pol.Limits
			c.steps[i].Mount = Mount{Kind: MountTmpfs, Target: name, Bytes: int64(l.Tmp), Inodes: int64(l.TmpFiles), Mode: 0o1777,
				Writable: true, Exec: true, Why: "private /var/tmp"}
		}
	}
}

// open lists the paths that a server may reach without namespaces: the host's own
// paths, for Landlock to hold. It refuses a rule that only a mount can enforce.
func (c *compiler) open() {
	for _, r := range c.pol.Filesystem.Deny {
		c.problem(Problem{At: at(r.At), Lack: layerNamespaces,
			Text: fmt.Sprintf("cannot hide %q without namespaces: Landlock has no exception below an allowed folder", r.Path)})
	}
	slices.SortStableFunc(c.steps, func(a, b step) int { return inOrder(a.Mount, b.Mount) })
	seen := map[string]int{}
	for _, s := range c.steps {
		if s.Kind == MountSymlink {
			continue // the host already has it
		}
		if !s.Writable && (s.from == fromProfile || s.from == fromProtected) && c.writes(s.Target) {
			c.readonlyInOpen(s)
			continue
		}
		if i, again := seen[s.Target]; again {
			c.plan.Root[i].Writable = c.plan.Root[i].Writable || s.Writable
			continue
		}
		seen[s.Target] = len(c.plan.Root)
		c.plan.Root = append(c.plan.Root, s.Mount)
	}
}

// readonlyInOpen refuses a path that would have to stay read-only in a writable folder.
func (c *compiler) readonlyInOpen(s step) {
	for _, w := range c.pol.Filesystem.Write {
		if s.from != fromProtected && c.host.Paths[w.Path].Real == s.Target {
			return // both were requested
		}
	}
	var grant *audit.Grant
	if s.from == fromProtected {
		grant = c.roots().AllowPath("unprotect", s.Target)
	}
	c.problem(Problem{At: s.At, Lack: layerNamespaces, Grant: grant,
		Text: fmt.Sprintf("cannot keep %q read-only without namespaces: Landlock has no exception below a writable folder", s.Target)})
}
