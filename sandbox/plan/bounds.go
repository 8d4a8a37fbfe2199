package plan

import (
	"fmt"
	"path"
	"slices"

	"mcpen/sandbox/policy"
)

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
