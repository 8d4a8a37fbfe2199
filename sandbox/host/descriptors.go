package host

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// spare is how many descriptors a start needs beside those that are open: it
// was seen to work with 22, and to fail in a dozen different places with less.
const spare = 24

// Descriptors is an error where this process cannot open as many files as a
// start needs. Asked first, as otherwise the error says only which step came
// upon the limit. It wraps EMFILE, and is nil where nothing can be told.
func Descriptors() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil && limit.Cur > spare {
		return nil // no /proc; where even that could not be opened the answer is known
	}
	if uint64(len(open))+spare > limit.Cur {
		return fmt.Errorf("%w: this process may open %d, and a start needs %d beside the %d that are open",
			syscall.EMFILE, limit.Cur, spare, len(open))
	}
	return nil
}
