package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
)

// npmLock is a package-lock.json of version 3, as far as it matters.
type npmLock struct {
	Name     string             `json:"name"`
	Version  string             `json:"version"`
	Form     int                `json:"lockfileVersion"`
	Requires bool               `json:"requires"`
	Packages map[string]npmNode `json:"packages"`
}

type npmNode struct {
	Name         string            `json:"name,omitempty"`
	Version      string            `json:"version,omitempty"`
	Resolved     string            `json:"resolved,omitempty"`
	Integrity    string            `json:"integrity,omitempty"`
	Dependencies map[string]string `json:"dependencies,omitempty"`
	Optionals    map[string]string `json:"optionalDependencies,omitempty"`
	Optional     bool              `json:"optional,omitempty"`
	Dev          bool              `json:"dev,omitempty"`
	Link         bool              `json:"link,omitempty"`
	InBundle     bool              `json:"inBundle,omitempty"`
	Scripts      bool              `json:"hasInstallScript,omitempty"`
	OS           []string          `json:"os,omitempty"`
	CPU          []string          `json:"cpu,omitempty"`
	Libc         []string          `json:"libc,omitempty"`
}

// npmEnv holds npm to its directory and to the mirror, and keeps every
// configuration file but its own defaults from it.
func (w *work) npmEnv() []string {
	dir := w.stage.Dir
	set := map[string]string{
		"registry": w.mirror.Base(), "cache": filepath.Join(dir, "cache"), "userconfig": filepath.Join(dir, "home", "user.npmrc"),
		"globalconfig": filepath.Join(dir, "home", "global.npmrc"), "audit": "false", "fund": "false", "update_notifier": "false",
		"loglevel": "error", "progress": "false", "fetch_retries": "0", "fetch_timeout": "600000", "package_lock": "true", "lockfile_version": "3",
		"omit_lockfile_registry_resolved": "false", "replace_registry_host": "never", "bin_links": "false", "install_links": "false",
		"legacy_peer_deps": "false", "install_strategy": "hoisted", "logs_max": "0", "workspaces": "false", "engine_strict": "false",
	}
	var env []string
	for _, k := range slices.Sorted(maps.Keys(set)) {
		env = append(env, "npm_config_"+k+"="+set[k])
	}
	return env
}

func (w *work) npm(ctx context.Context, network bool, scripts bool, args ...string) error {
	argv := slices.Concat(w.in.Tools.NPM, args, []string{"--prefix", filepath.Join(w.stage.Dir, "tree")})
	if !scripts {
		argv = append(argv, "--ignore-scripts")
	}
	return w.run(ctx, "npm "+args[0], argv, w.npmEnv(), network)
}

// writeJSON writes a file into the tree.
func (w *work) writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return w.root.WriteFile("tree/"+name, append(data, '\n'), 0o600)
}

// chooseNPM has npm work out the tree and takes it over into the lock. Without an
// earlier install npm also installs it, in the same go.
func (w *work) chooseNPM(ctx context.Context, was *made) error {
	w.lock.With = "npm"
	top := map[string]any{"name": "staged", "version": "0.0.0", "private": true, "dependencies": map[string]string{w.ref.Name: w.ref.Version}}
	if err := w.writeJSON("package.json", top); err != nil {
		return err
	}
	args := []string{"install"}
	if was != nil {
		args = append(args, "--package-lock-only")
	}
	if err := w.npm(ctx, true, false, args...); err != nil {
		return err
	}
	data, err := w.read("tree/package-lock.json", 64<<20)
	if err != nil {
		return err
	}
	var l npmLock
	if err := json.Unmarshal(data, &l); err != nil {
		return fmt.Errorf("cannot read the package-lock.json that npm wrote: %w", err)
	}
	for _, place := range slices.Sorted(maps.Keys(l.Packages)) {
		node := l.Packages[place]
		w.bundles = w.bundles || node.InBundle
		if place == "" || node.Dev || node.InBundle {
			continue // a bundled package comes inside its parent's archive: see adopt
		}
		d, err := w.takeOver(place, node)
		if err != nil {
			return fmt.Errorf("cannot lock %q: %w", place, err)
		}
		w.lock.Dependencies = append(w.lock.Dependencies, d)
		if place == "node_modules/"+w.ref.Name {
			w.lock.Integrity = d.Integrity
		}
	}
	return w.lock.Check()
}

// takeOver makes a lock entry from npm's. It refuses a package that does not come from
// the registry with a hash.
func (w *work) takeOver(place string, n npmNode) (pack.Dependency, error) {
	d := pack.Dependency{Path: place, Version: n.Version, Optional: n.Optional, OS: n.OS, CPU: n.CPU, Libc: n.Libc, Scripts: n.Scripts}
	if n.Link {
		return d, errors.New("it is a link to a directory")
	}
	if n.Name != "" && n.Name != d.PackageName() {
		d.Name = n.Name
	}
	f, err := w.mirror.Lookup(n.Resolved)
	if err != nil {
		return d, err
	}
	d.Integrity = registry.NPMDist{Integrity: n.Integrity}.SRI()
	if d.Integrity == "" {
		return d, errors.New("the registry gives no SHA-2 integrity for it")
	}
	base, err := w.reg.Base(d.PackageName())
	if err != nil {
		return d, err
	}
	if known, ok := w.mirror.Known(d); ok {
		d.Publisher = known.Publisher
	}
	if usual := tarballPath(d.PackageName(), d.Version); f.URL.String() != base.JoinPath(usual).String() {
		rel, ok := strings.CutPrefix(f.URL.String(), base.String())
		if !ok {
			rel = f.URL.Path
		}
		// Another address is found again by the package's name.
		if pack.CheckFrom(rel, d.PackageName(), d.Version) == nil {
			d.From = rel
		}
	}
	return d, d.Check(pack.NPM)
}

