//go:build !linux

package seccomp

import "fmt"

// Load always fails: the filter is Linux's.
func Load(Filter) error { return fmt.Errorf("seccomp needs Linux") }

// LoadListener always fails: the filter is Linux's.
func LoadListener(Filter) (int, error) { return -1, fmt.Errorf("seccomp needs Linux") }
