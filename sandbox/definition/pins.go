package definition

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Pins is what people decided about the definitions of one server, and what it
// was seen to define. It is a value: what changes it returns another one.
//
// For one kind and name there is at most one definition that is approved, one
// that was seen first and one that waits; others are rejected.
type Pins struct {
	Definitions []Definition `toml:"definition,omitempty" json:"definitions,omitempty"`
	// Over are the first sights that have begun and are none any more for a later
	// run: a kind and what was given with it, as sightOf makes them.
	Over []string `toml:"-" json:"over,omitempty"`
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

// See adds a definition as seen, unless it is known already. Where another one of
// the name was seen before, it waits.
func (p Pins) See(d Definition) Pins {
	d.State = Seen
	return p.Seen([]Definition{d})
}

// Wait adds a definition as one that waits, unless it is decided about. What
// waited before under the same name is forgotten.
func (p Pins) Wait(d Definition) Pins {
	d.State = Waiting
	return p.Seen([]Definition{d})
}

// Renew puts a definition in the place of what was seen first under its name, as
// after an update that showed the change. Where somebody decided about that name, it
// waits.
func (p Pins) Renew(d Definition) Pins {
	for _, o := range p.Definitions {
		if o.Kind == d.Kind && o.Name == d.Name && (o.State == Approved || o.State == Rejected) {
			return p.Wait(d)
		}
	}
	d.State = Seen
	return p.replace(d, func(o Definition) bool { return o.State == Seen || o.State == Waiting })
}

// Approve approves a definition, in place of the one approved or seen before.
func (p Pins) Approve(d Definition) Pins {
	d = d.readable()
	d.State = Approved
	return p.replace(d, func(o Definition) bool { return o.State == Approved || o.State == Seen || o.SHA256 == d.SHA256 })
}

// Reject rejects a definition. One that was approved or seen before under the same
// name stays what it is.
func (p Pins) Reject(d Definition) Pins {
	d = d.readable()
	d.State = Rejected
	return p.replace(d, func(o Definition) bool { return o.State == Waiting || o.SHA256 == d.SHA256 })
}

// ApproveAll approves everything that nobody decided about: where one definition
// of a name was seen first and another waits, the latter.
func (p Pins) ApproveAll() Pins {
	for _, state := range []State{Waiting, Seen} {
		for _, d := range p.Definitions {
			if d.State == state {
				p = p.Approve(d)
			}
		}
	}
	return p
}

// Decided is what people decided, and Undecided the rest.
func (p Pins) Decided() Pins {
	return Pins{Definitions: p.only(func(s State) bool { return s == Approved || s == Rejected })}
}

// Undecided is what was seen and nobody decided about.
func (p Pins) Undecided() Pins {
	return Pins{Definitions: p.only(func(s State) bool { return s == Seen || s == Waiting }), Over: p.Over}
}

func (p Pins) only(states func(State) bool) []Definition {
	var out []Definition
	for _, d := range p.Definitions {
		if states(d.State) {
			out = append(out, d)
		}
	}
	return out
}

// With adds what was seen elsewhere or earlier: what is decided stays so.
func (p Pins) With(seen Pins) Pins {
	p.Over = slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Over, seen.Over))))
	return p.Seen(seen.Definitions)
}

// Forget removes a definition, such as that of a tool that is no more.
func (p Pins) Forget(d Definition) Pins {
	p.Definitions = slices.DeleteFunc(slices.Clone(p.Definitions), func(o Definition) bool {
		return o.Kind == d.Kind && o.Name == d.Name && o.SHA256 == d.SHA256
	})
	return p
}

// replace puts d in the place of the definitions of its kind and name that are
// old, and keeps the order: by kind, name, state and hash.
func (p Pins) replace(d Definition, old func(Definition) bool) Pins {
	all := slices.DeleteFunc(slices.Clone(p.Definitions), func(o Definition) bool {
		return o.Kind == d.Kind && o.Name == d.Name && old(o)
	})
	all = append(all, d)
	slices.SortFunc(all, compare)
	p.Definitions = all
	return p
}