// tarballPath is where registries keep a tarball: NAME/-/BASE-VERSION.tgz.
func tarballPath(name, version string) string {
	_, base := pack.SplitScope(name)
	return name + "/-/" + base + "-" + version + ".tgz"
}

// installNPM has npm unpack exactly the packages of the lock, each at its place. It
// makes the package-lock.json from the lock: every package depends on those below it
// and on nothing else, so that npm has no choice.
func (w *work) installNPM(ctx context.Context) error {
	l := npmLock{Name: "staged", Version: "0.0.0", Form: 3, Requires: true, Packages: map[string]npmNode{}}
	own := slices.DeleteFunc(slices.Clone(w.lock.Dependencies), func(d pack.Dependency) bool { return d.Bundled })
	for _, d := range own {
		local, err := w.local(d)
		if err != nil {
			return fmt.Errorf("cannot install %q: %w", d.Path, err)
		}
		l.Packages[d.Path] = npmNode{Name: d.Name, Version: d.Version, Resolved: local, Integrity: d.Integrity, Optional: d.Optional,
			OS: d.OS, CPU: d.CPU, Libc: d.Libc, Scripts: d.Scripts}
	}
	l.Packages[""] = npmNode{Name: l.Name, Version: l.Version}
	for _, d := range own {
		parent, name := "", strings.TrimPrefix(d.Path, "node_modules/")
		if i := strings.LastIndex(d.Path, "/node_modules/"); i >= 0 {
			parent, name = d.Path[:i], d.Path[i+len("/node_modules/"):]
		}
		node, ok := l.Packages[parent]
		if !ok {
			return fmt.Errorf("cannot install %q: the lock has nothing at %q", d.Path, parent)
		}
		spec := d.Version
		if d.Name != "" {
			spec = "npm:" + d.Name + "@" + d.Version
		}
		to := &node.Dependencies
		if d.Optional {
			to = &node.Optionals
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[name] = spec
		l.Packages[parent] = node
	}
	top := map[string]any{"name": l.Name, "version": l.Version, "private": true, "dependencies": l.Packages[""].Dependencies,
		"optionalDependencies": l.Packages[""].Optionals}
	if err := errors.Join(w.writeJSON("package.json", top), w.writeJSON("package-lock.json", l)); err != nil {
		return err
	}
	w.in.say("install", "%d packages", len(own))
	if err := w.npm(ctx, true, false, "ci", "--omit=dev"); err != nil {
		return err
	}
	return w.finishModules(ctx)
}

// settleNPM turns npm's choice and install into the install of its lock. npm sorts out
// the packages inside other archives by their descriptions, which a lock lacks: in that
// case settleNPM installs the lock from the archives that are here.
func (w *work) settleNPM(ctx context.Context) error {
	if w.bundles {
		if err := w.root.RemoveAll("tree/node_modules"); err != nil {
			return err
		}
		return w.installNPM(ctx)
	}
	return w.finishModules(ctx)
}

// finishModules compares npm's install with the lock and makes it the tree.
func (w *work) finishModules(ctx context.Context) error {
	if err := w.checkServed(); err != nil {
		return err
	}
	if err := w.adopt(); err != nil {
		return err
	}
	if err := linkBins(w.root, "tree/node_modules", w.ref.Name); err != nil {
		return err
	}
	return w.finishNPM(ctx)
}

// local makes a locked package's archive available to npm: at its usual address; or at
// the lock's, if that is an archive below the registry's; or wherever the registry
// itself says.
func (w *work) local(d pack.Dependency) (string, error) {
	base, err := w.reg.Base(d.PackageName())
	if err != nil {
		return "", err
	}
	usual := tarballPath(d.PackageName(), d.Version)
	at := base.JoinPath(usual)
	if d.From != "" {
		at = nil
		if strings.HasSuffix(d.From, ".tgz") && !strings.HasPrefix(d.From, "/") {
			at = base.JoinPath(d.From)
		}
	}
	return w.mirror.AddLocked(at, path.Base(usual), d)
}

// finishNPM runs the scripts that the caller names and removes npm's own files, which
// differ from one install to the next.
func (w *work) finishNPM(ctx context.Context) error {
	var names []string
	for _, d := range w.lock.Dependencies {
		if d.Scripts && slices.Contains(w.in.Scripts, d.PackageName()) && !slices.Contains(names, d.PackageName()) {
			names = append(names, d.PackageName())
		}
	}
	w.lock.Scripts = names
	if len(names) > 0 {
		w.in.say("scripts", "%s", strings.Join(names, ", "))
		if err := w.npm(ctx, false, true, append([]string{"rebuild"}, names...)...); err != nil {
			return err
		}
	}
	for _, name := range []string{"package.json", "package-lock.json", "node_modules/.package-lock.json"} {
		if err := w.root.Remove("tree/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot clean up after npm: %w", err)
		}
	}
	return nil
}

// checkServed makes sure that npm took every package it had to take from the
// proxy, where its hash was checked. An optional one may have been left out.
func (w *work) checkServed() error {
	had := map[string]bool{}
	for _, f := range w.mirror.Served() {
		had[f.Integrity] = true
	}
	for _, d := range w.lock.Dependencies {
		if d.Bundled {
			continue
		}
		if _, err := w.root.Lstat("tree/" + d.Path + "/package.json"); err != nil {
			if d.Optional && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return fmt.Errorf("cannot install %q: npm left it out", d.Path)
		}
		if !had[d.Integrity] {
			return fmt.Errorf("cannot install %q: npm did not take it from the registry", d.Path)
		}
	}
	return nil
}
