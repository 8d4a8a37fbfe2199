package pack

import "fmt"

// Open gives the tree that a lock names on this platform from the store alone:
// nothing is asked and nothing fetched. The error wraps ErrAbsent where the
// store has none, and ErrUnconfirmed where nobody knows how old it is; the latter
// is what Confirm is for. The caller closes the tree.
func (in *Installer) Open(l Lock) (*Tree, error) {
	want := l.Trees[in.platform(l)]
	if want == "" {
		return nil, fmt.Errorf("the tree of %s %s for %s is %w", l.Package, l.Version, in.platform(l), ErrAbsent)
	}
	t, err := in.Store.Open(want)
	if err != nil {
		return nil, err
	}
	if err := in.aged(t, l); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}
