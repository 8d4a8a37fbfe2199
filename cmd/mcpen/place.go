package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
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
	if usable(p.bus) {
		p.runtime = filepath.Join(p.bus, "mcpen")
	} else {
		p.runtime = filepath.Join(a.temporary(), fmt.Sprintf("mcpen-%d", os.Getuid()))
	}
	return p, nil
}

// temporary is where a runtime directory of our own lies that no session manager
// made (cron, su, a container); its owner and mode are checked before it is used.
// A root is built there at every start, which takes ten times as long on a disk.
func (a *app) temporary() string {
	const memory = "/dev/shm"
	if dir := absolute(a.getenv("TMPDIR")); dir != "" {
		return dir
	}
	if usable(memory) {
		return memory
	}
	return os.TempDir()
}

// usable reports whether XDG_RUNTIME_DIR is there: su and sudo leave a stale
// value behind.
func usable(dir string) bool {
	if dir == "" {
		return false
	}
	st, err := os.Stat(dir)
	return err == nil && st.IsDir() && unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}

func absolute(p string) string {
	if !filepath.IsAbs(p) {
		return ""
	}
	return filepath.Clean(p)
}

// logDir is where the logs are, or "" where there is no place for them.
func logDir(p place) string {
	if p.state == "" {
		return ""
	}
	return filepath.Join(p.state, "log")
}
