package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mcpen/sandbox/policy"
)

// The new plan notes a limit that no mechanism holds any more, and keeps one that
// another mechanism holds. The original plan does not change.
func TestUngrouped(t *testing.T) {
	limits := func() []Limit {
		return []Limit{
			{Name: LimitMemory, Value: 1 << 30, How: HowSystemd}, {Name: LimitProcesses, Value: 64, How: HowSystemd},
			{Name: LimitOpenFiles, Value: 9, How: HowRlimit, Required: true}, {Name: LimitCPU, Value: 1500, How: HowSystemd},
		}
	}
	all := []policy.Layer{policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp}
	gap := func(want string) Gap {
		return Gap{Layer: policy.LayerLimits, Want: want, Have: "no limit", Why: "gone"}
	}
	p := Plan{Layers: all, Process: Process{Counted: true}, Limits: limits(), CgroupParent: "/x", Gaps: []Gap{{Want: "more"}}}
	got, ok := p.Ungrouped("gone")
	want := Plan{Layers: all, Process: Process{Counted: true}, Gaps: []Gap{{Want: "more"}, gap("memory at most 1GiB"), gap("cpu at most 1.5 cores")},
		Limits: []Limit{{Name: LimitProcesses, Value: 64, How: HowRlimit}, {Name: LimitOpenFiles, Value: 9, How: HowRlimit, Required: true}}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%v\n%s", ok, diff)
	}
	if diff := cmp.Diff(limits(), p.Limits); diff != "" || len(p.Gaps) != 1 {
		t.Errorf("the plan itself is another now:\n%s", diff)
	}
	if again, ok := got.Ungrouped("gone"); ok {
		t.Errorf("a plan without groups has others: %+v", again)
	}
	alone := p
	alone.Layers = all[1:]
	if got, ok = alone.Ungrouped("gone"); !ok || len(got.Gaps) != 4 {
		t.Errorf("without namespaces RLIMIT_NPROC counts all of the user's processes: %+v", got)
	}
	p.Limits[0].Required = true
	if got, ok := p.Ungrouped("gone"); ok {
		t.Errorf("a limit is required and gone: %+v", got)
	}
}
