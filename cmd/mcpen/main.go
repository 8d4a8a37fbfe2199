// Command mcpen starts an MCP server that somebody else wrote inside a sandbox
// and carries its stdio to and from the client. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	_ "mcpen/cmd/mcpen/ahead" // begins before main does
	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
)

func main() {
	sandbox.Hook() // the stages inside a sandbox are this binary, too
	host.Hook()    // and so are the children that probe the kernel

	// A start allocates some megabytes and keeps few: collecting them meanwhile
	// costs more than it frees. A server that runs has the usual setting again.
	debug.SetGCPercent(400)

	// A reader that goes early (mcpen review | head -1) must not end mcpen between
	// what it said and what it does: a write fails then, and no signal comes. A
	// program that mcpen starts has SIGPIPE's default again (signal(7)).
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	ctx, stop := signal.NotifyContext(context.Background(), launch.EndsServer...)
	a := app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Environ(), args: os.Args}
	code := a.run(ctx, os.Args)
	stop()
	os.Exit(code)
}
