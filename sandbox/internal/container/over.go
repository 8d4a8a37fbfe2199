package container

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mcpen/sandbox/plan"
)

// events are the files in which the kernel counts the effects of a limit: processes
// killed for lack of memory, and refused forks
// (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, cgroup-v1/pids.rst).
var events = []struct {
	limit     plan.LimitName
	file, key string
}{
	{plan.LimitMemory, "memory.events", "oom_kill"},
	{plan.LimitMemory, "memory.oom_control", "oom_kill"},
	{plan.LimitProcesses, "pids.events", "max"},
}

// Over returns the limits that were reached in control groups that still exist. The
// user manager removes its group with the last process.
func Over(groups []string) map[plan.LimitName]bool {
	over := map[plan.LimitName]bool{}
	for _, dir := range groups {
		for _, c := range events {
			if count(filepath.Join(dir, c.file), c.key) > 0 {
				over[c.limit] = true
			}
		}
	}
	return over
}

// count is the number after a word at the beginning of a line, or 0.
func count(file, key string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}
