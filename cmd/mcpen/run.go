package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/plan"
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
	if err := a.fetchSecrets(ctx, &p.plan); err != nil {
		return err
	}
	log, err := a.openLog(p)
	if err != nil {
		return err
	}
	defer log.close()
	_, _, isPackage, err := packaged(ch, p.policy)
	if err != nil {
		return err
	}
	pins := pinsBeside(p.place, p.policy, isPackage)
	before := sync.OnceValues(pins.read)
	again, stop := listenForReviews()
	defer stop()
	box, err := sandbox.Start(ctx, p.plan, sandbox.Stdio{In: a.in, Out: a.out, Err: a.err, Pins: before, Others: func() []guard.Other { return a.others(p.place, p.plan.Name) }}, log.write)
	if failed := log.failed(); err != nil && failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	if !quiet {
		fmt.Fprintln(a.err, "mcpen: "+startLine(p.plan))
	}
	go a.follow(ctx, pins, box, again)
	exit, err := box.Wait()
	if p.policy.Tools.Pins != policy.PinOff {
		was, _ := before() // read without an error, or nothing had started
		if err := pins.remember(was, box.Pins()); err != nil {
			a.warn("what the server said is not kept: %v", err)
		}
	}
	if failed := log.failed(); failed != nil {
		return failed
	}
	if err != nil {
		return &codeError{code: exitSandbox, err: err}
	}
	return ended{exit}
}

// startLine says what holds, and by name what does not.
func startLine(p plan.Plan) string {
	layers := make([]string, len(p.Layers))
	for i, l := range p.Layers {
		layers[i] = string(l)
		if l == policy.LayerLandlock {
			layers[i] = fmt.Sprintf("landlock (ABI %d)", p.Landlock.ABI)
		}
	}
	line := p.Name + ": held by " + strings.Join(layers, ", ")
	for _, g := range p.Gaps {
		line += fmt.Sprintf("; not held: %s (%s)", g.Want, g.Why)
	}
	return line
}

// journal is the log of one run and what to do when it cannot be written.
type journal struct {
	app  *app
	log  *audit.Log // nil: it could not be opened, and the profile goes on without
	stop bool
	told atomic.Bool
	err  atomic.Pointer[error]
}

// openLog opens the server's log. By profile a log that cannot be had stops the
// start, or is said and done without.
func (a *app) openLog(p prepared) (*journal, error) {
	j := &journal{app: a, stop: p.plan.Log.Stop}
	var err error
	if p.place.state == "" {
		err = fmt.Errorf("no HOME and no XDG_STATE_HOME")
	} else {
		j.log, err = audit.Open(logDir(p.place), audit.Options{Server: p.plan.Name, Args: p.plan.Log.Arguments})
	}
	if err == nil {
		return j, nil
	}
	if j.stop {
		return nil, &codeError{code: exitSandbox, err: fmt.Errorf("cannot open the log, and the profile wants one: %w", err), hint: "[log]\non-error = \"continue\""}
	}
	a.warn("no log of this run: %v", err)
	return j, nil
}

// write is the sink of the run.
func (j *journal) write(e audit.Event) error {
	if j.log == nil {
		return nil
	}
	err := j.log.Write(e)
	if err == nil {
		return nil
	}
	j.err.CompareAndSwap(nil, &err)
	if !j.told.Swap(true) {
		j.app.warn("cannot write the log: %v", err)
	}
	if j.stop {
		return err
	}
	return nil
}

// failed is the first error of writing, where the profile says that it counts.
func (j *journal) failed() error {
	if err := j.err.Load(); err != nil && j.stop {
		return &codeError{code: exitSandbox, err: fmt.Errorf("cannot write the log: %w", *err)}
	}
	return nil
}

func (j *journal) close() {
	if j.log != nil {
		j.log.Close()
	}
}
