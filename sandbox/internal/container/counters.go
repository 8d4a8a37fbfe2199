package container

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// counters are what the kernel counts for each user, and refuses to all of a user's
// programs once it is used up, with the part of it that one server may have: another
// server, an editor, a build still find enough.
var counters = []struct {
	name string // below /proc/sys/user (namespaces(7), inotify(7))
	part int64  // one in so many
}{
	{"max_inotify_instances", 4}, // 128 on most machines
	{"max_inotify_watches", 2},   // a server that watches a project needs one for each folder
}

// Counters are the sysctls that limit what one sandbox takes of the user's counters,
// by how much this machine has. The kernel counts in the sandbox's user namespace and
// in every one above it. One that this kernel does not have is left out.
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
