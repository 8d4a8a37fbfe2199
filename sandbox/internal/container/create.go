package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/configs/validate"
)

// Create makes a container in a directory of its own below dir. Where there are
// groups for it, libcontainer is to make none. It can be told that only of a
// container that it finds, whose groups it takes as they are written down: by names
// that are no controller's it does nothing with them, and removes them in the end.
func Create(dir, id string, cfg *configs.Config, g *Groups) (*libcontainer.Container, error) {
	if g == nil {
		return libcontainer.Create(dir, id, cfg)
	}
	if err := validate.Validate(cfg); err != nil {
		return nil, err
	}
	state := libcontainer.State{BaseState: libcontainer.BaseState{ID: id, Config: *cfg}, CgroupPaths: map[string]string{}}
	for controller, path := range g.paths {
		state.CgroupPaths["limits of "+controller] = path
	}
	data, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("internal error: cannot encode a container: %w", err)
	}
	own := filepath.Join(dir, id)
	if err := os.MkdirAll(own, 0o711); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(own, "state.json"), data, 0o600); err != nil {
		return nil, err
	}
	return libcontainer.Load(dir, id)
}
