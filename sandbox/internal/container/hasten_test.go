package container

import (
	"os"
	"path/filepath"
	"testing"

	"mcpen/sandbox/plan"
)

// A path that is another group's would take the launcher out of its own, and out of
// its limits.
func TestRejoinWritesToItsOwnGroupAlone(t *testing.T) {
	for before, after := range map[string]string{"12\n7\n": "7", "12\n": "12\n", "77\n": "77\n", "": ""} {
		file := filepath.Join(t.TempDir(), "cgroup.procs")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		rejoin(file, "7")
		if got, err := os.ReadFile(file); err != nil || string(got) != after {
			t.Errorf("%q became %q, want %q (%v)", before, got, after, err)
		}
	}
	none := filepath.Join(t.TempDir(), "cgroup.procs")
	rejoin(none, "7")
	if _, err := os.Stat(none); err == nil {
		t.Error("a file was made")
	}
}

func TestNobodyIsMovedWithoutALimitOfAGroup(t *testing.T) {
	for how, moved := range map[plan.LimitHow]bool{plan.HowRlimit: false, plan.HowSystemd: false, plan.HowCgroup1: true, plan.HowCgroup2: true} {
		if got := groupOf([]plan.Limit{{Name: plan.LimitMemory, How: how}}) != nil; got != moved {
			t.Errorf("%s: %t", how, got)
		}
	}
}
