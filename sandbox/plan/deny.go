package plan

import (
	"fmt"
	"path"
	"slices"

	"mcpen/sandbox/policy"
)

// denial is one denied path, as the profile writes it and with symlinks resolved.
type denial struct {
	policy.Path
	real string
	fact PathFact
}

// holds reports whether a path lies in the denied path, by its name or by its target.
func (d denial) holds(p string) bool { return under(p, d.Path.Path) || under(p, d.real) }

// denials resolves the profile's denied paths.
func (c *compiler) denials() []denial {
	var out []denial
	for _, r := range c.pol.Filesystem.Deny {
		out = append(out, denial{r, c.real(r.Path), c.host.Paths[r.Path]})
	}
	return out
}

// refuseDenied reports whether a requested path lies in a denied one; denial wins. The
// policy has compared the names; symlinks add other names.
func (c *compiler) refuseDenied(from origin, r policy.Path, f PathFact) bool {
	ways := []string{r.Path, f.Real}
	for _, l := range f.Links {
		ways = append(ways, l.Path)
	}
	for _, d := range c.denials() {
		for _, way := range ways {
			if !d.holds(way) {
				continue
			}
			text := fmt.Sprintf("cannot give %q: it leads through %q, which is denied at %v", r.Path, way, d.At)
			if from == fromNeed {
				text = fmt.Sprintf("cannot run %q without %q, which is denied at %v", c.prog.Path, r.Path, d.At)
			}
			c.problem(Problem{At: at(r.At), Text: text})
			return true
		}
	}
	return false
}

// undeny drops the steps in denied places that nobody requested by name: parts of the
// system, protected places.
func (c *compiler) undeny() {
	denials := c.denials()
	c.steps = slices.DeleteFunc(c.steps, func(s step) bool {
		if s.from != fromSystem && s.from != fromProtected {
			return false
		}
		return slices.ContainsFunc(denials, func(d denial) bool {
			return d.holds(s.Target) || s.Kind != MountSymlink && d.holds(s.Source)
		})
	})
}

// refuseLedDenials refuses a denied path if a server or a repository could choose its
// target through a symlink.
func (c *compiler) refuseLedDenials() {
	for _, r := range c.pol.Filesystem.Deny {
		c.refuseLed(r.Path, "hide", at(r.At))
	}
}

// masks hides each denied path below every folder that shows it. A path inside a mask
// needs no mask of its own.
func (c *compiler) masks() {
	hidden := map[string]bool{}
	var out []Mount
	for _, d := range c.denials() {
		for _, m := range c.plan.Root {
			if m.Kind != MountBind || !under(d.real, m.Source) || d.real == m.Source {
				continue
			}
			target := path.Join(m.Target, d.real[len(m.Source):])
			switch {
			case !d.fact.Exists && d.fact.Err != "":
				c.problem(Problem{At: at(d.At), Text: fmt.Sprintf("cannot hide %q: %s", d.Path.Path, d.fact.Err)})
			case !d.fact.Exists && !d.Optional:
				c.problem(Problem{At: at(d.At), Text: fmt.Sprintf("cannot hide %q: it does not exist, and would be visible once it does", d.Path.Path),
					Hint: "make it", Grant: c.roots().AllowOptionalPath("deny", d.Path.Path).Noted("with a question mark it may be absent, and is visible if it appears while the server runs")})
			case !d.fact.Exists:
				c.note(policy.LayerNamespaces, fmt.Sprintf("%q hidden", d.Path.Path), "visible if it appears while the server runs",
					"it does not exist, and nothing is left in its place")
			case !hidden[target]:
				hidden[target] = true
				out = append(out, Mount{Kind: MountMask, Target: target, Dir: d.fact.Dir, Why: "denied", At: at(d.At)})
			}
		}
	}
	out = slices.DeleteFunc(out, func(m Mount) bool {
		for dir := path.Dir(m.Target); dir != "/"; dir = path.Dir(dir) {
			if hidden[dir] {
				return true
			}
		}
		return false
	})
	slices.SortStableFunc(out, inOrder)
	for _, m := range out {
		c.pin(m)
	}
	c.plan.Root = append(c.plan.Root, out...)
}

// pin keeps the folders above a denied path from being renamed, since the next run
// looks for the path by its old name. A mount point cannot be renamed or removed
// (EBUSY, rename(2)).
func (c *compiler) pin(denied Mount) {
	for dir := path.Dir(denied.Target); dir != "/"; dir = path.Dir(dir) {
		ground, ok := c.ground(dir)
		if !ok || !ground.Writable {
			continue
		}
		c.plan.Root = append(c.plan.Root, Mount{Kind: MountBind, Source: path.Join(ground.Source, dir[len(ground.Target):]), Target: dir,
			Writable: true, Exec: ground.Exec, Dir: true, Why: "what is denied lies in it", At: denied.At})
		slices.SortStableFunc(c.plan.Root, inOrder)
	}
}

// ground is the bind mount that holds a path. It is false if the path is a mount
// itself.
func (c *compiler) ground(p string) (Mount, bool) {
	var ground Mount
	found := false
	for _, m := range c.plan.Root {
		if m.Target == p {
			return Mount{}, false
		}
		if m.Kind == MountBind && under(p, m.Target) && (!found || len(m.Target) > len(ground.Target)) {
			ground, found = m, true
		}
	}
	return ground, found
}
