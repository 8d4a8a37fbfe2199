package server

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/plan"
)

// profileApart refuses a profile that the server could rewrite. It also refuses one
// behind a symlink that a server or the author of the workspace could have made. Its
// next run would get the rights that they wrote or chose. The lock and the pins are
// beside the profile.
func (p *Prepared) profileApart() error {
	for _, s := range p.Policy.Sources {
		if profiles.Ships(s.File) {
			continue
		}
		file := s.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.Dirs.Cwd, file)
		}
		f := host.Look(file)
		ways := []string{f.Real}
		for _, l := range f.Links {
			ways = append(ways, l.Path)
		}
		for _, g := range origin.Grounds(p.Dirs, p.workspace) {
			for _, l := range f.Links {
				if strings.HasPrefix(l.Path, g.Dir+"/") && !strings.HasPrefix(f.Real, g.Dir+"/") {
					return &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("cannot use the profile %q: it leads to %q by the symlink %q, which %s could have made", s.File, f.Real, l.Path, g.Who),
						Hint: fmt.Sprintf("name %q itself, if that is what was meant", f.Real)}
				}
			}
		}
		for _, way := range ways {
			if dir := p.writable(way); dir != "" {
				return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot use the profile %q: the server may write %q, and so its own profile", s.File, dir),
					Hint: fmt.Sprintf("keep it in %s, which no server writes, or in %s", filepath.Join(dir, ".mcpen"), filepath.Join(p.Dirs.Config, "profiles"))}
			}
		}
	}
	return nil
}

// writable is the folder by which the server may write a path, or "".
func (p *Prepared) writable(path string) string {
	over := func(dir string) bool {
		return dir != "" && (path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/"))
	}
	held := func(m plan.Mount) bool {
		return m.Kind == plan.MountBind && !m.Writable && m.Protected && over(m.Target)
	}
	if path == "" || slices.ContainsFunc(p.Plan.Root, held) {
		return ""
	}
	for _, w := range p.Policy.Filesystem.Write {
		if real := p.Host.Paths[w.Path].Real; over(real) {
			return real
		}
	}
	return ""
}
