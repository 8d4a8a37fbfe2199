package host

import (
	"context"
	"errors"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Nameless tries whether this machine can show a folder in a sandbox without saying where
// it comes from, as plan.Mount has it: by an overlay in a user namespace (since Linux
// 5.11), over the file system that holds the folder. It mounts nothing outside of a child.
func Nameless(ctx context.Context, dir string) error {
	c, err := start(ctx, hookShow, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}, dir)
	if err != nil {
		return err
	}
	steps, err := c.steps()
	for _, s := range steps {
		if !s.Done {
			return errors.New("cannot " + s.Name + ": " + s.Text)
		}
	}
	return err
}

// tryShowing mounts a folder as an overlay, and reads it.
func tryShowing(dir string) error {
	lifeline()
	runtime.LockOSThread()
	return told(inOrder([]namedStep{
		{stepPrivate, func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{stepTmpfs, func() error { return unix.Mount("tmpfs", "/proc", "tmpfs", 0, "size=65536,nr_inodes=16,mode=755") }},
		{"lay out an overlay", func() error {
			return errors.Join(unix.Mkdir("/proc/none", 0o755), unix.Mkdir("/proc/shown", 0o755), os.Symlink(dir, "/proc/source"))
		}},
		{"mount an overlay", func() error {
			return unix.Mount("overlay", "/proc/shown", "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "lowerdir=/proc/source:/proc/none")
		}},
		{"read an overlay", func() error {
			have, err := os.ReadDir("/proc/shown")
			if want, _ := os.ReadDir(dir); err == nil && len(have) != len(want) {
				return errors.New("it lacks files")
			}
			return err
		}},
	}))
}
