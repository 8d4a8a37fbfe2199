package clients

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/diff"
)

// patience is how long a file may keep changing before mcpen gives up changing it.
const patience = 10 * time.Second

// Servers reads the entries of a file. An error says why mcpen leaves the file alone.
func (p Place) Servers() ([]Entry, error) {
	_, f, err := p.load()
	if err != nil {
		return nil, err
	}
	return f.entries(), nil
}

// load reads the file. One that does not parse may be one that a client is writing at
// this moment: it is read again while it changes.
func (p Place) load() ([]byte, file, error) {
	data, err := read(p.Path)
	if err != nil {
		return nil, file{}, err
	}
	f, err := parseFile(p.format, p.shapes, data)
	for tries := 0; err != nil && tries < 20; tries++ {
		time.Sleep(10 * time.Millisecond)
		again, errRead := read(p.Path)
		if errRead != nil || bytes.Equal(again, data) {
			break
		}
		data = again
		f, err = parseFile(p.format, p.shapes, data)
	}
	return data, f, err
}

// Refused says why nothing is written to a file, or nil.
func (p Place) Refused() error {
	switch {
	case p.Client.readOnly != "":
		return errors.New(p.Client.readOnly)
	case p.Pack == "Flatpak":
		return errors.New("as a Flatpak the client cannot start mcpen; what works is a command of \"flatpak-spawn\" with the arguments \"--host\", mcpen's path, \"run\", \"--\" and the server's command, where the Flatpak may talk to org.freedesktop.Flatpak")
	case p.Pack == "Snap":
		return errors.New("as a strictly confined Snap the client cannot start mcpen; what works is a Snap of classic confinement, or the client's own package")
	}
	return nil
}

// Words returns the words that wrap puts after "run" for an entry; ok is false if wrap
// leaves the entry alone.
type Words func(Entry) (words []string, ok bool)

// Change is the result of wrap or unwrap on a file.
type Change struct {
	Path          string
	Before, After []byte
	Done          []Entry // as they were
	Left          []Left  // that should have been changed, and could not be
	Moved         []Moved // values that are references in the file now
	Back          []Var   // whose references the file has no more
	Kept          []string
	Open          []Process // the processes that have the file open
}

// Left is an entry that could not be changed, and why.
type Left struct {
	Entry
	Err error
}

// Diff is the change as a unified diff, or "".
func (c Change) Diff() string {
	return string(diff.Diff(c.Path, c.Before, c.Path, c.After))
}

// Wrap puts mcpen in front of the entries that words has words for, and references in the
// place of the values that moves has some for; nil moves none. Of an entry that is wrapped
// already only values move.
func (p Place) Wrap(mcpen string, words Words, moves Moves) (Change, error) {
	var all []Moved
	change, err := p.change(func(f file, e Entry) (file, bool, error) {
		if e.State == Wrapped {
			if moves == nil {
				return f, false, nil
			}
			out, moved, err := f.move(e, moves(e))
			all = append(all, moved...)
			return out, err != nil || len(moved) > 0, err
		}
		w, ok := words(e)
		if !ok {
			return f, false, nil
		}
		out, err := f.wrap(e, mcpen, append(append([]string{"run"}, w...), "--"))
		if err != nil || moves == nil {
			return out, true, err
		}
		now, err := out.entry(e.Server, e.Scope)
		if err != nil {
			return out, true, err
		}
		out, moved, err := out.move(now, moves(e))
		all = append(all, moved...)
		return out, true, err
	})
	change.Moved = all
	return change, err
}

// Unwrap restores the original commands and values of wrapped entries.
func (p Place) Unwrap(wanted func(Entry) bool, literals Literals) (Change, error) {
	var all []Var
	change, err := p.change(func(f file, e Entry) (file, bool, error) {
		if e.State != Wrapped || !wanted(e) {
			return f, false, nil
		}
		out, refs, err := f.moveBack(e, literals)
		if err != nil {
			return out, true, err
		}
		now, err := out.entry(e.Server, e.Scope)
		if err != nil {
			return out, true, err
		}
		out, err = out.unwrap(now)
		if err == nil {
			all = append(all, refs...)
		}
		return out, true, err
	})
	change.Back = all
	return change, err
}

// turn changes one entry. It reports whether it was to change it.
type turn func(file, Entry) (file, bool, error)

// change computes the file after a turn of every entry.
func (p Place) change(do turn) (Change, error) {
	out := Change{Path: p.Path}
	data, f, err := p.load()
	if err != nil {
		return out, err
	}
	for _, e := range f.entries() {
		now, err := f.entry(e.Server, e.Scope) // its present place
		if err != nil {
			return out, err
		}
		next, wanted, err := do(f, now)
		switch {
		case !wanted:
		case err != nil:
			out.Left = append(out.Left, Left{now, err})
		default:
			f = next
			out.Done = append(out.Done, now)
		}
	}
	out.Before, out.After = data, f.bytes()
	return out, nil
}

// Apply writes the result of change to the file, and calls change again if another
// program wrote to the file meanwhile. It returns the change that it made.
func Apply(p Place, change func() (Change, error)) (Change, error) {
	if err := p.Refused(); err != nil {
		return Change{Path: p.Path}, err
	}
	real, err := filepath.EvalSymlinks(p.Path)
	if err != nil {
		return Change{Path: p.Path}, short(err)
	}
	kept := p.sweep(real)
	open := holders(real)
	for end := time.Now().Add(patience); ; {
		c, err := change()
		c.Kept, c.Open = kept, open
		if err == nil && !bytes.Equal(c.Before, c.After) {
			err = replace(p.Path, c.Before, c.After)
		}
		var held *heldError
		switch {
		case errors.As(err, &held):
			held.by = holders(real)
			return c, err
		case err == nil || !errors.Is(err, errChanged):
			return c, short(err)
		case time.Now().After(end):
			return c, fmt.Errorf("it kept changing for %v", patience)
		}
		time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond)
	}
}

// plain is the file with every entry unwrapped.
func (p Place) plain(data []byte) ([]byte, error) {
	f, err := parseFile(p.format, p.shapes, data)
	if err != nil {
		return nil, err
	}
	for _, e := range f.entries() {
		if e.State != Wrapped {
			continue
		}
		now, err := f.entry(e.Server, e.Scope)
		if err == nil {
			f, err = f.unwrap(now)
		}
		if err != nil {
			return nil, err
		}
	}
	return f.bytes(), nil
}
