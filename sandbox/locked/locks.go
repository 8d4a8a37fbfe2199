package locked

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Lock is one lock file of the user's.
type Lock struct {
	Name, File string
	Lock       pack.Lock
}

// NameOf is the name of the server whose lock a file is.
func NameOf(file string) string { return strings.TrimSuffix(filepath.Base(file), ".lock") }

// rules returns the rules and the wanted package of the profile that a lock belongs to:
// the profile beside it, or of its name.
func (c *Packages) rules(at user.Dirs, l Lock) (policy.Install, pack.Ref, error) {
	profile := l.Name
	if beside := strings.TrimSuffix(l.File, ".lock") + ".toml"; filepath.Dir(l.File) != filepath.Join(at.Config, "profiles") && wholefile.Exists(beside) {
		profile = beside
	}
	rules, text, err := catalog.PackageRules(at, profile)
	if err != nil || text == "" {
		return rules, pack.Ref{}, err
	}
	wanted, err := pack.ParseWanted(text)
	if own, bad := l.Lock.Ref(); err != nil || bad != nil || own.Ecosystem != wanted.Ecosystem || own.Name != wanted.Name {
		wanted = pack.Ref{} // the lock is of another package
	}
	return rules, wanted, err
}

// InstallerFor is an installer for a lock, connected to its registry.
func (c *Packages) InstallerFor(ctx context.Context, at user.Dirs, l Lock) (*install.Installer, error) {
	ref, err := l.Lock.Ref()
	if err != nil {
		return nil, err
	}
	rules, _, err := c.rules(at, l)
	if err != nil {
		return nil, err
	}
	in, err := c.Installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return nil, err
	}
	return in, c.Connect(ctx, in, at, ref.Ecosystem)
}

// Outside is true for a lock whose version its profile does not ask for any more.
func (c *Packages) Outside(at user.Dirs, l Lock) bool {
	_, wanted, err := c.rules(at, l)
	return err == nil && !wanted.Allows(l.Lock.Version)
}

// Latest asks the registry for the version in a lock's place, and keeps the registry's
// word against the locked one, for the next start.
func (c *Packages) Latest(ctx context.Context, in *install.Installer, at user.Dirs, l Lock) (rel registry.Release, withdrawn string, err error) {
	_, wanted, err := c.rules(at, l)
	if err != nil {
		return rel, "", err
	}
	rel, withdrawn, err = in.Check(ctx, l.Lock, wanted)
	if err == nil || withdrawn != "" {
		s := ReadStanding(at, l.File)
		if s.Withdrawn != withdrawn || s.Version != l.Lock.Version {
			s.Withdrawn, s.Version = withdrawn, l.Lock.Version
			s.Keep(at, l.File)
		}
	}
	return rel, withdrawn, err
}

// NamedTrees returns the trees that the user's and the machine's locks name. A lock that
// cannot be read is an error, because it could name any tree.
func NamedTrees(at user.Dirs) ([]string, error) {
	files := catalog.Locks(at)
	machine, _ := filepath.Glob(at.MachineProfiles() + "/*.lock") // the pattern is good
	var keep []string
	for _, file := range append(files, machine...) {
		l, err := Read(file)
		if err != nil {
			return nil, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("nothing was removed: which packages it names is not known: %w", err), Hint: "mcpen remove " + NameOf(file)}
		}
		keep = slices.AppendSeq(keep, maps.Values(ReadStanding(at, file).Complete(l).Trees))
	}
	return keep, nil
}

// Trials returns the folder of the locks that trials made.
func Trials(at user.Dirs) string { return filepath.Join(at.State, "try") }

// Names maps each tree that a readable lock names to its package and version. The locks of
// trials count.
func Names(at user.Dirs) map[string]string {
	tried, _ := filepath.Glob(Trials(at) + "/*.lock") // a home with a pattern in its name loses names alone
	machine, _ := filepath.Glob(at.MachineProfiles() + "/*.lock")
	names := map[string]string{}
	for _, file := range slices.Concat(tried, machine, catalog.Locks(at)) {
		l, err := Read(file)
		if err != nil {
			continue
		}
		for _, tree := range ReadStanding(at, file).Complete(l).Trees {
			names[tree] = l.Package + " " + l.Version
		}
	}
	return names
}
