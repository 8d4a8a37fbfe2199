package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/plan"
)

// emptyFile is the file that masks another; it lies beside the root.
func emptyFile(rootfs string) string { return filepath.Join(filepath.Dir(rootfs), "empty") }

// Skeleton makes, below rootfs, the files, directories and mount points of the plan's
// root that do not lie in another mount. rootfs must not exist. It belongs to the
// launcher, in a directory that nobody else can write to. Remove removes it.
func Skeleton(rootfs string, p plan.Plan) error {
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		return fmt.Errorf("cannot make the sandbox's root: %w", err)
	}
	var covered []string // file systems of others: nothing is made in them
	for i, m := range p.Root {
		if err := linkAlias(rootfs, i, m); err != nil {
			return err
		}
		if within(m.Target, covered) {
			continue
		}
		if err := place(rootfs, m); err != nil {
			return fmt.Errorf("cannot make %q in the sandbox's root: %w", m.Target, err)
		}
		switch m.Kind {
		case plan.MountBind, plan.MountTmpfs, plan.MountProc, plan.MountPTY:
			covered = append(covered, m.Target)
		}
	}
	return create(emptyFile(rootfs), "", 0o444)
}

// place makes one target.
func place(rootfs string, m plan.Mount) error {
	target := filepath.Join(rootfs, m.Target)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	switch m.Kind {
	case plan.MountSymlink:
		if strings.HasPrefix(m.Target, "/dev/") {
			return nil // libcontainer makes these four itself, and fails if they exist
		}
		return os.Symlink(m.Source, target)
	case plan.MountFile:
		return create(target, m.Content, os.FileMode(m.Mode))
	case plan.MountPipe:
		return pipe(target, os.FileMode(m.Mode))
	case plan.MountCopy:
		return duplicate(m.Source, target, os.FileMode(m.Mode))
	case plan.MountDevice:
		return create(target, "", 0o444)
	case plan.MountBind, plan.MountMask:
		if !m.Dir {
			return create(target, "", 0o444)
		}
	}
	return os.MkdirAll(target, 0o755)
}

// create makes a file that must not exist.
func create(name, content string, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// pipe makes a FIFO that must not exist; the umask does not affect its mode.
func pipe(name string, mode os.FileMode) error {
	if err := unix.Mkfifo(name, uint32(mode)); err != nil {
		return &os.PathError{Op: "mkfifo", Path: name, Err: err}
	}
	return os.Chmod(name, mode)
}

// maxCopy bounds a copied file, in bytes; the system's own are far smaller.
const maxCopy = 1 << 20

// duplicate copies a small file of the host's system.
func duplicate(source, target string, mode os.FileMode) error {
	in, err := os.OpenFile(source, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxCopy+1))
	if err != nil {
		return err
	}
	if len(data) > maxCopy {
		return fmt.Errorf("%q is larger than %d bytes", source, maxCopy)
	}
	return create(target, string(data), mode)
}

func within(p string, dirs []string) bool {
	for _, d := range dirs {
		if strings.HasPrefix(p, d+"/") {
			return true
		}
	}
	return false
}

// Pins opens the source of every bind mount without following any symlink, and records
// its inode for pid 1 to check. A source that became a symlink after planning is an
// error.
func Pins(p plan.Plan) ([]child.Pin, error) {
	var pins []child.Pin
	for _, m := range p.Root {
		if m.Kind != plan.MountBind {
			continue
		}
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
		if m.Nameless {
			continue // an overlay has inodes of its own
		}
		fd, err := unix.Openat2(unix.AT_FDCWD, m.Source, &how)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: m.Source, Err: err}
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		if err != nil {
			return nil, &os.PathError{Op: "fstat", Path: m.Source, Err: err}
		}
		pins = append(pins, child.Pin{Target: m.Target, Dev: uint64(st.Dev), Ino: st.Ino})
	}
	return pins, nil
}
