package guard

import (
	"cmp"
	"fmt"
	"slices"
)

// Pins is what people decided about the definitions of one server, and what it
// was last seen to define. It is a value: what changes it returns another one.
// It is kept in the lock beside the profile.
//
// For one kind and name there is at most one definition that is approved. Others
// of the same name are seen, and wait, or are rejected.
type Pins struct {
	Definitions []Definition `toml:"definition,omitempty" json:"definitions,omitempty"`
}

// Check reports the first definition that was tampered with, or two that are
// approved under one name.
func (p Pins) Check() error {
	type key struct {
		kind Kind
		name string
	}
	approved := map[key]bool{}
	for _, d := range p.Definitions {
		if err := d.Check(); err != nil {
			return err
		}
		k := key{d.Kind, d.Name}
		if d.State == Approved && approved[k] {
			return fmt.Errorf("two definitions of %s %q are approved", d.Kind, d.Name)
		}
		approved[k] = approved[k] || d.State == Approved
	}
	return nil
}

// find is the definition with a hash, and false where there is none.
func (p Pins) find(kind Kind, name, hash string) (Definition, bool) {
	for _, d := range p.Definitions {
		if d.Kind == kind && d.Name == name && d.SHA256 == hash {
			return d, true
		}
	}
	return Definition{}, false
}

// approved is the definition of a kind and name that was approved.
func (p Pins) approved(kind Kind, name string) (Definition, bool) {
	for _, d := range p.Definitions {
		if d.Kind == kind && d.Name == name && d.State == Approved {
			return d, true
		}
	}
	return Definition{}, false
}

// See adds a definition as seen, unless it is known already. What was seen
// before under the same name, and not decided about, is forgotten.
func (p Pins) See(d Definition) Pins {
	if _, ok := p.find(d.Kind, d.Name, d.SHA256); ok {
		return p
	}
	d.State = Seen
	return p.replace(d, func(o Definition) bool { return o.State == Seen })
}

// Approve approves a definition, in place of the one approved before.
func (p Pins) Approve(d Definition) Pins {
	d.State = Approved
	return p.replace(d, func(o Definition) bool { return o.State != Rejected || o.SHA256 == d.SHA256 })
}

// Reject rejects a definition. One that was approved before under the same name
// stays approved.
func (p Pins) Reject(d Definition) Pins {
	d.State = Rejected
	return p.replace(d, func(o Definition) bool { return o.State == Seen || o.SHA256 == d.SHA256 })
}

// ApproveAll approves everything that waits.
func (p Pins) ApproveAll() Pins {
	for _, d := range p.Definitions {
		if d.State == Seen {
			p = p.Approve(d)
		}
	}
	return p
}

// Forget removes a definition, such as that of a tool that is no more.
func (p Pins) Forget(d Definition) Pins {
	return Pins{slices.DeleteFunc(slices.Clone(p.Definitions), func(o Definition) bool {
		return o.Kind == d.Kind && o.Name == d.Name && o.SHA256 == d.SHA256
	})}
}

// replace puts d in the place of the definitions of its kind and name that are
// old, and keeps the order: by kind, name, state and hash.
func (p Pins) replace(d Definition, old func(Definition) bool) Pins {
	all := slices.DeleteFunc(slices.Clone(p.Definitions), func(o Definition) bool {
		return o.Kind == d.Kind && o.Name == d.Name && old(o)
	})
	all = append(all, d)
	slices.SortFunc(all, compare)
	return Pins{all}
}

func compare(a, b Definition) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.State, b.State), cmp.Compare(a.SHA256, b.SHA256))
}

// seen adds definitions as See does, all at once.
func (p Pins) seen(add map[nameKey]Definition) Pins {
	known := map[pinKey]bool{}
	for _, d := range p.Definitions {
		known[pinKey{nameKey{d.Kind, d.Name}, d.SHA256}] = true
	}
	var all []Definition
	for _, d := range p.Definitions {
		if n := add[nameKey{d.Kind, d.Name}]; d.State != Seen || n.Kind == "" || n.SHA256 == d.SHA256 {
			all = append(all, d)
		}
	}
	for _, d := range add {
		if !known[pinKey{nameKey{d.Kind, d.Name}, d.SHA256}] {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, compare)
	return Pins{all}
}

// Change is one definition that waits for a person.
type Change struct {
	New Definition
	// Old is the approved definition that New stands in for; the zero one where
	// there is none.
	Old Definition
	// Renamed says that Old has another name and is the same otherwise.
	Renamed bool
}

// Waiting lists what was seen and not decided about, in the order of Pins.
func (p Pins) Waiting() []Change {
	waiting := map[[2]string]bool{}
	for _, d := range p.Definitions {
		if d.State == Seen {
			waiting[[2]string{string(d.Kind), d.Name}] = true
		}
	}
	var changes []Change
	for _, d := range p.Definitions {
		if d.State != Seen {
			continue
		}
		c := Change{New: d}
		if old, ok := p.approved(d.Kind, d.Name); ok {
			c.Old = old
		} else if old, ok := p.renamed(d, waiting); ok {
			c.Old, c.Renamed = old, true
		}
		changes = append(changes, c)
	}
	return changes
}

// renamed finds an approved definition, itself unchanged, that differs from d in
// its name alone.
func (p Pins) renamed(d Definition, waiting map[[2]string]bool) (Definition, bool) {
	anonymous := d.anonymous()
	for _, o := range p.Definitions {
		if o.Kind == d.Kind && o.State == Approved && o.Name != d.Name && o.Description == d.Description &&
			!waiting[[2]string{string(o.Kind), o.Name}] && o.anonymous() == anonymous {
			return o, true
		}
	}
	return Definition{}, false
}

// anonymous is the definition without the name it goes by.
func (d Definition) anonymous() string {
	key := nameKeys[d.Kind]
	canonical, err := d.Canonical()
	if key == "" || err != nil {
		return d.SHA256
	}
	return string(without(canonical, key))
}
