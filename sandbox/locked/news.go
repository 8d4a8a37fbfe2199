package locked

import (
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/user"
)

// News compares a locked package with the registry.
type News struct {
	Name      string `json:"name"` // of the lock
	Package   string `json:"package"`
	Version   string `json:"version"` // the locked one
	Available string `json:"available,omitempty"`
	State     string `json:"state,omitempty"`     // one of the states below
	Withdrawn string `json:"withdrawn,omitempty"` // how the locked version was
	Error     string `json:"error,omitempty"`     // why nothing can be said
}

// The states of a locked version.
const (
	StateCurrent   = "current"   // no version that is old enough is newer
	StateNewer     = "newer"     // the available one is
	StateLower     = "lower"     // the locked one was withdrawn, and its replacement is lower
	StatePreferred = "preferred" // the registry prefers a lower one
	StateOutside   = "outside"   // the profile asks for another version
)

// NewsOf holds a release against the lock.
func (c *Packages) NewsOf(at user.Dirs, l Lock, rel registry.Release, withdrawn string, err error) News {
	n := News{Name: l.Name, Package: l.Lock.Package, Version: l.Lock.Version, Withdrawn: withdrawn}
	if err != nil {
		n.Error = err.Error()
		return n
	}
	n.Available, n.State = rel.Ref.Version, StateCurrent
	switch order := rel.Compare(l.Lock); {
	case order != 0 && c.Outside(at, l):
		n.State = StateOutside
	case order > 0:
		n.State = StateNewer
	case order < 0 && withdrawn != "":
		n.State = StateLower
	case order < 0 && rel.Preferred:
		n.State = StatePreferred
	}
	return n
}
