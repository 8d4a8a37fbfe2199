//go:build !mcpen_launcher

// Package embedded carries the launcher's binary.
package embedded

// Launcher is empty: this build carries none, and "mcpen run" does the
// launcher's work itself.
const Launcher = ""
