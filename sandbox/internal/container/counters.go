package container

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// counters are resources that the kernel counts for each user. Once a user's count is
// used up, the kernel refuses them to all of the user's programs. part is the share
// that one server may use, so that another server, an editor and a build find enough.
var counters = []struct {
	name string // below /proc/sys/user (namespaces(7), inotify(7))
	part int64  // one in this many
}{
	{"max_inotify_instances", 4}, // 128 on most machines
	{"max_inotify_watches", 2},   // a server that watches a project needs one for each folder
}

// Counters returns the sysctls that limit one sandbox's use of the user's counters,
// relative to this machine's limits. The kernel counts in the sandbox's user namespace
// and in every one above it. Counters leaves out those that this kernel does not have.
func Counters() map[string]string { return countersBelow("/proc/sys/user") }

func countersBelow(dir string) map[string]string {
	out := map[string]string{}
	for _, c := range counters {
		text, err := os.ReadFile(filepath.Join(dir, c.name))
		if err != nil {
			continue
		}
		have, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32)
		if err != nil {
			continue
		}
		out["user."+c.name] = strconv.FormatInt(max(have/c.part, 1), 10)
	}
	return out
}
