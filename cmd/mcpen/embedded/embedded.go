//go:build mcpen_launcher

// Package embedded carries the launcher's binary.
package embedded

import _ "embed" // the binary

// Launcher is the binary of cmd/mcpen-launcher, of the same build. "make build"
// puts it here.
//
//go:embed mcpen-launcher
var Launcher string
