package install

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
)

// Installer resolves packages and puts them into a store. It may be used by any
// number of goroutines at once as long as its fields stay as they are.
type Installer struct {
	Store *store.Store
	Run   Run
	Tools Tools
	NPM   registry.Registry
	PyPI  registry.Registry
	// Platform names the kind of machine in a lock, such as "linux-amd64".
	Platform string
	// MinAge is the age below which no version is chosen, of the package and of
	// everything it depends on.
	MinAge time.Duration
	// Scripts names the npm packages whose lifecycle scripts run, in the same kind
	// of job as everything else.
	Scripts []string
	// Build names the PyPI packages, normalized, that may be built from source where
	// they have no wheel, in a job without network.
	Build []string
	// Vet, if set, sees the packages before the install runs any script or puts
	// anything into the store. Its error is the install's.
	Vet      func(pack.Lock) error
	Limits   pack.Limits
	Now      func() time.Time // required
	Progress Progress         // may be nil
}

func (in *Installer) say(step, format string, args ...any) {
	if in.Progress != nil {
		in.Progress(step, fmt.Sprintf(format, args...))
	}
}

// done says that there is no step under way.
func (in *Installer) done() {
	if in.Progress != nil {
		in.Progress("", "")
	}
}

// Resolve asks the registry for the version to install.
func (in *Installer) Resolve(ctx context.Context, ref pack.Ref) (registry.Release, error) {
	rel, _, err := in.look(ctx, ref, nil)
	return rel, err
}

// Check asks the registry for the version to install in a lock's place. wanted is the
// profile's rule for versions. withdrawn is the registry's word against the locked
// version; "" for none. Check returns it with an error, too, if it reached the
// registry.
func (in *Installer) Check(ctx context.Context, l pack.Lock, wanted pack.Ref) (rel registry.Release, withdrawn string, err error) {
	ref, err := l.Ref()
	if err != nil {
		return registry.Release{}, "", err
	}
	ref.Version, ref.Tag = "", l.Tag
	if wanted.Version != "" || wanted.Range != "" {
		ref.Version, ref.Range, ref.Tag = wanted.Version, wanted.Range, ""
	}
	return in.look(ctx, ref, &l)
}

// look reads a package's page, once.
func (in *Installer) look(ctx context.Context, ref pack.Ref, l *pack.Lock) (rel registry.Release, withdrawn string, err error) {
	in.say("resolve", "%s", ref)
	defer in.done()
	reg, err := in.registry(ref.Ecosystem)
	if err != nil {
		return registry.Release{}, "", fmt.Errorf("cannot resolve %q: %w", ref, err)
	}
	q := registry.Question{Ref: ref, Locked: l, Interpreter: in.Tools.Interpreter, Build: slices.Contains(in.Build, ref.Name), MinAge: in.MinAge, Now: in.Now()}
	rel, withdrawn, err = reg.Choose(ctx, q)
	if hint := pack.Lookalike(ref); hint != "" && err == nil {
		rel.Notes = append(rel.Notes, hint)
	}
	return rel, withdrawn, err
}

// registry is the one of an ecosystem.
func (in *Installer) registry(e pack.Ecosystem) (registry.Registry, error) {
	switch e {
	case pack.NPM:
		return in.NPM, nil
	case pack.PyPI:
		return in.PyPI, nil
	}
	return registry.Registry{}, errors.New("no registry is known for it")
}

// Install installs a release with everything it needs and returns the lock of the
// installed packages. The tree is open: the caller closes it once it has written the
// lock. On an error nothing is left in the store.
func (in *Installer) Install(ctx context.Context, rel registry.Release) (pack.Lock, *store.Tree, error) {
	l := pack.Lock{Form: pack.LockVersion, Version: rel.Ref.Version, Bin: rel.Ref.Bin, Registry: rel.Registry, License: rel.License, Publisher: rel.Publisher, Deprecated: rel.Deprecated, Tag: rel.Tag,
		Published: rel.Published, Locked: in.Now(), Trees: map[string]string{}}
	bare := rel.Ref
	bare.Version, bare.Tag, bare.Range = "", "", ""
	l.Package = bare.String()
	before := time.Time{}
	if in.MinAge > 0 {
		before = in.Now().Add(-in.MinAge)
	}
	defer in.done()
	tree, err := in.inStage(ctx, &l, before, &rel)
	if err != nil {
		return pack.Lock{}, nil, err
	}
	l.Trees[in.platform(l)] = tree.Hash
	if l.Files, l.Bytes, err = tree.Size(); err == nil {
		err = l.Check()
	}
	if err != nil {
		tree.Close()
		return pack.Lock{}, nil, err
	}
	return l, tree, nil
}

