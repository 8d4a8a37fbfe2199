package quarantine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxCopy bounds what is copied when the quarantine lies on another file system.
const maxCopy = 64 << 20

// move takes rel out of dir to the path to. Everything on the source's side is
// done through a descriptor of dir and follows no symlink out of it: a server
// could otherwise lead the launcher, which has the user's rights, to other files.
func move(dir, rel, to string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	parent, err := root.OpenFile(path.Dir(rel), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer parent.Close()
	err = unix.Renameat2(int(parent.Fd()), path.Base(rel), unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EXDEV) {
		return os.NewSyscallError("renameat2", err)
	}
	left := int64(maxCopy)
	copyErr := copyTree(root, rel, to, &left)
	// What cannot be kept as evidence must not stay either.
	return errors.Join(copyErr, root.RemoveAll(rel))
}

// copyTree copies files and directories without their modes; a symlink becomes
// a file with its text. What is neither is left out.
func copyTree(root *os.Root, rel, to string, left *int64) error {
	st, err := root.Lstat(rel)
	if err != nil {
		return err
	}
	switch {
	case st.Mode().IsRegular():
		return copyFile(root, rel, to, left)
	case st.Mode()&fs.ModeSymlink != 0:
		text, err := root.Readlink(rel)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte("symlink to "+text+"\n"), 0o600)
	case !st.IsDir():
		return nil
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	d, err := root.Open(rel)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyTree(root, path.Join(rel, name), filepath.Join(to, name), left); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(root *os.Root, rel, to string, left *int64) error {
	in, err := root.OpenFile(rel, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, *left+1))
	if *left -= n; *left < 0 {
		err = errors.Join(err, fmt.Errorf("more than %d bytes: the rest was not kept", maxCopy))
	}
	return errors.Join(err, out.Close())
}
