package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/configs/validate"
	"golang.org/x/sys/unix"
)

// NoGroup is the controller name that a container without groups has in its state. No
// controller has this name, and its path does not exist.
const NoGroup = "none"

// Create makes a container in a directory of its own below dir. libcontainer must make
// no group in two cases: the groups exist already, or no group holds a limit and
// /sys/fs/cgroup is not of version 2. It fails if no hierarchy is mounted at all. Only
// for a container that it loads does it take the groups from the stored state; those
// that are not named after a controller it does not touch until it finally removes
// them.
func Create(dir, id string, cfg *configs.Config, g *Groups) (*libcontainer.Container, error) {
	if g == nil && (!unlimited(cfg.Cgroups.Resources) || unified()) {
		return libcontainer.Create(dir, id, cfg)
	}
	if err := validate.Validate(cfg); err != nil {
		return nil, err
	}
	state := libcontainer.State{BaseState: libcontainer.BaseState{ID: id, Config: *cfg}, CgroupPaths: map[string]string{}}
	own := filepath.Join(dir, id)
	state.CgroupPaths[NoGroup] = filepath.Join(own, "no group") // without one it would look for its own
	if g != nil {
		delete(state.CgroupPaths, NoGroup)
		for controller, path := range g.paths {
			state.CgroupPaths["limits of "+controller] = path
		}
	}
	data, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("internal error: cannot encode a container: %w", err)
	}
	if err := os.MkdirAll(own, 0o711); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(own, "state.json"), data, 0o600); err != nil {
		return nil, err
	}
	return libcontainer.Load(dir, id)
}

// unified reports whether /sys/fs/cgroup is of version 2. Unlike libcontainer's check,
// it logs nothing if it does not exist.
func unified() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}
