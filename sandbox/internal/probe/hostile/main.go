// Command hostile is the program that the escape tests run in a sandbox. It tries the
// attacks of package probe and reports the results.
package main

import (
	"os"

	"mcpen/sandbox/internal/probe"
)

func main() {
	os.Exit(probe.Main(os.Args[1:], os.Stdin, os.Stderr))
}
