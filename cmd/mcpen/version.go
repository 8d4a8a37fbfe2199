package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"mcpen/sandbox"
)

// release is set by the linker (see Makefile).
var release = "dev"

// version is the output of --version: enough to rebuild the binary.
func version() string {
	v := fmt.Sprintf("%s %s/%s %s", release, runtime.GOOS, runtime.GOARCH, runtime.Version())
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v += " commit " + s.Value
		case "vcs.modified":
			if s.Value == "true" {
				v += " (modified)"
			}
		}
	}
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/opencontainers/runc", "github.com/landlock-lsm/go-landlock":
			v += fmt.Sprintf("\n  %s %s", d.Path, d.Version)
		}
	}
	return v + "\n  filters by " + sandbox.Filters()
}
