// Command hostile is the program that the escape tests put into a sandbox. It
// tries what package probe lists and says what became of it.
package main

import (
	"os"

	"mcpen/sandbox/internal/probe"
)

func main() {
	os.Exit(probe.Main(os.Args[1:], os.Stdin, os.Stderr))
}
