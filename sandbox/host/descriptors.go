package host

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// spare is how many descriptors a start needs in addition to the open ones. A start
// worked with 22 and failed in a dozen different places with fewer.
const spare = 24

// Descriptors returns an error that wraps EMFILE if this process cannot open as many
// files as a start needs. Without this check the error would only name the step that
// hit the limit. It returns nil where it cannot tell.
func Descriptors() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil && limit.Cur > spare {
		return nil // no /proc; with fewer than spare descriptors the answer is known even if /proc cannot be opened
	}
	if uint64(len(open))+spare > limit.Cur {
		return fmt.Errorf("%w: this process may open %d, and a start needs %d beside the %d that are open",
			syscall.EMFILE, limit.Cur, spare, len(open))
	}
	return nil
}
