package wholefile

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Read reads a regular file of at most so many bytes. Anything else is not
// opened: a device may act on being opened, and a pipe waits for a writer.
func Read(name string, most int64) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	return ReadOpened(fd, name, most)
}

// ReadOpened reads the file behind an O_PATH descriptor; name is for errors.
func ReadOpened(fd int, name string, most int64) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if kind := kindOf(st.Mode); kind != "" {
		return nil, fmt.Errorf("%s is %s, not a file", name, kind)
	}
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err.(*os.PathError).Err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, &os.PathError{Op: "read", Path: name, Err: err}
	case int64(len(data)) > most:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return data, nil
}

// kindOf names the kind of a file that is not a regular one, or returns "".
func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return ""
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	case unix.S_IFIFO:
		return "a pipe"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "something else"
}

// Exists reports whether a file of that name can be examined.
func Exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