// Restore gives the tree that a lock names. Where the store has it nothing is
// asked, and a tree that was changed is an error that names the file; where the
// store has none, it is as Repair. The caller closes the tree.
func (in *Installer) Restore(ctx context.Context, l pack.Lock) (pack.Lock, *store.Tree, error) {
	if err := l.Check(); err != nil {
		return pack.Lock{}, nil, err
	}
	if want := l.Trees[in.platform(l)]; want != "" {
		tree, err := in.Open(l)
		if errors.Is(err, ErrUnconfirmed) {
			if err = in.confirm(ctx, l); err == nil {
				tree, err = in.Open(l)
			}
		}
		if err == nil {
			return l, tree, nil
		}
		if !errors.Is(err, store.ErrAbsent) {
			return pack.Lock{}, nil, err
		}
	}
	return in.Repair(ctx, l)
}

// Repair fetches exactly the packages of a lock; the result must be the tree that the
// lock names. If the lock does not know the platform yet, the returned lock has one
// tree more, and the caller writes it. The caller closes the tree.
func (in *Installer) Repair(ctx context.Context, l pack.Lock) (pack.Lock, *store.Tree, error) {
	if err := l.Check(); err != nil {
		return pack.Lock{}, nil, err
	}
	platform := in.platform(l)
	if l.Platform != "" && l.Platform != platform {
		return pack.Lock{}, nil, fmt.Errorf("cannot install %s %s: it was locked for %s and this is %s; lock it again here", l.Package, l.Version, l.Platform, platform)
	}
	for _, name := range l.Scripts {
		if !slices.Contains(in.Scripts, name) {
			return pack.Lock{}, nil, pack.Refuse("cannot install %s %s: its lock was made with the install scripts of %q, which install.scripts does not name", l.Package, l.Version, name)
		}
	}
	for _, d := range l.Dependencies {
		if d.Built && !slices.Contains(in.Build, d.Path) {
			return pack.Lock{}, nil, pack.Refuse("cannot install %s %s: its lock builds %q from source, which install.build does not name", l.Package, l.Version, d.Path)
		}
	}
	defer in.done()
	given := l
	given.Trees = map[string]string{platform: l.Trees[platform]}
	tree, err := in.inStage(ctx, &given, time.Time{}, nil)
	if err != nil {
		return pack.Lock{}, nil, err
	}
	l.Trees = maps.Clone(l.Trees)
	if l.Trees == nil {
		l.Trees = map[string]string{}
	}
	l.Trees[platform] = tree.Hash
	return l, tree, nil
}

// platform is the key of a lock's tree here. Wheels differ between Pythons.
func (in *Installer) platform(l pack.Lock) string {
	p := in.Platform
	if p == "" {
		p = "any"
	}
	if strings.HasPrefix(l.Package, string(pack.PyPI)+":") && in.Tools.PythonTag != "" {
		p += "-" + in.Tools.PythonTag
	}
	return p
}

// DefaultRegistry fills in the registry that npm or pip asks if nothing is configured.
// Only the tool knows it, so mcpen asks the tool, without network.
func (in *Installer) DefaultRegistry(ctx context.Context, e pack.Ecosystem) (string, error) {
	stage, err := in.Store.Stage()
	if err != nil {
		return "", err
	}
	defer stage.Close()
	argv := slices.Concat(in.Tools.NPM, []string{"config", "get", "registry"})
	if e == pack.PyPI {
		argv = []string{in.Tools.Python, "-I", "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"}
	}
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return "", fmt.Errorf("cannot tell the registry of %s packages: its package manager was not found", e)
	}
	var out, words tail
	job := Job{Name: "default registry", Argv: argv, Dir: stage.Dir, Reads: in.Tools.Reads, Stdout: &out, Stderr: &words,
		Env: []string{"PATH=" + in.Tools.Path, "HOME=" + stage.Dir, "npm_config_update_notifier=false", "npm_config_logs_max=0"}}
	if err := in.Run(ctx, job); err != nil {
		return "", errTool(job.Name, err, words.buf)
	}
	address := strings.TrimSpace(string(out.buf))
	if _, err := (registry.Registry{URL: address}).Base(""); err != nil {
		return "", err
	}
	return address, nil
}
