package pack

import "fmt"

// Refusal is the error that this package's errors wrap if nothing failed, but mcpen
// must not use a package: an archive that does not match its hash or holds things that
// no package needs, a tree that differs from its lock, a version that is too young.
type Refusal struct{ Reason error }

func (r *Refusal) Error() string { return r.Reason.Error() }
func (r *Refusal) Unwrap() error { return r.Reason }

func Refuse(format string, args ...any) error {
	return &Refusal{fmt.Errorf(format, args...)}
}

// EscapeError is the error of an archive with an entry outside of its package's folder, which
// a careless tool would write there. Nobody makes one by accident.
type EscapeError struct{ Why string }

func (e *EscapeError) Error() string { return e.Why }

// MissingError is the error of a package that its registry lacks, or lacks in the
// requested version. No other failure on the way is one.
type MissingError struct{ Err error }

func (m *MissingError) Error() string { return m.Err.Error() }
func (m *MissingError) Unwrap() error { return m.Err }

func Missing(format string, args ...any) error { return &MissingError{fmt.Errorf(format, args...)} }

// SourceError says that a PyPI package has no wheel for this machine and is not
// among those that may be built.
type SourceError struct{ Name string }

func (e *SourceError) Error() string {
	return fmt.Sprintf("cannot install pypi:%s: the index has no wheel of it, and building from source runs its code", e.Name)
}

// UnfitError is the error of a package that its registry has, in no version that can be
// installed and started here.
type UnfitError struct{ Err error }

func (u *UnfitError) Error() string { return u.Err.Error() }
func (u *UnfitError) Unwrap() error { return u.Err }
