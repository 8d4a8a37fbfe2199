package sandbox_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/plan"
)

// fileSystem is a kind on which people keep projects, and how one is mounted by root.
type fileSystem struct {
	name  string
	needs []string // programs; the test names missing ones
	mount func(t *testing.T, scratch, at string) error
}

// command runs a program for a mount.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

var fileSystems = []fileSystem{
	{"tmpfs", nil, func(_ *testing.T, _, at string) error { return unix.Mount("tmpfs", at, "tmpfs", 0, "size=512m") }},
	{"overlay", nil, func(t *testing.T, scratch, at string) error {
		if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "size=512m"); err != nil {
			return err
		}
		t.Cleanup(func() { unix.Unmount(scratch, unix.MNT_DETACH) })
		for _, dir := range []string{"lower", "upper", "work"} {
			if err := os.Mkdir(filepath.Join(scratch, dir), 0o755); err != nil {
				return err
			}
		}
		return unix.Mount("overlay", at, "overlay", 0, "lowerdir="+scratch+"/lower,upperdir="+scratch+"/upper,workdir="+scratch+"/work")
	}},
	{"btrfs", []string{"mkfs.btrfs", "mount"}, func(_ *testing.T, scratch, at string) error {
		image := filepath.Join(scratch, "image")
		return errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 400<<20), command("mkfs.btrfs", "-q", image), command("mount", "-o", "loop", image, at))
	}},
	{"fuse", []string{"bindfs"}, func(_ *testing.T, scratch, at string) error {
		return command("bindfs", "-o", "allow_other,hard_remove", scratch, at)
	}},
}

// A file system has its own way of naming, renaming and handing over files; a
// protected place on one that is not the tester's own is as protected.
func TestPlantedOnFileSystems(t *testing.T) {
	if os.Getenv(escapeDir) != "" {
		plantedHere(t, os.Getenv(escapeDir))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount file systems")
	}
	for _, f := range fileSystems {
		t.Run(f.name, func(t *testing.T) {
			for _, program := range f.needs {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("%s is not here", program)
				}
			}
			root := escapeRoot(t)
			scratch, at := filepath.Join(root, "scratch"), filepath.Join(root, "mounted")
			if err := errors.Join(os.Mkdir(scratch, 0o755), os.Mkdir(at, 0o755)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
			if err := f.mount(t, scratch, at); err != nil {
				t.Skipf("no %s can be mounted here: %v", f.name, err)
			}
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
			again(t, at)
			if err := stage.Build(at, 0); err != nil {
				t.Fatal(err)
			}
			plantedHere(t, at)
		})
	}
}

// plantedHere tries every row that mediation holds, with Landlock and without.
func plantedHere(t *testing.T, dir string) {
	t.Helper()
	s, err := stage.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := slices.DeleteFunc(probe.Table(), func(p probe.Probe) bool { return p.By&probe.Mediation == 0 })
	if len(table) < 20 {
		t.Fatalf("only %d rows", len(table))
	}
	outside, err := s.Outside(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range settings {
		if set.on&probe.Mediation == 0 {
			continue
		}
		inside := attack(t, s, set.name, table, func(args ...string) plan.Plan { return drop(hostilePlan(t, s, args...), set.on) })
		for _, p := range table {
			out, in := outside[p.ID], inside[p.ID]
			switch {
			case !out.OK && in.OK:
				t.Errorf("%s: works with %s, and not outside: %s", p.ID, set.name, in.Detail)
			case p.ID == "plant-exchanged" && out.Refused("EINVAL"):
				t.Logf("%s: this file system exchanges no names (renameat2(2))", p.ID)
			case !out.OK && (p.Absent == "" || !out.Refused(p.Absent)):
				t.Errorf("%s proves nothing: outside it fails with %s %s", p.ID, out.Errno, out.Detail)
			case out.OK && in.OK:
				t.Errorf("%s: a way out with %s: %s (%s)", p.ID, set.name, p.How, in.Detail)
			}
		}
	}
}
