package plan

import (
	"fmt"
	"path"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

const layerNamespaces = policy.LayerNamespaces

// origin says who wants a step. If two steps have the same target, settle decides by
// origin.
type origin int

// The origins.
const (
	fromUs        origin = iota // mcpen's own: private file systems, devices, a synthetic /etc
	fromSystem                  // the host's programs and libraries
	fromNeed                    // a path without which the program cannot run
	fromProfile                 // declared
	fromProtected               // held read-only in a writable folder
	fromDesk                    // a file or folder that a trial shows instead of the host's
	fromSocket                  // a folder for sockets that the egress serves
)

// step is a mount on its way into the plan.
type step struct {
	Mount
	from origin
}

func (c *compiler) add(from origin, m Mount) { c.steps = append(c.steps, step{m, from}) }

// root computes the mounts that make the server's root.
func (c *compiler) root() {
	held := c.plan.Holds(layerNamespaces)
	if held {
		c.customary()
		c.etc()
	} else {
		c.devices()
		c.scratch()
	}
	c.system()
	for _, n := range c.prog.Needs {
		if !c.misled(n) {
			c.bind(fromNeed, policy.Path{Path: n.Path}, false, n.Why)
		}
	}
	for _, r := range c.pol.Filesystem.Read {
		c.bind(fromProfile, r, false, "declared")
	}
	for _, r := range c.pol.Filesystem.Write {
		c.bind(fromProfile, r, true, "declared")
		c.protect(r)
	}
	c.unprotects()
	c.desk()
	if held {
		c.sockets()
		c.settle()
	} else {
		c.open()
	}
	c.runnable()
}

// bind makes a path of the host visible under its own name. It makes the symlinks on
// the way again inside, so that the declared name works, and mounts their target.
func (c *compiler) bind(from origin, r policy.Path, writable bool, why string) {
	p, where := r.Path, at(r.At)
	f, ok := c.host.Paths[p]
	if !f.Exists && r.Optional {
		return
	}
	if !f.Exists {
		c.problem(absent(c.roots(), p, where, writable, ok, f))
		return
	}
	if f.Socket {
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot give the socket %q as a file: a read-only mount does not stop a connection", p),
			Grant: c.roots().AllowSocket(p)})
		return
	}
	if c.plan.Holds(layerNamespaces) && (under(p, c.home()) || under(f.Real, c.home())) {
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot give %q: the server's private home is at %q", p, c.home())})
		return
	}
	if err := c.refuse(from, f.Real, writable); err != nil {
		text := err.Error()
		if p != f.Real {
			text = fmt.Sprintf("%q leads to %q: %s", p, f.Real, text)
		}
		hint := "name the folders below it that the server needs"
		if from == fromNeed {
			hint = "install the program in a folder of its own"
		}
		c.problem(Problem{At: where, Text: text, Hint: hint})
		return
	}
	if c.refuseDenied(from, r, f) {
		return
	}
	if from == fromProfile && (writable || !c.has(f.Real)) && c.planted(r, f) || c.led(from, r, f, writable) {
		return
	}
	for _, l := range f.Links {
		if !c.systemic(l.Path) {
			c.add(from, Mount{Kind: MountSymlink, Target: l.Path, Source: l.Text, Why: why, At: where})
		}
	}
	if !writable && c.systemic(f.Real) {
		return // already mounted
	}
	c.add(from, Mount{Kind: MountBind, Source: f.Real, Target: f.Real, Dir: f.Dir, Writable: writable, Exec: true, Why: why, At: where})
}

// absent is the problem of a path that does not exist or that the probe could not
// examine.
func absent(r audit.Roots, p, where string, writable, asked bool, f PathFact) Problem {
	switch {
	case !asked:
		return Problem{At: where, Text: fmt.Sprintf("internal error: nobody looked at %q", p)}
	case f.Err != "":
		return Problem{At: where, Text: fmt.Sprintf("cannot use %q: %s", p, f.Err)}
	case where == "": // a need
		return Problem{Text: fmt.Sprintf("cannot use %q: it does not exist", p), Hint: "install the program anew"}
	case writable:
		return Problem{At: where, Text: fmt.Sprintf("cannot use %q: it does not exist", p), Hint: audit.Command("mkdir", "-p", p)}
	}
	return Problem{At: where, Text: fmt.Sprintf("cannot use %q: it does not exist", p),
		Grant: r.AllowOptionalPath("read", p).Noted("with a question mark it may be absent")}
}

