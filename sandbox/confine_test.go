package sandbox

import (
	"slices"
	"testing"

	"mcpen/sandbox/internal/confine"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// The launcher keeps only the needs of its own plan: a server that breaks out into it
// finds no network that the profile did not give.
func TestLauncherKeepsWhatItsPlanNeeds(t *testing.T) {
	var p plan.Plan
	n := needs(p, &Confinement{Read: []string{"/r"}, Write: []string{"/w"}}, "/run/s", []string{"/sys/fs/cgroup/a/b"})
	want := []confine.Rule{
		{Path: "/proc", Access: confine.List, Needed: true}, {Path: "/run/s", Access: confine.Remove, Needed: true}, {Path: "/run", Access: confine.Empty, Needed: true},
		{Path: "/sys/fs/cgroup/a", Access: confine.Empty}, {Path: "/sys/fs/cgroup/a/b", Access: confine.List},
		{Path: "/r", Access: confine.List}, {Path: "/w", Access: confine.Edit, Needed: true},
	}
	if !slices.Equal(n.Rules, want) || len(n.Connect) != 0 || n.Calls.Dials || n.Calls.Asks || n.Calls.Unix || n.ABI != 0 || n.Filter || n.Looks {
		t.Errorf("with no network: %+v", n)
	}
	p.Layers = []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp}
	p.Landlock.ABI = 6
	p.Network.Hosts = []policy.Host{{Kind: policy.HostCIDR, First: 80, Last: 90}}
	if n = needs(p, &Confinement{}, "/run/s", nil); n.ABI != 6 || !n.Filter || !n.Calls.Dials || n.Calls.Asks || !slices.Equal(n.Connect, []plan.Span{{First: 80, Last: 90}}) {
		t.Errorf("with addresses: %+v", n)
	}
	p.Network.Hosts[0].Kind = policy.HostName
	if n = needs(p, &Confinement{}, "/run/s", nil); !n.Calls.Asks || !slices.Contains(n.Connect, plan.Span{First: 53, Last: 53}) {
		t.Errorf("with names: %+v", n)
	}
}