func compare(a, b Definition) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.State, b.State), cmp.Compare(a.SHA256, b.SHA256))
}

// Seen adds definitions that are seen or wait, all at once.
func (p Pins) Seen(add []Definition) Pins {
	type slot struct {
		kind  Kind
		name  string
		state State
	}
	known := make(map[Exact]int, len(p.Definitions)+len(add)) // where in all
	last := make(map[slot]int, len(p.Definitions)+len(add))
	all := slices.Clone(p.Definitions)
	for i, d := range all {
		known[Exact{Key{d.Kind, d.Name}, d.SHA256}] = i
		last[slot{d.Kind, d.Name, d.State}] = i
	}
	gone := map[int]bool{}
	for _, d := range add {
		key := Exact{Key{d.Kind, d.Name}, d.SHA256}
		if at, ok := known[key]; ok && !gone[at] {
			if all[at].State != Seen || d.State != Waiting {
				continue
			}
			gone[at] = true // it was in use, and is not to be
		}
		if _, first := last[slot{d.Kind, d.Name, Seen}]; d.State == Seen && first {
			d.State = Waiting
		}
		this := slot{d.Kind, d.Name, d.State}
		if at, ok := last[this]; ok {
			gone[at] = true
		}
		all = append(all, d)
		known[key], last[this] = len(all)-1, len(all)-1
	}
	kept := all[:0]
	for i, d := range all {
		if !gone[i] {
			kept = append(kept, d)
		}
	}
	slices.SortFunc(kept, compare)
	p.Definitions = kept
	return p
}

// Change is one definition that waits for a person.
type Change struct {
	New Definition
	// Old is the definition that New stands in for, approved or else seen first; the
	// zero one where there is none.
	Old Definition
	// Renamed says that Old has another name and is the same otherwise.
	Renamed bool
}

// Waiting lists what waits for a person, in the order of Pins: with all set what
// was seen first as well, which is in use without anybody's approval.
func (p Pins) Waiting(all bool) []Change {
	waits := func(d Definition) bool { return d.State == Waiting || all && d.State == Seen }
	waiting := map[Key]bool{}
	before := map[Key]Definition{}
	for _, d := range p.Definitions {
		n := Key{d.Kind, d.Name}
		waiting[n] = waiting[n] || waits(d)
		if old, ok := before[n]; d.State == Approved || d.State == Seen && (!ok || old.State != Approved) {
			before[n] = d
		}
	}
	renamed := sync.OnceValue(func() map[string]Definition { return p.anonymous(waiting) })
	var changes []Change
	for _, d := range p.Definitions {
		if !waits(d) {
			continue
		}
		c := Change{New: d}
		if old, ok := before[Key{d.Kind, d.Name}]; ok && old.SHA256 != d.SHA256 {
			c.Old = old
		} else if old, ok := renamed()[d.anonymous()]; ok && old.Name != d.Name {
			c.Old, c.Renamed = old, true
		}
		changes = append(changes, c)
	}
	return changes
}

// anonymous are the definitions that hold and do not change themselves, by what
// they are without their names.
func (p Pins) anonymous(waiting map[Key]bool) map[string]Definition {
	out := map[string]Definition{}
	for _, d := range p.Definitions {
		if (d.State == Approved || d.State == Seen) && !waiting[Key{d.Kind, d.Name}] {
			out[d.anonymous()] = d
		}
	}
	return out
}

// anonymous is what a definition is without the name it goes by, as a hash.
func (d Definition) anonymous() string {
	key := NameKeys[d.Kind]
	canonical, err := d.Canonical()
	if key == "" || err != nil {
		return d.SHA256
	}
	return string(d.Kind) + " " + Hash(Without(canonical, key))
}

// Key is what tells the definitions of a server apart.
type Key struct {
	Kind Kind
	Name string
}

// Exact is one definition of several that a name had.
type Exact struct {
	Key
	Hash string
}
