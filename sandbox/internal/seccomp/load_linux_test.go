package seccomp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// loadListener is Load for a filter that listens. It returns the notification
// descriptor, close-on-exec. The caller must send it to the process that runs Serve and
// then close it. From then until Serve answers, a notifying call of this thread waits:
// an open, if the plan reports opens.
//
// EBUSY means that an outer filter has a listener (a container, WSL2).
func loadListener(f Filter) (fd int, err error) {
	if !f.listens {
		return -1, fmt.Errorf("internal error: a seccomp filter without a listener loaded with one")
	}
	// Without the second flag a signal to the waiting process (Go's preemption)
	// interrupts a call that was already received, again and again (Linux 5.19).
	const listen = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	fd, err = install(f, listen|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) {
		fd, err = install(f, listen)
	}
	return fd, err
}
