package listeners

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ListenUnix opens a listening socket at path, which leads to the host's socket with
// the same path. The directory must exist and be writable for pid 1, and nothing may
// exist at path yet. Every process inside may connect.
func ListenUnix(path string) (Handle, error) {
	fail := func(call string, err error) (Handle, error) {
		return Handle{}, fmt.Errorf("cannot make the socket %q inside: %s: %v", path, call, err)
	}
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open its directory", err)
	}
	defer unix.Close(dir)
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail("socket", err)
	}
	// Through the directory: sun_path holds 107 bytes (unix(7)), and paths below a home
	// are often longer.
	if err := unix.Bind(s, &unix.SockaddrUnix{Name: shorten(dir, path)}); err != nil {
		unix.Close(s)
		return fail("bind", err)
	}
	if err := unix.Fchmodat(dir, filepath.Base(path), 0o666, 0); err != nil {
		unix.Close(s)
		return fail("chmod", err)
	}
	if err := unix.Listen(s, unix.SOMAXCONN); err != nil {
		unix.Close(s)
		return fail("listen", err)
	}
	return Handle{Kind: KindUnix, Path: path, File: os.NewFile(uintptr(s), path)}, nil
}

// maxSunPath is the longest path that bind(2) and connect(2) accept.
const maxSunPath = 107

// shorten is a name for path that fits: path itself, or its last element below the
// descriptor of its directory.
func shorten(dir int, path string) string {
	if len(path) <= maxSunPath {
		return path
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(path))
}
