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
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

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
func (c *Caller) Name(at user.Dirs, ref pack.Ref) string {
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
func (c *Caller) Taken(at user.Dirs, name string, ref pack.Ref) bool {
	if p, ok := packageIn(filepath.Join(at.Config, "profiles", name+".lock")); ok && !SamePackage(p, ref) {
		return true
	}
	if _, _, err := catalog.Loader(at)(name, ""); err != nil {
		return false
	}
	p, err := catalog.Profile(at, name)
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
func (c *Caller) Program(ctx context.Context, ch Choice, at user.Dirs, pol policy.Policy) (plan.Program, *store.Tree, error) {
	ref, args, ok, err := ch.starts(pol)
	if err != nil {
		return plan.Program{}, nil, err
	}
	if ok {
		file := ""
		if len(pol.Sources) > 0 {
			file = pol.Sources[0].File
		}
		lockFile := catalog.LockBeside(at, file, pol.Name)
		get := c.Ensure
		if ch.Look {
			get = c.Installed
		}
		prog, tree, err := get(ctx, at, ref, lockFile, pol.Install, args)
		return prog, tree, locked.Explained(ctx, err)
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
