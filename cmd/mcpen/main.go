// Command mcpen starts another author's MCP server inside a sandbox and carries its
// stdio to and from the client. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	_ "mcpen/cmd/mcpen/graceperiod" // begins before main does
	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// passwd is where users have their homes, and machine the administrator's own
// configuration. Tests have others.
var (
	passwd  = "/etc/passwd"
	machine = "/etc/mcpen"
)

func main() {
	sandbox.Hook() // the stages inside a sandbox are this binary, too
	host.Hook()    // and so are the children that probe the kernel
	attackHook()   // and the attacker of "selftest"

	// A start allocates some megabytes and keeps few: collecting them meanwhile
	// costs more than it frees. A server that runs has the usual setting again.
	debug.SetGCPercent(400)

	// A reader that ends early (mcpen review | head -1) must not end mcpen between its
	// output and its action. With a handler the write fails instead. exec(2) resets the
	// handler, so programs that mcpen starts have the default again.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	ctx, stop := signal.NotifyContext(context.Background(), launch.EndsServer...)
	a := app{Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Env: os.Environ(), Err: os.Stderr, Passwd: passwd, Machine: machine}}}, in: os.Stdin, out: os.Stdout, args: os.Args}
	a.Caller.Confirm = a.confirmed
	code := a.run(ctx, os.Args)
	stop()
	os.Exit(code)
}
