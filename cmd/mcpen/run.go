package main

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/embedded"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/server"
)

func (a *app) runCommand(words []string) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "start a server in its sandbox and carry its messages on stdin and stdout",
		ArgsUsage: "SERVER [-- ARGS…] | -- COMMAND [ARGS…]",
		Description: "SERVER is a profile's name or path. A command without a profile gets the closed\n" +
			"default: no network, no file of yours, no environment.",
		Flags: append(serverFlags(), &cli.BoolFlag{Name: "quiet", Usage: "no line on stderr at the start"},
			&cli.BoolFlag{Name: "verbose", Usage: "a line that names all that is not held, also what the last start named"}),
		Action: func(c *cli.Context) error {
			ch, err := choose(c, words)
			if err != nil {
				return err
			}
			if c.Bool("quiet") && c.Bool("verbose") {
				return usage("mcpen run --help", "--quiet and --verbose exclude each other")
			}
			return a.runServer(c.Context, ch, c.Bool("quiet"), c.Bool("verbose"))
		},
	}
}

// runServer is "mcpen run" from the plan on.
func (a *app) runServer(ctx context.Context, w server.Words, quiet, verbose bool) error {
	// Clients leak descriptors into their servers. None of them goes further.
	if err := launch.HideDescriptors(); err != nil {
		return err
	}
	p, err := a.Prepare(ctx, w)
	if p.Found != "" && (!quiet || err != nil) {
		fmt.Fprintf(a.Err, "mcpen: %s\n", p.Found)
	}
	var secrets map[string]plan.Opaque
	if err == nil {
		defer p.Close()
		secrets, err = a.FetchSecrets(ctx, p)
	}
	if err != nil {
		if ctx.Err() == nil {
			a.NotStarted(p, err)
		}
		return err
	}
	o := p.Order(secrets)
	o.Quiet, o.Verbose = quiet, verbose
	tls := server.Secure(p.Plan)
	if a.owns() && tls == nil {
		// The launcher has no TLS, which would make each of them a fifth larger. It comes
		// back where this mcpen or this machine has no launcher to turn
		// into. This process then does the same.
		if image, err := embedded.Launcher(); err == nil {
			_ = launch.Become(image, o, a.args, a.Env, p.Files()...)
			image.Close()
		}
	}
	exit, err := o.Run(ctx, launch.Stdio{In: a.in, Out: a.out, Err: a.Err, Secure: tls})
	if err != nil {
		return err
	}
	return ended{exit}
}

// owns reports whether the process is this command's alone: its stdio is the
// process's own.
func (a *app) owns() bool { return a.in == os.Stdin && a.out == os.Stdout && a.Err == os.Stderr }
