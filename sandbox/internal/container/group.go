package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
	// Without this import the device rules are refused.
	_ "github.com/opencontainers/cgroups/devices"
	"github.com/opencontainers/cgroups/fs"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Groups are the control groups of version 1 that hold a sandbox's limits: one in each
// hierarchy with such a limit, and one for devices. libcontainer makes ten and moves
// the first process into each by its pid; the first move waits for an RCU grace period
// of 5 to 20 ms. A thread that moves itself does not wait (cgroup_procs_write_start in
// kernel/cgroup/cgroup.c), and its children start in its groups. Nil Groups are none;
// everything then starts in the current groups.
type Groups struct {
	limits *cgroups.Cgroup
	paths  map[string]string // by controller
	own    map[string]string // the groups of this process
}

// NewGroups returns the groups for a plan's limits without making them. It returns nil
// if no group of version 1 holds one.
func NewGroups(p plan.Plan, id string) (*Groups, error) {
	if !inGroups(p) {
		return nil, nil
	}
	limits, err := cgroup(p, id)
	if err != nil {
		return nil, err
	}
	g := &Groups{limits: limits, paths: map[string]string{}, own: map[string]string{}}
	in := []string{"devices"}
	for _, l := range p.Limits {
		if l.How == plan.HowCgroup1 {
			in = append(in, controllers[l.Name])
		}
	}
	for _, controller := range in {
		own, err := cgroups.GetOwnCgroupPath(controller)
		if err != nil {
			return nil, fmt.Errorf("cannot find the control group of this process: %w", err)
		}
		g.own[controller], g.paths[controller] = own, filepath.Join(own, id)
	}
	return g, nil
}

// Make makes the groups with their limits, and moves nobody into them. The caller must
// call Remove, also after an error.
func (g *Groups) Make() error {
	if g == nil {
		return nil
	}
	m, err := fs.NewManager(g.limits, g.paths)
	if err != nil {
		return err
	}
	const nobody = -1 // makes the directories only
	if err := m.Apply(nobody); err != nil {
		return err
	}
	return m.Set(g.limits.Resources)
}

// controllers are the controllers that hold limits.
var controllers = map[plan.LimitName]string{plan.LimitMemory: "memory", plan.LimitProcesses: "pids", plan.LimitCPU: "cpu"}

// inGroups reports whether groups of version 1 hold limits of a plan.
func inGroups(p plan.Plan) bool {
	return slices.ContainsFunc(p.Limits, func(l plan.Limit) bool { return l.How == plan.HowCgroup1 })
}

// Paths are the groups' directories.
func (g *Groups) Paths() []string {
	if g == nil {
		return nil
	}
	var paths []string
	for _, path := range g.paths {
		paths = append(paths, path)
	}
	return paths
}

// Within calls start with the calling thread in the groups, and then moves the thread
// back. The caller must have locked the thread to its goroutine.
func (g *Groups) Within(start func() error) error {
	if g == nil {
		return start()
	}
	err := move(g.paths)
	if err == nil {
		err = start()
	}
	return errors.Join(err, move(g.own))
}

// move moves the calling thread.
func move(groups map[string]string) error {
	for _, dir := range groups {
		file := filepath.Join(dir, "tasks")
		fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: file, Err: err}
		}
		_, err = unix.Write(fd, []byte{'0'})
		unix.Close(fd)
		if err != nil {
			return &os.PathError{Op: "write", Path: file, Err: err}
		}
	}
	return nil
}

// Hold returns an error if a process, which must not have ended, is not in one of the
// groups.
func (g *Groups) Hold(pid int) error {
	if g == nil {
		return nil
	}
	are, err := cgroups.ParseCgroupFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return fmt.Errorf("cannot look up the control groups of a process: %w", err)
	}
	for controller, path := range g.paths {
		if !strings.HasSuffix(are[controller], "/"+filepath.Base(path)) {
			return fmt.Errorf("process %d is in %q, and its limits are in %q", pid, are[controller], path)
		}
	}
	return nil
}

// Remove removes the groups. It fails as long as a process is in one of them.
func (g *Groups) Remove() error {
	if g == nil {
		return nil
	}
	return cgroups.RemovePaths(g.paths)
}
