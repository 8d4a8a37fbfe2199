package container

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"mcpen/sandbox/plan"
)

// Without these counters mcpen could not say why a server that the kernel killed is
// gone.
func TestOver(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  map[plan.LimitName]bool
	}{
		"version 2, killed":   {map[string]string{"memory.events": "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n", "pids.events": "max 0\n"}, map[plan.LimitName]bool{plan.LimitMemory: true}},
		"version 2, near it":  {map[string]string{"memory.events": "max 12\noom 1\noom_kill 0\n"}, map[plan.LimitName]bool{}},
		"version 1, killed":   {map[string]string{"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}, map[plan.LimitName]bool{plan.LimitMemory: true}},
		"no more processes":   {map[string]string{"pids.events": "max 7\n"}, map[plan.LimitName]bool{plan.LimitProcesses: true}},
		"nothing that counts": {map[string]string{"memory.events": "oom_kill many\n"}, map[plan.LimitName]bool{}},
		"gone":                {nil, map[plan.LimitName]bool{}},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := Over([]string{filepath.Join(dir, "absent"), dir}); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
