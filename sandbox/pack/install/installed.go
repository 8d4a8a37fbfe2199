package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
)

// maxMetadata bounds a package.json or METADATA of an installed package.
const maxMetadata = 8 << 20

// CheckTree compares the packages' own descriptions in a tree with the lock: each
// package has the name and the version in the lock, and there is no other package. The
// scan looks up the lock's names in an advisory database, so a lock with a false name
// would hide a package. The first form of lock does not list bundled packages; for such
// a lock CheckTree returns them.
func CheckTree(t *store.Tree, l pack.Lock) (bundled []pack.Dependency, err error) {
	found, err := readInstalled(os.DirFS(t.Dir), l)
	if err != nil {
		return nil, pack.Refuse("cannot use %s %s: %w", l.Package, l.Version, err)
	}
	if err := found.matches(l); err != nil {
		return nil, pack.Refuse("cannot use %s %s: %w", l.Package, l.Version, err)
	}
	return found.bundled, nil
}

// adopt compares the installed packages with the lock, before any of their code runs,
// or completes a lock in the making. It vets the packages inside other packages as
// those were.
func (w *work) adopt() error {
	tree, err := fs.Sub(w.root.FS(), "tree")
	if err != nil {
		return err
	}
	found, err := readInstalled(tree, *w.lock)
	if err == nil && !w.choosing {
		err = found.matches(*w.lock)
	}
	if err != nil {
		return pack.Refuse("cannot accept %s %s: %w", w.lock.Package, w.lock.Version, err)
	}
	vetted := *w.lock
	vetted.Dependencies = append(slices.DeleteFunc(slices.Clone(w.lock.Dependencies), func(d pack.Dependency) bool { return d.Bundled }), found.bundled...)
	if w.choosing {
		w.lock.Dependencies, w.lock.Entry = vetted.Dependencies, found.entry
	}
	if w.in.Vet == nil || len(found.bundled) == 0 {
		return nil
	}
	return w.in.Vet(vetted)
}

// contents holds the descriptions of a tree's packages by themselves.
type contents struct {
	bundled []pack.Dependency // not installed from an archive of their own
	entry   map[string]string // the programs of the package itself
}

// matches compares the contents with a lock of the second form.
func (c contents) matches(l pack.Lock) error {
	if l.Form < 2 {
		return nil
	}
	listed := map[string]pack.Dependency{}
	for _, d := range l.Dependencies {
		if d.Bundled {
			listed[d.Path] = d
		}
	}
	for _, d := range c.bundled {
		if was, ok := listed[d.Path]; !ok || was.PackageName() != d.PackageName() || was.Version != d.Version {
			return fmt.Errorf("it bundles %s %s at %q, and the lock does not list it", d.PackageName(), d.Version, d.Path)
		}
		delete(listed, d.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		return fmt.Errorf("the lock lists %q as bundled, and it is not there", name)
	}
	if !maps.Equal(c.entry, l.Entry) {
		return fmt.Errorf("its programs are %q, and the lock lists %q", sortedPairs(c.entry), sortedPairs(l.Entry))
	}
	return nil
}

func sortedPairs(m map[string]string) []string {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+" = "+m[k])
	}
	return out
}

// readInstalled reads a tree, and refuses a package that differs from the lock.
func readInstalled(tree fs.FS, l pack.Lock) (contents, error) {
	ref, err := l.Ref()
	if err != nil {
		return contents{}, err
	}
	if ref.Ecosystem == pack.PyPI {
		return readWheels(tree, l, ref)
	}
	return readModules(tree, l, ref)
}

// readModules looks at every package below node_modules, at any depth.
func readModules(tree fs.FS, l pack.Lock, ref pack.Ref) (contents, error) {
	locked := map[string]pack.Dependency{}
	for _, d := range l.Dependencies {
		locked[d.Path] = d
	}
	var c contents
	places, err := nodePlaces(tree, "node_modules", nil)
	if err != nil {
		return c, err
	}
	for _, place := range places {
		d, ok := locked[place]
		p, err := readPackageJSON(tree, place)
		if !ok || d.Bundled {
			if err == nil {
				c.bundled = append(c.bundled, bundledAt(place, p))
			}
			continue
		}
		if err != nil {
			return c, fmt.Errorf("%q: its package.json does not read: %w", place, err)
		}
		delete(locked, place)
		if p.Name != d.PackageName() || !pack.SameNPMVersion(p.Version, d.Version) {
			return c, fmt.Errorf("%q is locked as %s %s, and its archive holds %q %q", place, d.PackageName(), d.Version, p.Name, p.Version)
		}
		if place == "node_modules/"+ref.Name {
			c.entry = p.bins()
		}
	}
	for _, place := range slices.Sorted(maps.Keys(locked)) {
		if d := locked[place]; !d.Optional && !d.Bundled {
			return c, fmt.Errorf("the lock lists %q, and it is not there", place)
		}
	}
	if len(c.entry) == 0 {
		c.entry = nil
	}
	return c, nil
}

