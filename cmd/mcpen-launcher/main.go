// Command mcpen-launcher is what "mcpen run" turns into once the plan stands. It
// is carried by mcpen (see the Makefile) and of no use alone.
package main

import (
	"os"

	"mcpen/sandbox"
	"mcpen/sandbox/launch"
)

func main() {
	sandbox.Hook() // the stages inside the sandbox are this binary, too
	os.Exit(launch.Main(os.Environ(), launch.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
