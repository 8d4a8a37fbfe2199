package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// place says where things are for this user.
type place struct {
	home    string // "" where there is none
	config  string // ~/.config/mcpen: profiles and their locks
	state   string // ~/.local/state/mcpen: logs, each server's own directory, the package store
	runtime string // what a run keeps while it runs
	bus     string // XDG_RUNTIME_DIR
	cwd     string
}

// place reads the environment. A home that is not set or not absolute is none,
// and what would lie in it is then in the runtime directory's place.
func (a *app) place() (place, error) {
	p := place{home: absolute(a.getenv("HOME"))}
	var err error
	if p.cwd, err = os.Getwd(); err != nil {
		p.cwd = "" // it was removed: nothing needs it
	}
	p.bus = absolute(a.getenv("XDG_RUNTIME_DIR"))
	dir := func(variable, inHome string) string {
		if d := absolute(a.getenv(variable)); d != "" {
			return filepath.Join(d, "mcpen")
		}
		if p.home == "" {
			return ""
		}
		return filepath.Join(p.home, inHome, "mcpen")
	}
	p.config = dir("XDG_CONFIG_HOME", ".config")
	p.state = dir("XDG_STATE_HOME", ".local/state")
	switch {
	case usable(p.bus):
		p.runtime = filepath.Join(p.bus, "mcpen")
	default:
		// No session manager made one (cron, su, a container): one of our own,
		// whose owner and mode are checked before it is used.
		p.runtime = filepath.Join(os.TempDir(), fmt.Sprintf("mcpen-%d", os.Getuid()))
	}
	return p, nil
}

// usable reports whether XDG_RUNTIME_DIR is there: su and sudo leave a stale
// value behind.
func usable(dir string) bool {
	if dir == "" {
		return false
	}
	st, err := os.Stat(dir)
	return err == nil && st.IsDir() && access(dir)
}

func absolute(p string) string {
	if !filepath.IsAbs(p) {
		return ""
	}
	return filepath.Clean(p)
}

// logDir is where the logs are.
func logDir(p place) string { return filepath.Join(p.state, "log") }
