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

// NoGroup is what a container without groups has in their place: no controller, and
// the path of nothing.
const NoGroup = "none"

// Create makes a container in a directory of its own below dir. Where there are
// groups for it, or no group holds a limit of it and version 2 is not what
// /sys/fs/cgroup has, libcontainer is to make none: it fails where no hierarchy is
// mounted at all. It can be told that only of a container that it finds, whose
// groups it takes as they are written down: by names that are no controller's it
// does nothing with them, and removes them in the end.
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

// unified reports whether /sys/fs/cgroup is of version 2, without a word where it is
// not there, as libcontainer has one.
func unified() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}
