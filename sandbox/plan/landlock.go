package plan

import (
	"fmt"
	"slices"
	"strconv"

	"mcpen/sandbox/policy"
)

// LandlockFull is the newest ABI of which a plan handles the rights. A kernel
// with a newer one is told to handle this one's.
const LandlockFull = 6

// landlock derives the second layer on files from the mounts, so that the two
// can never disagree, and says what an older ABI cannot hold.
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
	// Without namespaces the filter allows no socket that could connect.
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

// widened says what Landlock does not hold since it lies in a private file
// system: rules add up along a path. Landlock has no exception below a folder
// that may be written, and a folder of the user's that lies in /tmp can be shown
// nowhere else.
func (c *compiler) widened() {
	for _, m := range c.plan.Root {
		in := slices.IndexFunc(c.privates(), func(p string) bool { return m.Target != p && under(m.Target, p) })
		if m.Kind != MountBind || in < 0 || !m.Writable && c.writes(m.Target) {
			continue // what lies in a writable folder is for the mounts to hold anywhere
		}
		why := fmt.Sprintf("it lies in %s, where the server may write, and rules of Landlock add up", c.privates()[in])
		if m.Writable && !c.mediated(m) {
			c.note(policy.LayerLandlock, fmt.Sprintf("%q without new sockets and fifos", m.Target), "they can be made", why)
		} else {
			c.note(policy.LayerLandlock, fmt.Sprintf("%q read-only by Landlock", m.Target), "by the mounts only", why)
		}
	}
}

// landlockNotes says what the ABI does not hold. With namespaces each of these
// is held by them; without, what is needed is an error.
func (c *compiler) landlockNotes(abi int) {
	held := c.plan.Holds(policy.LayerNamespaces)
	for _, f := range []struct {
		abi    int
		what   string
		needed bool // without namespaces
	}{
		{2, "renaming and linking across folders", false},
		{3, "truncating", true},
		{4, "TCP ports", false}, // the filter allows no socket at all then
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

// mediated reports whether a mount is a folder in which the mediator makes the
// changes: for the server itself it is read-only.
func (c *compiler) mediated(m Mount) bool {
	return c.plan.Holds(policy.LayerMediation) &&
		slices.ContainsFunc(c.plan.Writes.Folders, func(dir string) bool { return under(m.Target, dir) })
}

// access is what Landlock grants on a mount.
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
		return AccessRead // where a socket is, which pid 1 made before
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
