//go:build mcpen_launcher

// Package embedded carries the launcher's binary.
package embedded

// #include "image.h"
import "C"

import (
	_ "embed" // the binary
	"fmt"
	"os"
	"syscall"
)

// The binary of cmd/mcpen-launcher, of the same build, which "make build" puts
// here. It is image.c that has it in the end; this tells the go command that it
// is a part of the package.
//
//go:embed mcpen-launcher
var _ string

// Carried reports whether this build carries a launcher.
const Carried = true

// Launcher returns the launcher's binary in a sealed memory file. libcontainer starts a
// sandbox from such a file without copying it (CVE-2019-5736). For "mcpen run" it was
// begun before main. The caller closes the file. Two goroutines must not call it at a
// time.
func Launcher() (*os.File, error) {
	fd := C.mcpen_image()
	if fd < 0 {
		return nil, fmt.Errorf("cannot write the launcher down: %w", syscall.Errno(-fd))
	}
	return os.NewFile(uintptr(fd), "mcpen"), nil
}
