package server

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"mcpen/profiles"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// machineProfiles are the profiles of this machine's administrator.
func (p Dirs) machineProfiles() string { return filepath.Join(p.Machine, "profiles") }

// LockBeside is where the lock of a profile is: beside the file, or, for one
// that ships with mcpen, was never written, or is the machine's and has no lock
// there, among the user's own.
func LockBeside(at Dirs, profileFile, name string) string {
	if profileFile != "" && profileFile != noProfileFile && !Ships(profileFile) {
		if _, err := os.Stat(profileFile); err == nil {
			beside := strings.TrimSuffix(profileFile, ".toml") + ".lock"
			if _, err := os.Stat(beside); err == nil || filepath.Dir(profileFile) != at.machineProfiles() {
				return beside
			}
		}
	}
	return filepath.Join(at.Config, "profiles", name+".lock")
}

// NameOf is the profile name of a package: its name without the scope.
func NameOf(ref pack.Ref) string {
	name := ref.Name[strings.LastIndex(ref.Name, "/")+1:]
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name))
}

// Name is the name of a package here: that of the profile that ships for it, or else
// NameOf, or NameOf with its scope in front if NameOf names another package already.
// Two of eleven called "mcp" live side by side.
func (c *Caller) Name(at Dirs, ref pack.Ref) string {
	if name, ok := profiles.For(Bare(ref)); ok && !c.Taken(at, name, ref) {
		return name
	}
	name := NameOf(ref)
	if !c.Taken(at, name, ref) {
		return name
	}
	scope, _, scoped := strings.Cut(ref.Name, "/")
	full := string(ref.Ecosystem) + "-" + name
	if scoped {
		full = NameOf(pack.Ref{Name: strings.TrimPrefix(scope, "@")}) + "-" + name
	}
	return full
}

// Taken reports whether a name is that of another package's lock or of a profile
// that is not this package's.
func (c *Caller) Taken(at Dirs, name string, ref pack.Ref) bool {
	if p, ok := packageIn(filepath.Join(at.Config, "profiles", name+".lock")); ok && !SamePackage(p, ref) {
		return true
	}
	if _, _, err := c.Loader(at)(name, ""); err != nil {
		return false
	}
	p, err := c.Profile(at, name)
	return err != nil || !SamePackage(p.Package(), ref)
}

var lockedPackage = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^package = "([^"\n]*)"$`) })

// packageIn is the package of a lock file, without reading the rest of it.
func packageIn(file string) (string, bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := io.ReadFull(f, head) // a short file is fine
	m := lockedPackage().FindSubmatch(head[:n])
	if m == nil {
		return "", false
	}
	return string(m[1]), true
}

// SamePackage compares without version and extras.
func SamePackage(text string, ref pack.Ref) bool {
	r, err := pack.ParseWanted(text)
	return err == nil && r.Ecosystem == ref.Ecosystem && r.Name == ref.Name
}

// Program finds or installs the program to run. The caller closes the tree, if it is a
// package's, once the program has ended.
func (c *Caller) Program(ctx context.Context, ch Choice, at Dirs, pol policy.Policy) (plan.Program, *store.Tree, error) {
	ref, args, ok, err := ch.starts(pol)
	if err != nil {
		return plan.Program{}, nil, err
	}
	if ok {
		file := ""
		if len(pol.Sources) > 0 {
			file = pol.Sources[0].File
		}
		lockFile := LockBeside(at, file, pol.Name)
		get := c.ensure
		if ch.Look {
			get = c.installed
		}
		prog, tree, err := get(ctx, at, ref, lockFile, pol.Install, args)
		return prog, tree, PackageError(ctx, err)
	}
	argv, err := commandLine(ch, pol)
	if err != nil {
		return plan.Program{}, nil, err
	}
	prog, err := c.Find(argv, at)
	return prog, nil, err
}

// Bare is a reference without a version: that is the lock's to say.
func Bare(ref pack.Ref) string {
	ref.Range = ""
	return Bounded(ref)
}

// Bounded is bare with the range that was asked for, which is the profile's.
func Bounded(ref pack.Ref) string {
	ref.Version, ref.Tag = "", ""
	return ref.String()
}

// InstallRules are those of a profile, by name or path, or the default ones if there is
// none, within the machine's baseline.
func (c *Caller) InstallRules(at Dirs, profile string) (policy.Install, error) {
	rules, _, err := c.packageRules(at, profile)
	return rules, err
}

// packageRules returns a profile's rules for installs and the package that it asks for,
// "" if there is none.
func (c *Caller) packageRules(at Dirs, profile string) (rules policy.Install, wanted string, err error) {
	baselines, err := c.baselines(at, "")
	if err != nil {
		return policy.Install{}, "", err
	}
	file, data, err := c.Loader(at)(profile, "")
	if err != nil { // a package that has no profile
		pol, err := policy.Resolve(&policy.Profile{Name: strings.TrimSuffix(filepath.Base(profile), ".toml")}, policy.Input{Baselines: baselines})
		return pol.Install, "", err
	}
	p, err := policy.Parse(file, data, c.Loader(at))
	if err != nil {
		return policy.Install{}, "", err
	}
	pol, err := policy.Resolve(p.InstallOnly(), policy.Input{Baselines: baselines})
	return pol.Install, pol.Server.Package, err
}
