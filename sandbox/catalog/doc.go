// Package catalog finds the profiles of this user, of this machine and of mcpen by name or
// path (Loader), the machine's baseline, and the files that lie beside a profile: its lock
// and its pins. Identity says by which name a profile's state, log and pins go: two
// profiles of the same name never share them.
//
// It reads and writes no lock and no pins, and it does not ask whether a profile is
// trusted.
package catalog
