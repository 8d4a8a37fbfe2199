package sandbox_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// The variables that make this test binary the launcher of one layer.
const (
	aloneLayer = "MCPEN_ALONE_LAYER"
	alonePlan  = "MCPEN_ALONE_PLAN" // path of a plan in JSON
)

// attackAlone runs the probes on the host, with one layer around them.
func attackAlone(t *testing.T, s *stage.Stage, set setting, table []probe.Probe) map[string]probe.Result {
	t.Helper()
	layer, p := policy.LayerSeccomp, hostilePlan(t, s)
	if set.on == probe.Landlock {
		layer, p = policy.LayerLandlock, tierPlan(t, s)
	}
	p.Seccomp.Notify = false // nobody listens
	unmediated(&p)
	file := planFile(t, filepath.Dir(s.Program), p)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(aloneLayer, string(layer))
	t.Setenv(alonePlan, file)
	results, err := s.Outside(table, self, "-test.run=^TestOneLayerAlone$", "--")
	if err != nil {
		t.Fatal(err)
	}
	if results[daemonID].OK {
		endDaemon(t, results)
	}
	return results
}

// TestOneLayerAlone is no test of its own: attackAlone starts it, to put one
// layer on and become the hostile program.
func TestOneLayerAlone(t *testing.T) {
	layer := policy.Layer(os.Getenv(aloneLayer))
	if layer == "" {
		return
	}
	runtime.LockOSThread()
	var p plan.Plan
	data, err := os.ReadFile(os.Getenv(alonePlan))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	switch layer {
	case policy.LayerLandlock:
		err = child.Restrict(p.Landlock)
	case policy.LayerSeccomp:
		var f seccomp.Filter
		if f, err = seccomp.For(p.Seccomp, runtime.GOARCH); err == nil {
			err = seccomp.Load(f)
		}
	default:
		t.Fatalf("no layer %q", layer)
	}
	if err != nil {
		t.Fatal(err)
	}
	argv := flag.Args()
	t.Fatal(unix.Exec(argv[0], argv, os.Environ()))
}

// A read-only mount that is writable by mistake must not be the user's files' only
// protection: Landlock alone refuses writes to folders lent for reading, with the same
// rules that every server gets.
func TestLandlockHoldsReadOnlyFolders(t *testing.T) {
	s := everybody(t)
	for _, set := range []setting{{"landlock", base | probe.Seccomp | probe.Landlock}, {"neither", base | probe.Seccomp}} {
		held := set.on&probe.Landlock != 0
		for _, id := range []string{"write-docs", "create-docs", "remove-docs"} {
			p := func(args ...string) plan.Plan {
				p := drop(hostilePlan(t, s, args...), set.on)
				for i, m := range p.Root {
					if m.Target == s.World.Docs {
						p.Root[i].Writable = true
					}
				}
				return p
			}
			r, ok := attackIn(t, s, within(s), []string{id}, p)[id]
			switch {
			case !ok:
				t.Errorf("with %s: %s has no result", set.name, id)
			case held && !r.Refused("EACCES"):
				t.Errorf("with %s: %s is answered by %q (%s), want EACCES", set.name, id, r.Errno, r.Detail)
			case !held && !r.OK:
				t.Errorf("%s proves nothing: where nothing holds, it fails with %s (%s)", id, r.Errno, r.Detail)
			}
		}
	}
}

// tierPlan is the plan of the hostile program without namespaces. Its profile adds the
// private /tmp that a sandbox always has.
func tierPlan(t *testing.T, s *stage.Stage) plan.Plan {
	t.Helper()
	profile := hostileProfile(s, s.World.Tmp) + "[require]\nwithout = [\"namespaces\", \"mediation\"]\n"
	// Landlock has no exception below a writable folder.
	project := s.World.Project
	profile = strings.Replace(profile, "[limits]", fmt.Sprintf("unprotect = [%q, %q, %q, %q]\n[limits]",
		project+"/.git", project+"/.vscode", project+"/.claude", project+"/sub/.git"), 1)
	p := planOf(t, s, profile, []string{s.Program})
	for _, r := range p.Landlock.Paths {
		if r.Access == plan.AccessTmp { // the launcher makes the folder that stands for /tmp
			if err := os.MkdirAll(r.Path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}
