package pack

import "fmt"

// Missing is the error of a package that its registry does not have, or not in the
// version that was asked for. Whatever else goes wrong on the way is none.
type Missing struct{ Err error }

func (m *Missing) Error() string { return m.Err.Error() }
func (m *Missing) Unwrap() error { return m.Err }

func missing(format string, args ...any) error { return &Missing{fmt.Errorf(format, args...)} }
