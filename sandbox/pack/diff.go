package pack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
)

// Diff holds the changes of an update, for a person to judge.
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
	Scripts []string `json:"scripts,omitempty"`
	// Built are packages that are built from source now and were not before.
	Built []string `json:"built,omitempty"`
	// Publishers are packages with a new uploader, with both names. Facts that an old
	// lock lacks are no change.
	Publishers []Changed `json:"publishers,omitempty"`
	// Entry are programs of the package that start something else now.
	Entry []Changed `json:"entry,omitempty"`
	// Bundled are packages that come inside another now, with version.
	Bundled  []string `json:"bundled,omitempty"`
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
	if old.Form >= 2 {
		d.Entry = changedPairs(old.Entry, new.Entry)
		was := before[self.Name]
		if now := after[self.Name]; was.publisher == "" && now.publisher == "" && old.Publisher != new.Publisher && old.Publisher != "" {
			d.Publishers = append(d.Publishers, Changed{self.Name, old.Publisher, new.Publisher})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
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
		if now.built && !was.built {
			d.Built = append(d.Built, name)
		}
		if was.publisher != "" && now.publisher != was.publisher {
			d.Publishers = append(d.Publishers, Changed{name, was.publisher, now.publisher})
		}
		for _, b := range now.bundled {
			if !slices.Contains(was.bundled, b) {
				d.Bundled = append(d.Bundled, name+" "+b)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if len(after[name].versions) == 0 {
			d.Removed = append(d.Removed, name)
		}
	}
	slices.Sort(d.Swapped)
	return d
}

// installed is a lock's statement about one package name.
type installed struct {
	versions  []string
	integrity map[string]string // by version and, for PyPI, file
	scripts   bool
	built     bool
	publisher string
	bundled   []string // "1.0.0 in OTHER"
}

// changedPairs are the keys whose value is another, on either side.
func changedPairs(old, new map[string]string) []Changed {
	var out []Changed
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if new[k] != old[k] {
			out = append(out, Changed{k, old[k], new[k]})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(new)) {
		if _, was := old[k]; !was {
			out = append(out, Changed{k, "", new[k]})
		}
	}
	return out
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
		if !d.Bundled {
			i.integrity[strings.TrimSpace(d.Version+" "+d.File)] = d.Integrity
		}
		i.scripts = i.scripts || d.Scripts
		i.built = i.built || d.Built
		if i.publisher == "" {
			i.publisher = d.Publisher
		}
		if d.Bundled {
			around, _, _ := cutLast(d.Path, "/node_modules/")
			i.bundled = append(i.bundled, d.Version+" in "+strings.TrimPrefix(around, "node_modules/"))
		}
		out[d.PackageName()] = i
	}
	return out
}

// String returns the difference in lines, the alarming ones first and with a mark. It
// makes strangers' text visible, so that none of it begins a line.
func (d Diff) String() string {
	var b strings.Builder
	line := func(format string, words ...string) {
		shown := make([]any, len(words))
		for i, w := range words {
			shown[i] = audit.Visible(w)
			if w == "" {
				shown[i] = "nobody knows"
			}
		}
		fmt.Fprintf(&b, format+"\n", shown...)
	}
	for _, s := range d.Swapped {
		line("! %s: another archive under the same version", s)
	}
	if d.Registry != "" {
		line("! comes from %s now", d.Registry)
	}
	for _, c := range d.Publishers {
		line("! %s is published by another: %s -> %s", c.Name, c.Old, c.New)
	}
	for _, c := range d.Entry {
		switch {
		case c.Old == "":
			line("! it brings the program %s now: %s", c.Name, c.New)
		case c.New == "":
			line("! its program %s is gone (it was %s)", c.Name, c.Old)
		default:
			line("! its program %s starts something else: %s -> %s", c.Name, c.Old, c.New)
		}
	}
	for _, s := range d.Bundled {
		line("! bundles %s now", s)
	}
	for _, s := range d.Scripts {
		line("! %s has install scripts now", s)
	}
	for _, s := range d.Built {
		line("! %s is built from source now: its code runs when it is installed", s)
	}
	if d.Old != d.New {
		line("  %s %s -> %s", d.Package, d.Old, d.New)
	}
	if d.License != "" {
		line("  licence: %s", d.License)
	}
	for _, s := range d.Added {
		line("+ %s", s)
	}
	for _, s := range d.Removed {
		line("- %s", s)
	}
	for _, c := range d.Changed {
		line("  %s %s -> %s", c.Name, c.Old, c.New)
	}
	if d.OldBytes != d.NewBytes {
		fmt.Fprintf(&b, "  %+d bytes\n", d.NewBytes-d.OldBytes)
	}
	return b.String()
}
