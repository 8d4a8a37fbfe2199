package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

func (a *app) logCommand() *cli.Command {
	return &cli.Command{
		Name:      "log",
		Usage:     "show what was decided: what ran, what was refused and which line would allow it",
		ArgsUsage: "[SERVER]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "f", Usage: "go on as events come"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line"},
			&cli.BoolFlag{Name: "net", Usage: "names and connections only"},
			&cli.BoolFlag{Name: "last", Usage: "the refusals of the last session, each with its why: by which line, and what would allow it"},
			&cli.StringFlag{Name: "since", Usage: "a `TIME` or how long ago: 2026-01-31, 15m, 2h, 3d"},
		},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			o := logOptions{Dir: user.LogDir(at), Server: c.Args().First(), Since: c.String("since"), Net: c.Bool("net"), JSON: c.Bool("json"),
				Follow: c.Bool("f"), Now: time.Now(), Zone: time.Local}
			if o.Server != "" {
				n, err := a.Named(at, o.Server)
				if err != nil {
					return err
				}
				o.Server, o.Allow = n.Name, n.Profile
			}
			if c.Bool("last") {
				if o.Follow || o.Net || o.Since != "" {
					return usage("mcpen log --last "+o.Server, "--last is one whole session: it goes with --json alone")
				}
				return a.lastLog(c.Context, o, at)
			}
			if o.Follow {
				tick := time.NewTicker(250 * time.Millisecond)
				defer tick.Stop()
				o.Tick = tick.C
			}
			return runLog(c.Context, o, a.out)
		},
	}
}

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:        "doctor",
		Usage:       "say what this machine can enforce, and what to do about what it cannot",
		Description: "Tries every step of the sandbox and ends by running a tiny program in it.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print the checks as JSON"},
			&cli.BoolFlag{Name: "fix", Usage: "write and load the AppArmor profile that is missing, with sudo, after asking"},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("json") && c.Bool("fix") {
				return usage("mcpen doctor --fix", "--fix asks a person, and --json is for a program")
			}
			at, err := a.DirsToRun()
			if err != nil {
				return err
			}
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("cannot tell where this binary is: %w", err)
			}
			opts := doctorOptions{
				JSON:   c.Bool("json"),
				Binary: binary,
				Ask:    host.Ask{Home: at.Home, Runtime: at.Runtime, State: at.State, Config: at.Config, Bus: at.Bus},
				Recipe: a.recipe,
			}
			if c.Bool("fix") {
				opts.Fix = func(checks []host.Check) (bool, error) { return a.fix(c.Context, os.Geteuid(), checks) }
				opts.Again = func() error { return a.again(c.Context, binary) }
			}
			return runDoctor(c.Context, opts, a.out)
		},
	}
}

// recipe runs the smallest program in the whole sandbox, as run would.
func (a *app) recipe(ctx context.Context) (ungrouped string, err error) {
	p, err := a.Prepare(ctx, server.Words{Command: []string{"true"}})
	if err != nil {
		return "", err
	}
	defer p.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer null.Close()
	box, err := sandbox.Start(ctx, p.Plan, sandbox.Stdio{In: null, Out: null, Err: null}, nil, sandbox.Options{Raw: true})
	if err != nil {
		return "", err
	}
	if planned, gaps := len(p.Plan.Gaps), box.Plan().Gaps; len(gaps) > planned {
		ungrouped = gaps[planned].Why
	}
	exit, err := box.Wait()
	if err == nil && (exit != sandbox.Exit{}) {
		err = fmt.Errorf("the program that does nothing ended with %+v", exit)
	}
	return ungrouped, err
}
