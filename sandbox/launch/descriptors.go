package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// HideDescriptors keeps inherited descriptors from every program that this process
// starts.
func HideDescriptors() error {
	return hidden(unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC))
}

// hidden wraps the error of close_range(2). The flag came with Linux 5.11, so an older
// kernel fails here first.
func hidden(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return &Error{Code: ExitSandbox, Err: errors.New("this kernel is too old: mcpen needs Linux 5.13 or newer"), Hint: "mcpen doctor"}
	}
	return fmt.Errorf("cannot close inherited descriptors: %w", os.NewSyscallError("close_range", err))
}
