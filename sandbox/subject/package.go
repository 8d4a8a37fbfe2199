package subject

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"mcpen/profiles"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
)

// lockAge is how long a package that was tried is tried again as it was locked
// then.
const lockAge = 24 * time.Hour

// byPackage installs a package under a lock of the trials' own: nothing of it
// enters the user's profiles.
func (f *Finder) byPackage(ctx context.Context, at user.Dirs, ref pack.Ref, args []string, limit time.Duration, s *Subject) error {
	if at.State == "" {
		return launch.Usage("export HOME=…", "cannot keep packages: there is no HOME and no XDG_STATE_HOME")
	}
	pol, err := catalog.InstallRules(at, "")
	if err != nil {
		return err
	}
	s.ref, s.name = ref, server.NameOf(ref)
	lockFile := filepath.Join(locked.Trials(at), strings.ReplaceAll(strings.ReplaceAll(ref.String(), "/", "+"), ":", "-")+".lock")
	if st, err := os.Stat(lockFile); err == nil && time.Since(st.ModTime()) > lockAge && ref.Version == "" {
		os.Remove(lockFile)
	}
	in, err := f.Installer(ctx, at, ref.Ecosystem, pol)
	if err != nil {
		return err
	}
	lock, err := f.installed(ctx, in, at, ref, lockFile, limit, s)
	if ref.Bin != "" {
		lock.Bin = ref.Bin
	}
	if err == nil {
		s.program, err = f.Entry(at, lock, pol, s.tree, args)
	}
	if err != nil && ctx.Err() == nil && locked.OfPackage(err) {
		s.failed(f, at, ref, lock, err)
		return nil
	}
	if err != nil {
		return err
	}
	s.dir = s.tree.Dir
	s.describe(f, at, ref, lock)
	s.reading(variables(s.tree.Dir, ref, lock))
	s.about.Declared = f.declaredHosts(at, ref)
	return nil
}

// installed opens the package of a lock, or else makes the lock, within the time limit.
func (f *Finder) installed(ctx context.Context, in *install.Installer, at user.Dirs, ref pack.Ref, lockFile string, limit time.Duration, s *Subject) (lock pack.Lock, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not end within %s (--limit)", limit))
	defer stop()
	f.Saw = s.watch()
	defer func() { f.Saw = nil }()
	lock, err = locked.Read(lockFile)
	if err == nil {
		lock, s.tree, err = f.Open(ctx, in, at, ref, lock, lockFile)
	}
	if err != nil {
		os.Remove(lockFile)
		lock, s.tree, err = f.lockForTrial(ctx, in, at, ref, lockFile, s)
	}
	var failure *install.Failure
	switch late := ctx.Err(); {
	case late == nil || !errors.Is(err, late):
	case errors.As(err, &failure):
		failure.Err = context.Cause(ctx)
	default:
		err = fmt.Errorf("cannot install %s: %w", ref, context.Cause(ctx))
	}
	return lock, err
}

// lockForTrial resolves and installs a package.
func (f *Finder) lockForTrial(ctx context.Context, in *install.Installer, at user.Dirs, ref pack.Ref, lockFile string, s *Subject) (pack.Lock, *store.Tree, error) {
	if err := f.Connect(ctx, in, at, ref.Ecosystem); err != nil {
		return pack.Lock{}, nil, err
	}
	fmt.Fprintf(f.Err, "mcpen: installing %s without its scripts\n", ref)
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return pack.Lock{}, nil, err
	}
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return lock, nil, err
	}
	if err = locked.Create(lockFile, lock); errors.Is(err, fs.ErrExist) {
		err = nil // another trial of the same
	}
	if err != nil {
		tree.Close()
		return lock, nil, err
	}
	s.about.Notes = rel.Notes
	return lock, tree, nil
}

// describe fills in the known facts about a package.
func (s *Subject) describe(f *Finder, at user.Dirs, ref pack.Ref, l pack.Lock) {
	s.about.Name, s.about.Version = server.Bare(ref), l.Version
	s.about.Publisher, s.about.License, s.about.Deprecated = shortWord(l.Publisher), shortWord(l.License), shortWord(l.Deprecated)
	s.about.Bytes = l.Bytes
	if !l.Published.IsZero() {
		s.about.Published = l.Published.UTC().Format("2006-01-02")
		s.about.Young = time.Since(l.Published) < 14*24*time.Hour
	}
	s.about.Packages = len(l.Dependencies)
	for _, d := range l.Dependencies {
		n := d.PackageName()
		if n != ref.Name && !slices.Contains(s.about.Dependencies, n) {
			s.about.Dependencies = append(s.about.Dependencies, shortWord(n))
		}
		if d.Scripts && !slices.Contains(s.about.Scripts, shortWord(n)) {
			s.about.Scripts = append(s.about.Scripts, shortWord(n))
		}
	}
	s.about.Malicious, _ = f.Malicious(at, l)
	s.about.Lookalike = pack.Lookalike(ref)
	s.about.Command = s.program.Args
}

// declaredHosts are those that a profile for the package names, the user's or the one
// that mcpen carries.
func (f *Finder) declaredHosts(at user.Dirs, ref pack.Ref) []string {
	name, ok := profiles.For(server.Bare(ref))
	if !ok {
		name = server.NameOf(ref)
	}
	_, data, err := catalog.Loader(at)(name, "")
	if err != nil {
		return nil
	}
	var p struct {
		Server  struct{ Package string }
		Params  map[string]struct{ Default any }
		Network struct{ Allow []any }
	}
	if _, err := toml.Decode(string(data), &p); err != nil || !server.SamePackage(p.Server.Package, ref) {
		return nil
	}
	var out []string
	for _, h := range p.Network.Allow {
		text, ok := h.(string)
		if table, is := h.(map[string]any); is {
			text, ok = table["host"].(string)
		}
		if !ok {
			continue
		}
		for param, q := range p.Params {
			text = strings.ReplaceAll(text, "${"+param+"}", fmt.Sprint(q.Default))
		}
		out = append(out, text)
	}
	return out
}

// variables lists the names of the variables that a package's own code reads.
func variables(tree string, ref pack.Ref, l pack.Lock) []string {
	if ref.Ecosystem == pack.NPM {
		return trial.Variables(filepath.Join(tree, "node_modules", ref.Name))
	}
	var out []string
	for _, entry := range l.Entry {
		module, _, _ := strings.Cut(entry, ":")
		top, _, _ := strings.Cut(module, ".")
		out = append(out, trial.Variables(filepath.Join(tree, "lib", top))...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