// refuse returns the reason why the plan must not grant a path, whose symlinks are all
// resolved. The policy package judged the names; a project makes its own symlinks and
// so may choose where a name leads.
func (c *compiler) refuse(from origin, p string, writable bool) error {
	h := c.host
	login := policy.Dirs{Home: c.real(h.Login.Home), State: c.real(h.Login.State), Config: c.real(h.Login.Config)}
	names := policy.Input{Home: h.Home, State: h.State, Config: h.Config, Login: h.Login}
	reals := policy.Input{Home: c.real(h.Home), State: c.real(h.State), Config: c.real(h.Config), Login: login}
	if c.fills(p) {
		names.State, names.Login.State, reals.State, reals.Login.State = "", "", "", ""
	}
	if from == fromNeed && !writable && h.State != "" && under(p, path.Join(reals.State, "store")) && p != path.Join(reals.State, "store") {
		return nil // a package tree, locked by its hash
	}
	for _, in := range []policy.Input{names, reals} {
		if err := in.Refuse(c.pol.Name, p, writable); err != nil {
			return err
		}
	}
	for _, dir := range []string{h.Runtime, c.real(h.Runtime)} {
		if dir != "" && (under(p, dir) || under(dir, p)) {
			return fmt.Errorf("cannot give %q: mcpen keeps its own files in %q", p, dir)
		}
	}
	if c.plan.Holds(layerNamespaces) {
		if p == "/dev/shm" {
			return fmt.Errorf("cannot give %q: the server has one of its own", p)
		}
		if under(c.home(), p) {
			return fmt.Errorf("cannot give %q: the server's private home is at %q", p, c.home())
		}
	}
	return nil
}

// real resolves every symlink of a path, as far as the path exists.
func (c *compiler) real(p string) string {
	if !path.IsAbs(p) {
		return ""
	}
	p = path.Clean(p)
	for dir, rest := p, ""; dir != "/"; dir = path.Dir(dir) {
		if f := c.host.Paths[dir]; f.Exists {
			return path.Join(f.Real, rest)
		}
		rest = path.Join(path.Base(dir), rest)
	}
	return p
}

// sockets makes the folders in which the egress creates the sockets it serves.
func (c *compiler) sockets() {
	for _, s := range c.pol.Sockets {
		where := at(s.At)
		dir := c.real(path.Dir(s.Path))
		if dir == "/" || dir == "/dev" || dir == "/etc" || under(dir, "/proc") || under(dir, c.home()) {
			c.problem(Problem{At: where, Text: fmt.Sprintf("cannot join the socket %q: the server has a %s of its own", s.Path, dir)})
			continue
		}
		for _, l := range c.host.Paths[path.Dir(s.Path)].Links {
			c.add(fromSocket, Mount{Kind: MountSymlink, Target: l.Path, Source: l.Text, Why: "the way to a socket", At: where})
		}
		// Writable, because pid 1 makes the socket after all mounts.
		c.add(fromSocket, Mount{Kind: MountTmpfs, Target: dir, Bytes: 64 << 10, Inodes: 16, Mode: 0o755, Writable: true,
			Why: "a socket that mcpen joins to the host's", At: where})
	}
}

// runnable checks that the program is visible inside.
func (c *compiler) runnable() {
	f := c.host.Paths[c.prog.Path]
	if !f.Exists || len(c.problems) > 0 {
		return // execve reports it, or the problems already give the reason
	}
	if !c.visible(f.Real) {
		c.problem(Problem{Text: fmt.Sprintf("cannot run %q: nothing that the server can see holds it", c.prog.Path),
			Grant: c.roots().AllowPath("read", path.Dir(f.Real))})
	}
}

// visible reports whether a path without symlinks exists inside.
func (c *compiler) visible(p string) bool {
	seen := false
	for _, m := range c.plan.Root {
		switch m.Kind {
		case MountBind:
			seen = seen || under(p, m.Target)
		case MountTmpfs, MountDir:
			seen = seen || p == m.Target
		case MountFile, MountCopy, MountDevice, MountPipe:
			seen = seen || p == m.Target
		case MountMask:
			if under(p, m.Target) {
				return false
			}
		}
	}
	return seen
}

func depth(p string) int { return strings.Count(p, "/") }
