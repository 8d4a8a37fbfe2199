package plan

import (
	"fmt"
	"slices"
	"strconv"

	"mcpen/sandbox/policy"
)

// LandlockFull is the newest ABI whose rights a plan handles. On a kernel with a newer
// ABI the plan still handles this one's.
const LandlockFull = 6

// landlock derives the Landlock rules from the mounts, so that the two layers on files
// can never disagree, and notes the protections that an older ABI lacks.
func (c *compiler) landlock() {
	if !c.plan.Holds(policy.LayerLandlock) {
		return
	}
	l := Landlock{ABI: min(c.host.Landlock, LandlockFull), Scoped: c.host.Landlock >= 6}
	if c.plan.Holds(policy.LayerNamespaces) {
		l.Paths = append(l.Paths, Rule{Path: "/", Access: AccessSelf})
	}
	for _, m := range c.plan.Root {
		if a := c.access(m); a != "" {
			l.Paths = append(l.Paths, Rule{Path: m.Target, Access: a})
		}
	}
	// Without namespaces the seccomp filter allows no socket that could connect.
	l.Anywhere = c.plan.Network.Every
	if l.ABI >= 4 && !l.Anywhere && c.plan.Holds(policy.LayerNamespaces) {
		l.Own = c.plan.Network.Ephemeral
		for _, p := range c.pol.Network.Listen {
			l.Connect = append(l.Connect, Span{p.Port, p.Port})
		}
		if len(c.plan.Network.Hosts) > 0 {
			l.Connect = append(l.Connect, Span{53, 53})
			l.Connect = append(l.Connect, c.plan.Network.Ports...)
			for _, h := range c.plan.Network.Hosts {
				if h.Kind == policy.HostLocal {
					l.Connect = append(l.Connect, Span{h.First, h.Last})
				}
			}
		}
	}
	c.plan.Landlock = l
	c.landlockNotes(l.ABI)
	c.widened()
}

// widened notes where Landlock grants more than the mounts because a folder lies in a
// private file system: rules add up along a path. Landlock cannot make an exception
// below a writable folder, and a user's folder in /tmp cannot appear under another
// path.
func (c *compiler) widened() {
	for _, m := range c.plan.Root {
		in := slices.IndexFunc(c.privates(), func(p string) bool { return m.Target != p && under(m.Target, p) })
		if m.Kind != MountBind || in < 0 || !m.Writable && c.writes(m.Target) {
			continue // in a writable folder only the mounts can hold an exception, wherever it lies
		}
		why := fmt.Sprintf("it lies in %s, where the server may write, and rules of Landlock add up", c.privates()[in])
		if m.Writable && !c.mediated(m) {
			c.note(policy.LayerLandlock, fmt.Sprintf("%q without new sockets and fifos", m.Target), "they can be made", why)
		} else {
			c.note(policy.LayerLandlock, fmt.Sprintf("%q read-only by Landlock", m.Target), "by the mounts only", why)
		}
	}
}

// landlockNotes notes the protections that the ABI lacks. Namespaces provide each of
// them; without namespaces, a needed one is an error.
func (c *compiler) landlockNotes(abi int) {
	held := c.plan.Holds(policy.LayerNamespaces)
	for _, f := range []struct {
		abi    int
		what   string
		needed bool // without namespaces
	}{
		{2, "renaming and linking across folders", false},
		{3, "truncating", true},
		{4, "TCP ports", false}, // without namespaces the filter allows no socket at all
		{5, "ioctl on devices", false},
		{6, "signals and abstract sockets", true},
	} {
		if abi >= f.abi {
			continue
		}
		if !held && f.needed {
			c.problem(Problem{Lack: policy.LayerLandlock, Text: "cannot hold " + f.what + " without namespaces: this kernel's Landlock is too old",
				Hint: "mcpen doctor"})
			continue
		}
		c.note(policy.LayerLandlock, f.what+" by Landlock", "by the other layers only", "Landlock ABI "+strconv.Itoa(abi)+" cannot")
	}
}

// mediated reports whether a mount is a folder in which the mediator makes the changes.
// The server itself sees it read-only.
func (c *compiler) mediated(m Mount) bool {
	return c.plan.Holds(policy.LayerMediation) &&
		slices.ContainsFunc(c.plan.Writes.Folders, func(dir string) bool { return under(m.Target, dir) })
}

// access is the access that Landlock grants on a mount.
func (c *compiler) access(m Mount) Access {
	switch m.Kind {
	case MountBind:
		if m.Writable && !c.mediated(m) {
			return AccessWrite
		}
		return AccessRead
	case MountTmpfs:
		if slices.Contains(c.privates(), m.Target) {
			return AccessTmp
		}
		return AccessRead // the folder of a socket, which pid 1 has already made
	case MountDir:
		if m.Writable {
			return AccessTmp
		}
		return AccessRead
	case MountProc, MountFile, MountCopy:
		return AccessRead
	case MountDevice, MountPTY, MountPipe:
		return AccessDev
	}
	return "" // a symlink or a mask grants nothing
}
