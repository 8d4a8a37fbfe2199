package sandbox_test

import (
	"os"
	"slices"
	"testing"

	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/plan"
)

// tierOpen are the rows that Landlock and seccomp do not hold without namespaces,
// by name. The start line and SECURITY.md say the same in words.
var tierOpen = []string{
	// The modes of files that were lent for reading: Landlock knows no such right.
	"chmod-docs",
	// The stage's profile gives these protected places up: Landlock has no exception
	// below a folder that may be written to, and a plan that needs one is refused.
	"write-git-hook", "write-git-config", "write-vscode-task", "write-nested-git", "rename-git", "remove-git", "hardlink-git",
	// Nobody makes the server's changes for it, so missing and deeper places are not
	// held.
	"plant-config", "plant-deep", "plant-case", "plant-renamed", "plant-exchanged", "plant-second", "plant-symlink", "plant-hardlink",
	"plant-repository", "plant-raced", "plant-worktree", "plant-pth", "deep-config", "deep-truncate", "deep-chmod", "deep-fchmod", "deep-again", "deep-swap",
	"led-hooks", "led-renamed", "led-link", "led-absent", "led-above", "alias", "bare",
	// No tmpfs and no cgroup counts the use of all processes of a server together.
	"tmp-bytes", "tmp-inodes", "fork-bomb",
	// Nor does a user namespace count its use of the user's own counters.
	"inotify-instances",
}

// The weaker tier as users start it: each of its two layers holds its own attacks, and
// exactly the attacks that the documents name stay open.
func TestEscapeFromTheWeakerTier(t *testing.T) {
	s := everybody(t)
	table := probe.Table()
	outside, err := s.Outside(table)
	if err != nil {
		t.Fatal(err)
	}
	endDaemon(t, outside)
	results := attackTier(t, s, table)
	show(t, []setting{{name: "weaker tier"}}, table, outside, map[string]map[string]probe.Result{"weaker tier": results})
	open := tierOpen
	if keepsGroups(t) {
		open = append(slices.Clone(open), "groups")
	}
	for _, p := range table {
		if p.ID == daemonID {
			continue // it may start; attackTier looks for what it leaves
		}
		r, ran := results[p.ID]
		named := slices.Contains(open, p.ID)
		switch {
		case !ran:
			t.Errorf("%s was not tried", p.ID)
		case r.OK && !named:
			t.Errorf("%s: a way out that nobody speaks of: %s (%s)\n\tlost: %s", p.ID, p.How, r.Detail, p.Loss)
		case !r.OK && named && outside[p.ID].OK:
			t.Errorf("%s: is said to be open and is held by %s (%s)", p.ID, r.Errno, r.Detail)
		}
	}
}

// keepsGroups reports whether a server of this tier has groups of the user's: setgroups(2)
// asks for a capability that nobody has here but root, and a user namespace is not made.
func keepsGroups(t *testing.T) bool {
	t.Helper()
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	others := slices.DeleteFunc(groups, func(g int) bool { return g == os.Getgid() })
	return os.Geteuid() != 0 && len(others) > 0
}

// attackTier runs every probe in a sandbox of the weaker tier.
func attackTier(t *testing.T, s *stage.Stage, table []probe.Probe) map[string]probe.Result {
	t.Helper()
	p := tierPlan(t, s)
	world := s.World
	world.Inside, world.Pid = true, s.World.Stranger
	for _, r := range p.Landlock.Paths {
		if r.Access == plan.AccessTmp {
			world.Tmp = r.Path
		}
	}
	results := attackIn(t, s, world, ids(table), func(args ...string) plan.Plan {
		p.Process.Args = append([]string{s.Program}, args...)
		return p
	})
	outlived(t, s, "the weaker tier")
	return results
}

func ids(table []probe.Probe) []string {
	var out []string
	for _, p := range table {
		out = append(out, p.ID)
	}
	return out
}
