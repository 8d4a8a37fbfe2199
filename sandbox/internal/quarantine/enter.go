package quarantine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What is done in a directory decides the rights that its owner needs on it.
const (
	toLook = 0o500
	toMove = 0o700
)

func nothing() error { return nil }

// enter opens a directory in another, by no symlink. Where the owner, who is the
// server's user and this process's, lacks a right, it is lent until restore. It
// returns no file for what is gone or no directory any more, or is closed to
// both of them.
func enter(dir *os.File, name string, need uint32) (sub *os.File, restore func() error, err error) {
	held, err := unix.Openat(int(dir.Fd()), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil, nothing, nil
	case err != nil:
		return nil, nothing, os.NewSyscallError("openat", err)
	}
	defer unix.Close(held)
	old, err := lend(held, need)
	if err != nil {
		return nil, nothing, err
	}
	fd, err := unix.Openat(held, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EACCES) && old == 0:
		return nil, nothing, nil
	case err != nil:
		return nil, nothing, os.NewSyscallError("openat", err)
	}
	if old != 0 {
		restore = func() error { return os.NewSyscallError("fchmod", unix.Fchmod(fd, old&0o7777)) }
	} else {
		restore = nothing
	}
	return os.NewFile(uintptr(fd), fdPath(fd)), restore, nil // the name serves file systems that do not tell types
}

// lend gives a directory's owner the rights that are needed. It returns the mode
// that the directory had, with its type, or 0 where nothing was changed.
func lend(fd int, need uint32) (old uint32, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	if st.Mode&need == need || int(st.Uid) != os.Geteuid() {
		return 0, nil
	}
	// By way of /proc, since a descriptor of O_PATH is all there is.
	if err := unix.Chmod(fdPath(fd), st.Mode&0o7777|need); err != nil {
		return 0, os.NewSyscallError("chmod", err)
	}
	return st.Mode, nil
}
