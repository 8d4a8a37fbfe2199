package pack

import "fmt"

// Open gives the tree that a lock names on this platform from the store alone:
// nothing is asked and nothing fetched. The error wraps ErrAbsent where the
// store has none. The caller closes the tree.
func (in *Installer) Open(l Lock) (*Tree, error) {
	want := l.Trees[in.platform(l)]
	if want == "" {
		return nil, fmt.Errorf("the tree of %s %s for %s is %w", l.Package, l.Version, in.platform(l), ErrAbsent)
	}
	return in.Store.Open(want)
}
