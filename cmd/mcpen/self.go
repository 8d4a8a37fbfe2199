package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// self is the path under which this mcpen is started: the one on PATH where that is this
// very file, so that a link which an update moves stays one.
func (a *app) self() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot tell where this mcpen is: %w", err)
	}
	is, err := os.Stat(own)
	if err != nil {
		return "", fmt.Errorf("cannot tell where this mcpen is: %w", err)
	}
	for _, name := range []string{a.args[0], "mcpen"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if path, err = filepath.Abs(path); err != nil || filepath.Base(path) != "mcpen" {
			continue
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(is, there) {
			return path, nil
		}
	}
	if filepath.Base(own) != "mcpen" {
		return "", usage("make install", "cannot be started by a client as %q: clients' files are read again by the name mcpen", own)
	}
	return own, nil
}
