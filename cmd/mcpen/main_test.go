package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mcpen/sandbox"
	"mcpen/sandbox/host"
)

// The test binary is mcpen, the stages inside its sandboxes, and a server to put
// into them.
func TestMain(m *testing.M) {
	sandbox.Hook()
	host.Hook()
	testscript.Main(m, map[string]func(){
		"mcpen":   main,
		"poison":  func() { os.Exit(poisonServer(os.Args[1], os.Stdin, os.Stdout)) },
		"glutton": func() { os.Exit(gluttonServer(os.Stdin, os.Stdout)) },
		"confine": func() { os.Exit(confine(os.Args[1:])) },
		"fakemcp": func() { os.Exit(fakeServer(os.Args[1:], os.Stdin, os.Stdout)) },
	})
}
