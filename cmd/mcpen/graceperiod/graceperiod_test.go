package graceperiod

import (
	"os"
	"path/filepath"
	"testing"
)

// Another group's path would take mcpen out of its own group, and out of its limits.
func TestRejoinWritesToItsOwnGroupAlone(t *testing.T) {
	const (
		unified = "0::/a/b\n"
		old     = "3:cpu:/a/b\n2:memory:/a/b\n1:name=systemd:/a/b\n"
		strange = "0:\n:0::/a/b\n\n:::\n1:hugetlb:/a/b\n00::/a/b\n"
	)
	for _, c := range []struct {
		cgroups, file, before, after string
	}{
		{unified, "a/b", "12\n7\n13\n", "7"},
		{unified, "a/b", "12\n", "12\n"},
		{unified, "a/b", "77\n", "77\n"},
		{unified, "a/b", "7", "7"},
		{unified, "a/b", "", ""},
		{unified, "a", "12\n7\n", "12\n7\n"},
		{old, "a/b", "12\n7\n", "12\n7\n"},
		{old, "memory/a/b", "12\n7\n", "12\n7\n"},
		{strange, "a/b", "12\n7\n", "12\n7\n"},
		{"", "", "12\n7\n", "12\n7\n"},
	} {
		dir := t.TempDir()
		cgroups, file := filepath.Join(dir, "cgroup"), filepath.Join(dir, "fs", c.file, "cgroup.procs")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{cgroups: c.cgroups, file: c.before} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		rejoin(cgroups, filepath.Join(dir, "fs"), 7)
		got, err := os.ReadFile(file)
		if want := c.after; err != nil || len(got) < len(want) || string(got[:len(want)]) != want {
			t.Errorf("%q: %q with %q became %q, want it to begin with %q (%v)", c.cgroups, c.file, c.before, got, want, err)
		}
		rejoin(cgroups, filepath.Join(dir, "none"), 7)
		if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
			t.Error("a file was made")
		}
	}
	rejoin(filepath.Join(t.TempDir(), "none"), t.TempDir(), 7)
}
