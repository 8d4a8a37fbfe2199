//go:build !linux

package seccomp

import "fmt"

// Load always fails: the filter exists only on Linux.
func Load(Filter) error { return fmt.Errorf("seccomp needs Linux") }
