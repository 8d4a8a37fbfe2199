package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// linkBins makes node_modules/.bin as npm does, for the packages at the top: servers
// find the programs of their dependencies there. npm itself would make it from its lock
// file, which does not hold the programs that these packages really bring. If two
// packages bring the same name, the package itself comes first.
func linkBins(root *os.Root, modules, self string) error {
	names, err := topPackages(root, modules)
	if err != nil {
		return err
	}
	if i := slices.Index(names, self); i >= 0 {
		names = append([]string{self}, slices.Delete(names, i, i+1)...)
	}
	taken := map[string]bool{}
	for _, name := range names {
		data, err := root.ReadFile(modules + "/" + name + "/package.json")
		if err != nil {
			continue
		}
		var p packageJSON
		if json.Unmarshal(data, &p) != nil {
			continue
		}
		bins := p.bins()
		for _, bin := range slices.Sorted(maps.Keys(bins)) {
			target := name + "/" + bins[bin]
			info, err := root.Lstat(modules + "/" + target)
			if taken[bin] || err != nil || !info.Mode().IsRegular() {
				continue
			}
			taken[bin] = true
			if err := linkBin(root, modules, bin, target); err != nil {
				return fmt.Errorf("cannot link program %q of %q: %w", bin, name, err)
			}
		}
	}
	return nil
}

func linkBin(root *os.Root, modules, bin, target string) error {
	if err := root.Chmod(modules+"/"+target, 0o755); err != nil {
		return err
	}
	if err := root.Mkdir(modules+"/.bin", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return root.Symlink("../"+target, modules+"/.bin/"+bin)
}

// topPackages lists the packages directly below node_modules, sorted.
func topPackages(root *os.Root, modules string) ([]string, error) {
	list, err := fs.ReadDir(root.FS(), modules)
	if err != nil {
		return nil, fmt.Errorf("cannot read what npm installed: %w", err)
	}
	var names []string
	for _, d := range list {
		switch {
		case strings.HasPrefix(d.Name(), "."):
		case strings.HasPrefix(d.Name(), "@"):
			scoped, err := fs.ReadDir(root.FS(), modules+"/"+d.Name())
			if err != nil {
				return nil, fmt.Errorf("cannot read what npm installed: %w", err)
			}
			for _, s := range scoped {
				names = append(names, d.Name()+"/"+s.Name())
			}
		default:
			names = append(names, d.Name())
		}
	}
	return names, nil
}
