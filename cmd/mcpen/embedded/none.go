//go:build !mcpen_launcher

// Package embedded carries the launcher's binary.
package embedded

import (
	"errors"
	"os"
)

// Carried reports whether this build carries a launcher.
const Carried = false

// Launcher returns an error: this build carries none, and "mcpen run" does the
// launcher's work itself.
func Launcher() (*os.File, error) { return nil, errors.New("this mcpen carries no launcher") }
