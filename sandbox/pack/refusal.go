package pack

import "fmt"

// Refusal is what errors of this package wrap when nothing failed but what was
// there is not to be used: an archive that is not what its hash says or that
// holds what no package has business with, a tree that is not what its lock
// says, a version that is too young.
type Refusal struct{ Reason error }

func (r *Refusal) Error() string { return r.Reason.Error() }
func (r *Refusal) Unwrap() error { return r.Reason }

func refuse(format string, args ...any) error {
	return &Refusal{fmt.Errorf(format, args...)}
}
