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
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

func (a *app) runCommand(words []string) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "start a server in its sandbox and carry its messages on stdin and stdout",
		ArgsUsage: "SERVER [-- ARGS…] | -- COMMAND [ARGS…]",
		Description: "SERVER is a profile's name or path. A command without a profile gets the closed\n" +
			"default: no network, no file of yours, no environment.",
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
	if p.found != "" && (!quiet || err != nil) {
		fmt.Fprintf(a.err, "mcpen: %s\n", p.found)
	}
	if err == nil {
		defer p.close()
		err = a.fetchSecrets(ctx, &p)
	}
	if err != nil {
		if ctx.Err() == nil {
			a.notStarted(p, ch, err)
		}
		return err
	}
	_, _, isPackage, err := packaged(ch, p.policy)
	if err != nil {
		return err
	}
	o := launch.NewOrder(p.plan)
	o.Bus = p.place.bus
	o.Quiet, o.Logs, o.Config, o.State = quiet, logDir(p.place), p.place.config, p.place.state
	if !ch.unwritten() {
		o.Allow = ch.profile
	}
	o.Death = a.skippedScripts(p.place, p.policy, isPackage)
	o.Pins = pinsBeside(p.place, p.policy, isPackage)
	o.Keep = p.policy.Tools.Pins != policy.PinOff || p.policy.Tools.Findings == policy.FindingHold
	tls := secure(p.plan)
	if a.owns() && tls == nil {
		// The launcher has no TLS, which would make each of them a fifth larger. It comes
		// back where this mcpen or this machine has no launcher to turn
		// into. This process then does the same.
		if image, err := embedded.Launcher(); err == nil {
			_ = launch.Become(image, o, a.args, a.env, p.files()...)
			image.Close()
		}
	}
	exit, err := o.Run(ctx, launch.Stdio{In: a.in, Out: a.out, Err: a.err, Secure: tls})
	if err != nil {
		return err
	}
	return ended{exit}
}

// owns reports whether the process is this command's alone: its stdio is the
// process's own.
func (a *app) owns() bool { return a.in == os.Stdin && a.out == os.Stdout && a.err == os.Stderr }

// pinsBeside is where the pins of a server are: beside its profile, and what was
// seen of it in the state directory.
func pinsBeside(at place, pol policy.Policy, isPackage bool) launch.PinFile {
	file := ""
	if len(pol.Sources) > 0 {
		file = pol.Sources[0].File
	}
	lock := lockBeside(at, file, pol.Name)
	p := launch.PinFile{Name: pol.Name, File: absolutePath(at, strings.TrimSuffix(lock, ".lock")+".pins")}
	if isPackage {
		p.Lock = absolutePath(at, lock)
	}
	p.Seen = launch.SeenFile(at.state, p)
	return p
}

// absolutePath is a path from where mcpen was started.
func absolutePath(at place, file string) string {
	if filepath.IsAbs(file) || at.cwd == "" {
		return file
	}
	return filepath.Join(at.cwd, file)
}
