//go:build !linux

package seccomp

import (
	"context"
	"fmt"

	"mcpen/sandbox/plan"
)

// Load always fails: the filter exists only on Linux.
func Load(Filter) error { return fmt.Errorf("seccomp needs Linux") }

// Serve always fails: the filter exists only on Linux.
func Serve(context.Context, int, plan.Seccomp, Judge, func(Call)) error {
	return fmt.Errorf("seccomp needs Linux")
}
