package plan

import (
	"path"
	"slices"
	"strings"
)

// Single is one file that a rule of the profile makes writable. Its mount covers the
// file and not the name. So the server cannot replace the file or create another beside
// it, as an atomic save and a database's journal do; and a file that later takes the
// name outside is a different file.
type Single struct {
	File string `json:"file"` // every symlink resolved
	// Folder is the folder that a rule may name instead; "" if no rule may.
	Folder string `json:"folder,omitempty"`
	At     string `json:"at,omitempty"` // file:line:col of the rule
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
