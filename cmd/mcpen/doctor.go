package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/server"
)

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
				Installs: func(ctx context.Context, boxed bool) []host.Installs {
					return a.Packages.Ready(ctx, at, boxed)
				},
			}
			if c.Bool("fix") {
				opts.Fix = func(checks []host.Check) (bool, error) { return a.fix(c.Context, os.Geteuid(), checks) }
				opts.Again = func() error { return a.again(c.Context, binary) }
			}
			return runDoctor(c.Context, opts, a.out)
		},
	}
}

// doctorOptions is the input of "doctor".
type doctorOptions struct {
	JSON   bool
	Binary string   // absolute path of this binary, for an AppArmor profile
	Ask    host.Ask // only Bus counts
	// Recipe starts a tiny program in the whole sandbox and waits for it. It is the
	// judge: the other lines only give remedies. If it started without the planned
	// control group, ungrouped says why. nil leaves it out.
	Recipe func(context.Context) (ungrouped string, err error)
	// Installs finds what packages are installed with; boxed: a sandbox can be had.
	Installs func(ctx context.Context, boxed bool) []host.Installs
	// Fix repairs the checks that it can, and reports whether it repaired any. doctor then
	// calls Again. A nil Fix repairs nothing.
	Fix   func([]host.Check) (bool, error)
	Again func() error
}

// runDoctor lists the protections that this machine can enforce, and remedies for the
// others. Its error ends in exit code 125 if "run" would refuse to start.
func runDoctor(ctx context.Context, opts doctorOptions, out io.Writer) error {
	if err := host.Descriptors(); err != nil {
		return untried(err) // run says the same, and every check below would say something else
	}
	facts := host.Facts{Around: opts.Ask.Survey(), Binary: opts.Binary}
	var err error
	if facts.Host, err = host.Probe(ctx, opts.Ask); err != nil {
		return err
	}
	if facts.Depths, err = host.Deep(ctx); err != nil {
		return untried(err)
	}
	facts.Depths.Into(&facts.Host)
	if opts.Recipe != nil {
		facts.Tried = true
		facts.Ungrouped, facts.Recipe = opts.Recipe(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		if launch.Limited(facts.Recipe) != "" {
			return untried(facts.Recipe)
		}
	}
	if opts.Installs != nil {
		facts.Installs = opts.Installs(ctx, facts.Tried && facts.Recipe == nil)
	}
	checks := host.Checks(facts)
	write := writeChecks
	if opts.JSON {
		write = writeChecksJSON
	}
	if err := write(out, checks); err != nil {
		return err
	}
	if opts.Fix != nil {
		mended, err := opts.Fix(checks)
		if err != nil {
			return err
		}
		if mended {
			return opts.Again()
		}
	}
	if blocking := host.Blocking(checks); len(blocking) > 0 {
		return &launch.Error{
			Code: exitSandbox,
			Err:  fmt.Errorf("this machine cannot hold a server: %s", strings.Join(blocking, ", ")),
			Hint: "each line above that says missing has its fix below it",
		}
	}
	return nil
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
