package container

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"

	"mcpen/sandbox/plan"
)

// Hasten has the kernel get ready for moving processes between control groups,
// where the plan will have one moved. The first move after a while waits for a
// grace period of RCU, many milliseconds, and the next ones do not
// (cgroup_attach_lock in kernel/cgroup/cgroup.c). So this process is moved to the
// group that it is in already, while everything else is prepared. That changes
// nothing, and neither does an error. Hasten returns at once.
func Hasten(p plan.Plan) {
	group := groupOf(p.Limits)
	if group == nil {
		return
	}
	go func() {
		if dir, err := group(); err == nil {
			rejoin(filepath.Join(dir, cgroups.CgroupProcesses), strconv.Itoa(os.Getpid()))
		}
	}()
	runtime.Gosched() // to it: with one processor it would wait for this goroutine's first pause
}

// rejoin moves the process to the group of the file, if it is in it. Where a
// namespace and a mount are not of one mind the path may be another group's, and
// this process is not to leave its own.
func rejoin(file, process string) {
	members, err := os.ReadFile(file)
	if err == nil && slices.Contains(strings.Fields(string(members)), process) {
		_ = os.WriteFile(file, []byte(process), 0)
	}
}

// groupOf is how to find this process's own group in the hierarchy that holds
// the limits; nil: nobody is moved, or the user's manager moves it.
func groupOf(limits []plan.Limit) func() (string, error) {
	for _, l := range limits {
		switch l.How {
		case plan.HowCgroup1:
			return func() (string, error) { return cgroups.GetOwnCgroupPath("memory") }
		case plan.HowCgroup2:
			return func() (string, error) {
				own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
				return filepath.Join("/sys/fs/cgroup", own[""]), err
			}
		}
	}
	return nil
}