// nodePlaces lists the places below a node_modules at which node finds packages.
func nodePlaces(tree fs.FS, modules string, out []string) ([]string, error) {
	list, err := fs.ReadDir(tree, modules)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what was installed: %w", err)
	}
	for _, d := range list {
		place := modules + "/" + d.Name()
		switch {
		case !d.IsDir() || strings.HasPrefix(d.Name(), "."):
		case strings.HasPrefix(d.Name(), "@"):
			scoped, err := fs.ReadDir(tree, place)
			if err != nil {
				return nil, fmt.Errorf("cannot read what was installed: %w", err)
			}
			for _, s := range scoped {
				if s.IsDir() {
					if out, err = nodePlaces(tree, place+"/"+s.Name()+"/node_modules", append(out, place+"/"+s.Name())); err != nil {
						return nil, err
					}
				}
			}
		default:
			if out, err = nodePlaces(tree, place+"/node_modules", append(out, place)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func readPackageJSON(tree fs.FS, place string) (packageJSON, error) {
	var p packageJSON
	data, err := readBounded(tree, place+"/package.json", maxMetadata)
	if err != nil {
		return p, err
	}
	// npm removes a byte order mark as well.
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &p); err != nil {
		return p, err
	}
	return p, nil
}

// bundledAt returns the lock's entry for a package that came inside another. It keeps
// the package's own name and version if they are valid.
func bundledAt(place string, p packageJSON) pack.Dependency {
	d := pack.Dependency{Path: place, Version: p.Version, Bundled: true}
	if p.Name != d.PackageName() && pack.CheckNPMDependency(p.Name) == nil {
		d.Name = p.Name
	}
	if !pack.ExactSemver(d.Version) {
		d.Version = "0.0.0"
	}
	return d
}

// readWheels looks at every dist-info.
func readWheels(tree fs.FS, l pack.Lock, ref pack.Ref) (contents, error) {
	var c contents
	list, err := fs.ReadDir(tree, "lib")
	if err != nil {
		return c, fmt.Errorf("cannot read what was installed: %w", err)
	}
	missing := map[string]pack.Dependency{}
	for _, d := range l.Dependencies {
		missing[d.Path] = d
	}
	for _, e := range list {
		if !e.IsDir() || !strings.HasSuffix(e.Name(), ".dist-info") {
			continue
		}
		name, version, err := wheelMetadata(tree, "lib/"+e.Name())
		if err != nil {
			return c, fmt.Errorf("%q: its METADATA does not read: %w", e.Name(), err)
		}
		d, ok := missing[name]
		if !ok || !pack.SamePyPIVersion(version, d.Version) {
			return c, fmt.Errorf("%q holds %q %q, and the lock says %q", e.Name(), name, version, strings.TrimSpace(d.Path+" "+d.Version))
		}
		delete(missing, name)
		if name == ref.Name {
			data, err := readBounded(tree, "lib/"+e.Name()+"/entry_points.txt", 1<<20)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return c, err
			}
			if points := entryPoints(data); len(points) > 0 {
				c.entry = points
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		return c, fmt.Errorf("the lock lists %q, and it is not there", name)
	}
	return c, nil
}

func wheelMetadata(tree fs.FS, dir string) (name, version string, err error) {
	data, err := readBounded(tree, dir+"/METADATA", maxMetadata)
	if err != nil {
		return "", "", err
	}
	fields, err := registry.MetadataFields(data)
	if err != nil {
		return "", "", err
	}
	if len(fields["Name"]) != 1 || len(fields["Version"]) != 1 {
		return "", "", errors.New("it does not have one name and one version")
	}
	return pack.NormalizePyPI(strings.TrimSpace(fields.Get("Name"))), strings.TrimSpace(fields.Get("Version")), nil
}

// readBounded reads one regular file of a tree.
func readBounded(tree fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Lstat(tree, path.Clean(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%q is no file of at most %d bytes", name, limit)
	}
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
