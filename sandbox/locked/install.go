package locked

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
	"mcpen/sandbox/user"
)

// Ensure returns the program of a locked package: from the store, or else installed as
// the lock says, or else resolved, installed and locked now. The caller closes the tree
// once the program has ended.
func (c *Packages) Ensure(ctx context.Context, at user.Dirs, ref pack.Ref, lockFile string, rules policy.Install, args []string) (plan.Program, *store.Tree, error) {
	in, err := c.Installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return plan.Program{}, nil, err
	}
	var tree *store.Tree
	lock, err := Read(lockFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		lock, tree, err = c.lockNow(ctx, in, at, ref, lockFile)
	case err == nil:
		lock, tree, err = c.Open(ctx, in, at, ref, lock, lockFile)
	}
	if err != nil {
		return plan.Program{}, nil, err
	}
	return c.enter(at, ref, lock, lockFile, rules, tree, args)
}

// enter returns the program of a tree, and closes the tree if there is none.
func (c *Packages) enter(at user.Dirs, ref pack.Ref, lock pack.Lock, lockFile string, rules policy.Install, tree *store.Tree, args []string) (plan.Program, *store.Tree, error) {
	if ref.Bin != "" {
		lock.Bin = ref.Bin // another program of the same package
	}
	prog, err := c.Entry(at, lock, rules, tree, args)
	if err != nil {
		tree.Close()
		return prog, nil, damaged(err, NameOf(lockFile))
	}
	return prog, tree, nil
}

// Installed returns the program of a package that is locked and in the store. It changes
// nothing. For any other package it returns the runtime that would run it, and no tree.
func (c *Packages) Installed(ctx context.Context, at user.Dirs, ref pack.Ref, lockFile string, rules policy.Install, args []string) (plan.Program, *store.Tree, error) {
	tree, lock, err := c.inStore(ctx, at, ref, lockFile, rules)
	if err == nil {
		return c.enter(at, ref, lock, lockFile, rules, tree, args)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, store.ErrAbsent) && !errors.Is(err, install.ErrUnconfirmed) {
		return plan.Program{}, nil, damaged(err, NameOf(lockFile))
	}
	runtime := "node"
	if ref.Ecosystem == pack.PyPI {
		runtime = "python3"
	}
	prog, err := program.Find([]string{runtime}, c.FindEnv(at))
	prog.Args = append(append(prog.Args, ref.String()), args...)
	return prog, nil, err
}

// inStore opens the tree of a lock where both are there.
func (c *Packages) inStore(ctx context.Context, at user.Dirs, ref pack.Ref, lockFile string, rules policy.Install) (*store.Tree, pack.Lock, error) {
	lock, err := Read(lockFile)
	if err != nil {
		return nil, lock, err
	}
	if err := sameRef(lock, ref, lockFile); err != nil {
		return nil, lock, err
	}
	in, err := c.Installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return nil, lock, err
	}
	lock = ReadStanding(at, lockFile).Complete(lock)
	tree, err := in.Open(lock)
	return tree, lock, err
}

// Open returns the tree of a lock: from the store, without any request, or
// fetched as the lock says.
func (c *Packages) Open(ctx context.Context, in *install.Installer, at user.Dirs, ref pack.Ref, lock pack.Lock, lockFile string) (pack.Lock, *store.Tree, error) {
	if err := sameRef(lock, ref, lockFile); err != nil {
		return lock, nil, err
	}
	reviewed := lock
	lock = ReadStanding(at, lockFile).Complete(lock)
	tree, err := in.Open(lock)
	if err == nil {
		if err = c.judge(at, lockFile, lock, tree); err != nil {
			tree.Close()
			return lock, nil, err
		}
		return lock, tree, nil
	}
	if !errors.Is(err, store.ErrAbsent) && !errors.Is(err, install.ErrUnconfirmed) {
		return lock, tree, damaged(err, NameOf(lockFile))
	}
	if err := c.Connect(ctx, in, at, ref.Ecosystem); err != nil {
		return lock, nil, err
	}
	fresh, tree, err := in.Restore(ctx, lock)
	if err != nil {
		return lock, nil, err
	}
	if !maps.Equal(fresh.Trees, reviewed.Trees) {
		s := ReadStanding(at, lockFile)
		s.For, s.Trees = reviewed.Digest, fresh.Trees
		s.Keep(at, lockFile)
	}
	return fresh, tree, nil
}

// lockNow resolves, installs and locks, and says so. Of two that do so at once
// the first to write the lock decides for both.
func (c *Packages) lockNow(ctx context.Context, in *install.Installer, at user.Dirs, ref pack.Ref, lockFile string) (pack.Lock, *store.Tree, error) {
	var none pack.Lock
	if err := c.Connect(ctx, in, at, ref.Ecosystem); err != nil {
		return none, nil, err
	}
	fmt.Fprintf(c.Err, "mcpen: installing %s, which is not locked yet\n", ref)
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return none, nil, err
	}
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return none, nil, err
	}
	if _, err := install.EntryOf(tree, lock); err != nil {
		tree.Close()
		return none, nil, err
	}
	err = Create(lockFile, lock)
	if errors.Is(err, fs.ErrExist) {
		tree.Close()
		if lock, err = Read(lockFile); err != nil {
			return none, nil, err
		}
		return c.Open(ctx, in, at, ref, lock, lockFile)
	}
	if err != nil {
		tree.Close()
		return none, nil, err
	}
	fmt.Fprintf(c.Err, "mcpen: locked %s %s with %s in %s\n", lock.Package, lock.Version, user.Count(len(lock.Dependencies), "package"), audit.Visible(lockFile))
	for _, n := range rel.Notes {
		fmt.Fprintf(c.Err, "mcpen: note: %s\n", audit.Visible(n))
	}
	return lock, tree, nil
}

// Entry is the program of a tree, with the interpreter of this machine.
func (c *Packages) Entry(at user.Dirs, l pack.Lock, rules policy.Install, t *store.Tree, args []string) (plan.Program, error) {
	e, err := install.EntryOf(t, l)
	if err != nil {
		return plan.Program{}, err
	}
	var via plan.Program
	switch e.Runtime {
	case install.RuntimeNode:
		via, err = program.Find([]string{"node"}, c.FindEnv(at))
	case install.RuntimePython:
		via, err = c.findPython(at, rules.Python)
	}
	if err != nil {
		return plan.Program{}, err
	}
	return e.Program(t, l, via, args)
}

// sameRef refuses to run a package other than the locked one.
func sameRef(l pack.Lock, ref pack.Ref, file string) error {
	locked, err := l.Ref()
	if err != nil {
		return err
	}
	for _, extra := range ref.Extras {
		if locked.Name == ref.Name && !slices.Contains(locked.Extras, extra) {
			return launch.Usage("mcpen add --name NAME "+ref.String()+"   # and mcpen run NAME", "%s locks %s without the extra %q", file, l.Package, extra)
		}
	}
	if locked.Ecosystem != ref.Ecosystem || locked.Name != ref.Name {
		return launch.Usage("mcpen add --name NAME "+ref.String()+"   # and mcpen run NAME", "%s locks %s, and %s was asked for", file, l.Package, ref)
	}
	if !ref.Allows(l.Version) {
		name := NameOf(file)
		return launch.Usage("mcpen update "+name+"   # where its profile asks for that, else: mcpen remove "+name, "%s locks version %s, and %s was asked for", file, l.Version, cmp.Or(ref.Version, ref.Range))
	}
	return nil
}
