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
	attackHook()
	// Homes are where HOME says, and there is no administrator, unless a test says
	// otherwise: this user's trust and the record of servers' folders must not matter.
	passwd, machine = os.Getenv("MCPEN_TEST_PASSWD"), "/nonexistent"
	if dir := os.Getenv("MCPEN_TEST_MACHINE"); dir != "" {
		machine = dir
	}
	testscript.Main(m, map[string]func(){
		"mcpen":   main,
		"poison":  func() { os.Exit(poisonServer(os.Args[1], os.Stdin, os.Stdout)) },
		"glutton": func() { os.Exit(gluttonServer(os.Stdin, os.Stdout)) },
		"confine": func() { os.Exit(confine(os.Args[1:])) },
		"fakemcp": func() { os.Exit(fakeServer(os.Args[1:], os.Stdin, os.Stdout)) },
	})
}
