package clients

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Moved is a value that left the file. Ref stands in its place.
type Moved struct {
	Name    string // of the variable
	Ref     string
	Value   string
	Literal string // the value as it was written, quotes and all
}

// Moves returns, by variable, the references that replace an entry's values. It changes
// nothing, and may be called again for the same entry.
type Moves func(Entry) map[string]string

// Literals returns the bytes that a reference replaced, or "" for a value that is no
// reference. An error leaves the entry unchanged.
type Literals func(v Var) (literal string, err error)

// move replaces values by references, and returns the values.
func (f file) move(e Entry, refs map[string]string) (file, []Moved, error) {
	var edits []edit
	var moved []Moved
	for _, v := range e.Env {
		ref, ok := refs[v.Name]
		if !ok || v.at.kind != kindText {
			continue
		}
		raw, err := token(f.data, v.at, "the value of "+v.Name)
		if err != nil {
			return file{}, nil, err
		}
		edits = append(edits, edit{v.at.start, v.at.end, quoteJSON(ref)})
		moved = append(moved, Moved{v.Name, ref, v.Value, raw})
	}
	out, err := f.values(e, edits)
	if err != nil || len(moved) == 0 {
		return f, nil, err
	}
	now, err := out.entry(e.Server, e.Scope)
	if err != nil {
		return file{}, nil, err
	}
	back, _, err := out.moveBack(now, func(v Var) (string, error) {
		i := slices.IndexFunc(moved, func(m Moved) bool { return m.Ref == v.Value })
		if i < 0 {
			return "", nil
		}
		return moved[i].Literal, nil
	})
	if err != nil || !bytes.Equal(back.data, f.data) {
		return file{}, nil, fmt.Errorf("it could not be undone to the byte: %w", errors.Join(err))
	}
	return out, moved, nil
}

// moveBack replaces references by their values, and returns the variables that it changed.
func (f file) moveBack(e Entry, literal Literals) (file, []Var, error) {
	var edits []edit
	var refs []Var
	for _, v := range e.Env {
		raw, err := literal(v)
		if err != nil {
			return file{}, nil, fmt.Errorf("%s cannot be given back: %w", v.Name, err)
		}
		if raw == "" {
			continue
		}
		if _, err := token(f.data, v.at, "the value of "+v.Name); err != nil {
			return file{}, nil, err
		}
		edits = append(edits, edit{v.at.start, v.at.end, raw})
		refs = append(refs, v)
	}
	if len(edits) == 0 {
		return f, nil, nil
	}
	out, err := f.values(e, edits)
	return out, refs, err
}

// values edits an entry's values. It fails where anything else would change.
func (f file) values(e Entry, edits []edit) (file, error) {
	out, err := f.with(edits)
	if err != nil {
		return file{}, err
	}
	before, err := f.withoutValues(e)
	if err != nil {
		return file{}, err
	}
	after, err := out.withoutValues(e)
	if err != nil {
		return file{}, err
	}
	if !same(before, after) {
		return file{}, errors.New("more than the values of its variables would change")
	}
	return out, nil
}

// withoutValues returns the tree with the entry's values blanked. It parses the file
// again, because other callers hold the first tree.
func (f file) withoutValues(e Entry) (*node, error) {
	root, err := f.format.parse(f.data)
	if err != nil {
		return nil, err
	}
	f.root = root
	if e, err = f.entry(e.Server, e.Scope); err != nil {
		return nil, err
	}
	for _, v := range e.Env {
		v.at.kind, v.at.text = kindOther, ""
	}
	return root, nil
}

// Quote writes a text as a string literal that all three formats read.
func Quote(text string) string { return quoteJSON(text) }
