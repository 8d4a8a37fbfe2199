package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mcpen/cmd/mcpen/embedded"
	"mcpen/cmd/mcpen/launch"
	"mcpen/sandbox/policy"
)

func (a *app) runCommand(words []string) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "start a server in its sandbox and carry its messages on stdin and stdout",
		ArgsUsage: "SERVER [-- ARGS…] | -- COMMAND [ARGS…]",
		Description: "SERVER is a profile's name or path. A command without a profile gets the closed\n" +
			"default: no network, no file of yours, no environment." + exitStatus,
		Flags: append(serverFlags(), &cli.BoolFlag{Name: "quiet", Usage: "no line on stderr at the start"}),
		Action: func(c *cli.Context) error {
			ch, err := choose(c, words)
			if err != nil {
				return err
			}
			return a.runServer(c.Context, ch, c.Bool("quiet"))
		},
	}
}

// runServer is "mcpen run" from the plan on.
func (a *app) runServer(ctx context.Context, ch choice, quiet bool) error {
	// Clients leak descriptors into their servers. None of them goes further.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("cannot close inherited descriptors: %w", os.NewSyscallError("close_range", err))
	}
	p, err := a.prepare(ctx, ch)
	if err != nil {
		return err
	}
	defer p.close()
	if err := a.fetchSecrets(ctx, &p); err != nil {
		return err
	}
	_, _, isPackage, err := packaged(ch, p.policy)
	if err != nil {
		return err
	}
	o := launch.NewOrder(p.plan)
	o.Quiet, o.Logs, o.Config, o.State = quiet, logDir(p.place), p.place.config, p.place.state
	o.Death = a.skippedScripts(p.place, p.policy, isPackage)
	o.Pins, o.Keep = pinsBeside(p.place, p.policy, isPackage), p.policy.Tools.Pins != policy.PinOff
	if a.owns() {
		// It comes back where this mcpen or this machine has no launcher to turn
		// into. This process then does the same.
		if image, err := embedded.Launcher(); err == nil {
			_ = launch.Become(image, o, a.args, a.env, p.files()...)
			image.Close()
		}
	}
	exit, err := o.Run(ctx, launch.Stdio{In: a.in, Out: a.out, Err: a.err})
	if err != nil {
		return err
	}
	return ended{exit}
}

// owns reports whether the process is this command's alone: its stdio is the
// process's own.
func (a *app) owns() bool { return a.in == os.Stdin && a.out == os.Stdout && a.err == os.Stderr }

// pinsBeside is the pin file of a server.
func pinsBeside(at place, pol policy.Policy, isPackage bool) launch.PinFile {
	file := ""
	if len(pol.Sources) > 0 {
		file = pol.Sources[0].File
	}
	lock := lockBeside(at, file, pol.Name)
	if !isPackage {
		lock = strings.TrimSuffix(lock, ".lock") + ".pins"
	}
	if whole, err := filepath.Abs(lock); err == nil { // else the working directory is gone
		lock = whole
	}
	return launch.PinFile{Name: pol.Name, File: lock, State: at.state}
}
