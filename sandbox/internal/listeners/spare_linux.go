package listeners

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
)

// maxSpares is the number of ports to which a trial's program can connect in addition
// to the usual ones. A scan of more ports finds the rest closed.
const maxSpares = 150

// openSpare opens a socket that does not listen yet.
func openSpare(v6, gated bool) (*os.File, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), string(KindSpare))
	err = descriptor.Of(f, func(fd int) error {
		if v6 { // for both families
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
				return os.NewSyscallError("setsockopt(IPV6_V6ONLY)", err)
			}
		}
		if !gated {
			return nil
		}
		return attach(fd, closed)
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot prepare a listener: %w", err)
	}
	return f, nil
}
