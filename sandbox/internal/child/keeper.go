package child

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// adopt makes this process the reaper of the server's orphans, if it is not pid 1 of a
// pid namespace.
func adopt() error {
	return step("keep the server's processes together", prctl(unix.PR_SET_CHILD_SUBREAPER, 1))
}

// endAll kills every descendant. The children of a killed process come to this one, so
// endAll repeats until there are none. It first stops them all, so that none can fork
// faster than it is killed.
func endAll() {
	for {
		pids := descendants(os.Getpid())
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGSTOP) // on error it is gone
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err == syscall.ECHILD {
				return
			}
			if err == nil && pid == 0 {
				break
			}
		}
	}
}

// descendants lists all processes below one, as far as the kernel shows them.
func descendants(root int) []int {
	parents := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// "pid (name) state ppid …", where the name may contain anything.
		_, rest, ok := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
		if f := strings.Fields(rest); ok && len(f) > 1 {
			parents[pid], _ = strconv.Atoi(f[1])
		}
	}
	var out []int
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if parents[p] == root {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}
