package pack

import (
	"fmt"
	"slices"
	"strings"
)

// Diff is what an update changes, for a person to judge.
type Diff struct {
	Package string    `json:"package"`
	Old     string    `json:"old"` // versions
	New     string    `json:"new"`
	Added   []string  `json:"added,omitempty"`   // packages that were not there at all, with version
	Removed []string  `json:"removed,omitempty"` // packages that are gone
	Changed []Changed `json:"changed,omitempty"`
	// Swapped are archives that changed under the same name and version: no
	// registry allows that.
	Swapped []string `json:"swapped,omitempty"`
	// Scripts are packages that have lifecycle scripts now and had none before.
	Scripts  []string `json:"scripts,omitempty"`
	OldBytes int64    `json:"old_bytes"`
	NewBytes int64    `json:"new_bytes"`
	Registry string   `json:"registry,omitempty"` // the new one, where it is another
	License  string   `json:"license,omitempty"`  // the new one, where it is another
}

// Changed is a dependency in another set of versions.
type Changed struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// DiffLocks compares two locks of the same package.
func DiffLocks(old, new Lock) Diff {
	d := Diff{Package: new.Package, Old: old.Version, New: new.Version, OldBytes: old.Bytes, NewBytes: new.Bytes}
	if old.Registry != new.Registry {
		d.Registry = new.Registry
	}
	if old.License != new.License {
		d.License = new.License
	}
	before, after := byName(old), byName(new)
	self, _ := new.Ref()
	for _, name := range sortedKeys(after) {
		was, now := before[name], after[name]
		if name != self.Name {
			switch {
			case len(was.versions) == 0:
				d.Added = append(d.Added, name+" "+strings.Join(now.versions, ", "))
			case !slices.Equal(was.versions, now.versions):
				d.Changed = append(d.Changed, Changed{name, strings.Join(was.versions, ", "), strings.Join(now.versions, ", ")})
			}
		}
		for version, integrity := range now.integrity {
			if was.integrity[version] != "" && was.integrity[version] != integrity {
				d.Swapped = append(d.Swapped, name+" "+version)
			}
		}
		if now.scripts && !was.scripts {
			d.Scripts = append(d.Scripts, name)
		}
	}
	for _, name := range sortedKeys(before) {
		if len(after[name].versions) == 0 {
			d.Removed = append(d.Removed, name)
		}
	}
	slices.Sort(d.Swapped)
	return d
}

// installed is what a lock says of one package name.
type installed struct {
	versions  []string
	integrity map[string]string // by version and, for PyPI, file
	scripts   bool
}

func byName(l Lock) map[string]installed {
	out := map[string]installed{}
	for _, d := range l.Dependencies {
		i := out[d.PackageName()]
		if i.integrity == nil {
			i.integrity = map[string]string{}
		}
		if !slices.Contains(i.versions, d.Version) {
			i.versions = append(i.versions, d.Version)
		}
		slices.Sort(i.versions)
		i.integrity[strings.TrimSpace(d.Version+" "+d.File)] = d.Integrity
		i.scripts = i.scripts || d.Scripts
		out[d.PackageName()] = i
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Empty is true when nothing that matters changed.
func (d Diff) Empty() bool {
	return d.Old == d.New && len(d.Added)+len(d.Removed)+len(d.Changed)+len(d.Swapped)+len(d.Scripts) == 0 && d.Registry == "" && d.License == ""
}

// String is the difference in lines, the alarming ones first.
func (d Diff) String() string {
	var b strings.Builder
	for _, s := range d.Swapped {
		fmt.Fprintf(&b, "! %s: another archive under the same version\n", s)
	}
	if d.Registry != "" {
		fmt.Fprintf(&b, "! comes from %s now\n", d.Registry)
	}
	for _, s := range d.Scripts {
		fmt.Fprintf(&b, "! %s has install scripts now\n", s)
	}
	if d.Old != d.New {
		fmt.Fprintf(&b, "  %s %s -> %s\n", d.Package, d.Old, d.New)
	}
	if d.License != "" {
		fmt.Fprintf(&b, "  licence: %s\n", d.License)
	}
	for _, s := range d.Added {
		fmt.Fprintf(&b, "+ %s\n", s)
	}
	for _, s := range d.Removed {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	for _, c := range d.Changed {
		fmt.Fprintf(&b, "  %s %s -> %s\n", c.Name, c.Old, c.New)
	}
	if d.OldBytes != d.NewBytes {
		fmt.Fprintf(&b, "  %+d bytes\n", d.NewBytes-d.OldBytes)
	}
	return b.String()
}
