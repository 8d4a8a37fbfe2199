package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A person reads at every start which layer is missing, and which limits are when they
// become so: a line that is the same every day is read by nobody.
func TestStartLineNamesWhatIsNewlyNotHeld(t *testing.T) {
	gap := func(l policy.Layer, want string) plan.Gap { return plan.Gap{Layer: l, Want: want, Why: "why"} }
	memory, cpu := gap(policy.LayerLimits, "memory"), gap(policy.LayerLimits, "cpu")
	ioctl, ns := gap(policy.LayerLandlock, "ioctl"), gap(policy.LayerNamespaces, "namespaces")
	state := t.TempDir()
	const held = "x: held by landlock (ABI 4)"
	for i, tc := range []struct {
		name, state, want string
		verbose           bool
		gaps              []plan.Gap
	}{
		{name: "x", state: state, gaps: []plan.Gap{memory, ioctl}, want: held + "; not held: memory (why); not held: ioctl (why)"},
		{name: "x", state: state, gaps: []plan.Gap{memory, ioctl}, want: held + "; not held, as before: 2 (--verbose names them)"},
		{name: "x", state: state, gaps: []plan.Gap{memory, ioctl}, verbose: true, want: held + "; not held: memory (why); not held: ioctl (why)"},
		{name: "x", state: state, gaps: []plan.Gap{memory, ns, ioctl}, want: held + "; not held: namespaces (why); not held, as before: 2 (--verbose names them)"},
		{name: "x", state: state, gaps: []plan.Gap{memory, cpu, ioctl}, want: held + "; not held: memory (why); not held: cpu (why); not held: ioctl (why)"},
		{name: "x", state: state, gaps: []plan.Gap{ioctl}, want: held + "; not held: ioctl (why)"},
		{name: "x", state: state, want: held},
		{name: "x", state: state, gaps: []plan.Gap{ioctl}, want: held + "; not held: ioctl (why)"},
		{name: "../x", state: state, gaps: []plan.Gap{ioctl}, want: "../" + held + "; not held: ioctl (why)"},
		{name: "x", gaps: []plan.Gap{ioctl}, want: held + "; not held: ioctl (why)"},
		{name: "x", gaps: []plan.Gap{ioctl}, want: held + "; not held: ioctl (why)"},
		{name: "x", state: filepath.Join(state, "none", "such"), gaps: []plan.Gap{ioctl}, want: held + "; not held: ioctl (why)"},
		{name: "x", state: filepath.Join(state, "none", "such"), gaps: []plan.Gap{ioctl}, want: held + "; not held: ioctl (why)"},
	} {
		if i == 0 {
			if err := os.MkdirAll(filepath.Join(state, gapsFolder), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		p := plan.Plan{Name: tc.name, Gaps: tc.gaps, Layers: []policy.Layer{policy.LayerLandlock}}
		p.Landlock.ABI = 4
		o := Order{Plan: p, State: tc.state, Verbose: tc.verbose}
		if got := o.startLine(p); got != tc.want {
			t.Errorf("start %d:\n got %s\nwant %s", i, got, tc.want)
		}
	}
	if out, _ := filepath.Glob(filepath.Join(state, "*")); len(out) != 1 {
		t.Errorf("a server's name led out of the folder: %s", strings.Join(out, " "))
	}
}
