package sandbox_test

import (
	"fmt"
	"testing"

	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/plan"
)

// Kernels of the last years have an older Landlock. The other layers hold the rights
// that it does not know: the whole table, on each version. This test has the kernel
// handle no more than the older one could; the plan says how much.
func TestEscapeWithAnOlderLandlock(t *testing.T) {
	s := everybody(t)
	table := probe.Table()
	older := []int{1, 2, 3, 4, 5}
	if testing.Short() {
		older = older[:1]
	}
	have := hostilePlan(t, s).Landlock.ABI
	for _, abi := range older {
		if abi >= have {
			break // this is the older kernel
		}
		setting := fmt.Sprintf("Landlock ABI %d", abi)
		results := attack(t, s, setting, table, func(args ...string) plan.Plan {
			p := planOn(t, s, hostileProfile(s), append([]string{s.Program}, args...), func(h *plan.Host) { h.Landlock, h.Errata = abi, 0 })
			if p.Landlock.ABI != abi || p.Landlock.Scoped {
				t.Fatalf("the plan is for ABI %d, scoped %t", p.Landlock.ABI, p.Landlock.Scoped)
			}
			return p
		})
		for _, p := range table {
			if stoppedBy(p, abi) == 0 {
				continue // TestLifePid1OutlivesEverySignal tests the signals that reach pid 1
			}
			if r := results[p.ID]; r.OK && p.ID != daemonID {
				t.Errorf("with %s: %s: a way out: %s (%s)\n\tlost: %s", setting, p.ID, p.How, r.Detail, p.Loss)
			}
		}
	}
}
