package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// profileApart refuses a profile that the server could rewrite: its next run
// would be given what it wrote. The lock and the pins are beside the profile.
func (p *prepared) profileApart() error {
	for _, s := range p.policy.Sources {
		if ships(s) {
			continue
		}
		file := s.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.place.cwd, file)
		}
		f := host.Look(file)
		ways := []string{f.Real}
		for _, l := range f.Links {
			ways = append(ways, l.Path)
		}
		for _, way := range ways {
			if dir := p.writable(way); dir != "" {
				return &codeError{code: exitUsage, err: fmt.Errorf("cannot use the profile %q: the server may write %q, and so its own profile", s.File, dir),
					hint: fmt.Sprintf("keep it in %s, which no server writes, or in %s", filepath.Join(dir, ".mcpen"), filepath.Join(p.place.config, "profiles"))}
			}
		}
	}
	return nil
}

// ships reports whether a source is one of the profiles that mcpen carries.
func ships(s policy.Source) bool {
	data, ok := profiles.Read(strings.TrimSuffix(filepath.Base(s.File), ".toml"))
	sum := sha256.Sum256(data)
	return ok && s.SHA256 == hex.EncodeToString(sum[:])
}

// writable is the folder by which the server may write a path, or "".
func (p *prepared) writable(path string) string {
	over := func(dir string) bool {
		return dir != "" && (path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/"))
	}
	held := func(m plan.Mount) bool {
		return m.Kind == plan.MountBind && !m.Writable && strings.HasPrefix(m.Why, "protected") && over(m.Target)
	}
	if path == "" || slices.ContainsFunc(p.plan.Root, held) {
		return ""
	}
	for _, w := range p.policy.Filesystem.Write {
		if real := p.host.Paths[w.Path].Real; over(real) {
			return real
		}
	}
	return ""
}
