//go:build !linux

package notify

import (
	"context"
	"fmt"

	"mcpen/sandbox/plan"
)

// Serve always fails: the filter exists only on Linux.
func Serve(context.Context, int, plan.Seccomp, Judge, func(Call)) error {
	return fmt.Errorf("seccomp needs Linux")
}
