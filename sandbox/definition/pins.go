package definition

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Pins holds people's decisions about the definitions of one server, and the
// definitions that mcpen has seen. It is a value: a method that changes it returns a
// new one.
//
// For one kind and name there is at most one approved definition, one that was seen
// first and one that waits. There may be several rejected ones.
type Pins struct {
	Definitions []Definition `toml:"definition,omitempty" json:"definitions,omitempty"`
	// Over lists the first sightings that are complete: a later run takes no further
	// definition for first seen. An entry is a kind and the values given with it, as
	// sightOf makes it.
	Over []string `toml:"-" json:"over,omitempty"`
}

// Check reports the first definition that was tampered with, or two approved
// definitions with one name.
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

// See adds a definition as seen, unless it is known already. If another one with the
// name was seen before, the new one waits.
func (p Pins) See(d Definition) Pins {
	d.State = Seen
	return p.Seen([]Definition{d})
}

// Wait adds a definition as waiting, unless a person has decided about it. It replaces
// an earlier waiting definition with the same name.
func (p Pins) Wait(d Definition) Pins {
	d.State = Waiting
	return p.Seen([]Definition{d})
}

// Renew replaces the definition that was seen first under a name, as after an update
// that showed the change. If a person has decided about that name, the new one waits.
func (p Pins) Renew(d Definition) Pins {
	for _, o := range p.Definitions {
		if o.Kind == d.Kind && o.Name == d.Name && (o.State == Approved || o.State == Rejected) {
			return p.Wait(d)
		}
	}
	d.State = Seen
	return p.replace(d, func(o Definition) bool { return o.State == Seen || o.State == Waiting })
}

// Approve approves a definition. It replaces the one approved or seen before.
func (p Pins) Approve(d Definition) Pins {
	d = d.readable()
	d.State = Approved
	return p.replace(d, func(o Definition) bool { return o.State == Approved || o.State == Seen || o.SHA256 == d.SHA256 })
}

// Reject rejects a definition. A definition that was approved or seen before under the
// same name does not change.
func (p Pins) Reject(d Definition) Pins {
	d = d.readable()
	d.State = Rejected
	return p.replace(d, func(o Definition) bool { return o.State == Waiting || o.SHA256 == d.SHA256 })
}

// ApproveAll approves every definition without a decision. If one definition of a name
// was seen first and another waits, it approves the latter.
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

// Decided returns the definitions that people decided about.
func (p Pins) Decided() Pins {
	return Pins{Definitions: p.only(func(s State) bool { return s == Approved || s == Rejected })}
}

// Undecided returns the definitions that were seen and that nobody decided about.
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

// With adds definitions seen elsewhere or earlier. Decisions do not change.
func (p Pins) With(seen Pins) Pins {
	p.Over = slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Over, seen.Over))))
	return p.Seen(seen.Definitions)
}

// Forget removes a definition, such as that of a deleted tool.
func (p Pins) Forget(d Definition) Pins {
	p.Definitions = slices.DeleteFunc(slices.Clone(p.Definitions), func(o Definition) bool {
		return o.Kind == d.Kind && o.Name == d.Name && o.SHA256 == d.SHA256
	})
	return p
}

// replace puts d in the place of the old definitions of its kind and name, and keeps
// the order: by kind, name, state and hash.
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

// Seen adds several definitions that are seen or waiting.
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
			gone[at] = true // it was in use and must be removed
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
	// Old is the definition that New replaces, approved or else seen first; the zero
	// Definition if there is none.
	Old Definition
	// Renamed reports that Old has a different name and is otherwise equal.
	Renamed bool
}

// Waiting lists the definitions that wait for a person, in the order of Pins. If all is
// set, it includes those that were seen first: they are in use without anybody's
// approval.
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

// anonymous maps the definitions that are in force and do not change by their hash
// without the name.
func (p Pins) anonymous(waiting map[Key]bool) map[string]Definition {
	out := map[string]Definition{}
	for _, d := range p.Definitions {
		if (d.State == Approved || d.State == Seen) && !waiting[Key{d.Kind, d.Name}] {
			out[d.anonymous()] = d
		}
	}
	return out
}

// anonymous is the hash of a definition without its name.
func (d Definition) anonymous() string {
	key := NameKeys[d.Kind]
	canonical, err := d.Canonical()
	if key == "" || err != nil {
		return d.SHA256
	}
	return string(d.Kind) + " " + Hash(Without(canonical, key))
}

// Key identifies a definition of a server.
type Key struct {
	Kind Kind
	Name string
}

// Exact identifies one of several definitions that a name had.
type Exact struct {
	Key
	Hash string
}
