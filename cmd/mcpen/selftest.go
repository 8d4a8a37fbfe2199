package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/selftest"
	"mcpen/sandbox/server"
)

func (a *app) selftestCommand() *cli.Command {
	return &cli.Command{
		Name:      "selftest",
		Usage:     "attack a sandbox of this machine, and say what it holds",
		ArgsUsage: "[SERVER]",
		Description: "mcpen becomes the attacker: in a sandbox of the profile SERVER (the closed default without\n" +
			"one) it tries what a hostile server would, and outside the same, where it has to work. Beside\n" +
			"the profile it is given folders of its own, which are made in your home and removed again.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print each attack as JSON"},
			&cli.StringSliceFlag{Name: "only", Usage: "the attacks of one `GROUP`, by its name in the report; may be repeated"},
			setFlag(),
			&cli.StringFlag{Name: "folder", Usage: "a `DIR` in which the attacked files are made, where your home is not one"},
			&cli.StringFlag{Name: "baseline", Usage: "a profile `FILE` that no other may go beyond, besides " + filepath.Join(machine, catalog.BaselineName) + " where that exists"},
			&cli.StringSliceFlag{Name: "without", Usage: "do without a `LAYER` (namespaces, landlock, seccomp), to see what is lost"},
		},
		Action: func(c *cli.Context) error {
			without, err := layersOf(c.StringSlice("without"))
			if err != nil {
				return err
			}
			params, err := parameters(c.StringSlice("set"))
			if err != nil {
				return err
			}
			only := c.StringSlice("only")
			for _, name := range only {
				if !slices.Contains(selftest.Names(), name) {
					return usage(cmp.Or(policy.DidYouMean(name, selftest.Names()), "mcpen selftest --only files"), "there are no attacks called %q", name)
				}
			}
			ch := server.Words{Params: params, Baseline: c.String("baseline"), Without: without}
			at, err := a.DirsToRun()
			if err != nil {
				return notTested(err)
			}
			if err := os.Setenv(selftest.Canary, "canary"); err != nil {
				return notTested(err)
			}
			r, err := selftest.OfProfile(c.Context, &a.Caller, at, c.Args().First(), c.String("folder"), only, ch)
			if err != nil {
				return notTested(err)
			}
			r.Mcpen = release
			write := func() error { return r.WriteText(a.out, a.paintState()) }
			if c.Bool("json") {
				write = func() error { return r.WriteJSON(a.out) }
			}
			if err := write(); err != nil {
				return err
			}
			switch {
			case r.Count(selftest.NotHeld) > 0:
				return condemned{}
			case r.Count(selftest.Held) == 0:
				return notTested(errors.New("no attack works outside, so nothing was proved"))
			}
			return nil
		},
	}
}

// attackHook is the attacker, and does not return, where this process was started as
// that: by "selftest", inside a sandbox and outside.
func attackHook() {
	if len(os.Args) > 1 && os.Args[1] == selftest.Mark {
		os.Exit(selftest.Attack(os.Args[1:], os.Stdin, os.Stderr))
	}
}

// notTested is the error of a run that says nothing: its exit status is never that of
// a sandbox which holds, nor of one which does not.
func notTested(err error) error {
	var known *launch.Error
	var mistakes policy.Mistakes
	var problems plan.Problems
	if errors.As(err, &known) || errors.As(err, &mistakes) || errors.As(err, &problems) {
		return err
	}
	hint := "mcpen doctor"
	if errors.Is(err, selftest.ErrPlace) {
		hint = "mcpen selftest --folder DIR, of a folder of yours that the profile does not give, outside of /tmp"
	}
	return &launch.Error{Code: exitSandbox, Err: fmt.Errorf("cannot attack a sandbox here: %w", err), Hint: hint}
}

// paintState colours the words of states at a terminal.
func (a *app) paintState() func(selftest.State, string) string {
	if !a.Terminal(a.out) || a.Getenv("NO_COLOR") != "" {
		return nil
	}
	return func(s selftest.State, word string) string {
		return map[selftest.State]string{selftest.NotHeld: "\x1b[1;31m", selftest.Unproved: "\x1b[33m", selftest.Held: "\x1b[32m"}[s] + word + "\x1b[0m"
	}
}

// layersOf reads the values of --without. The mediator needs the filter, which asks it,
// and the namespaces, in which it is: without one of them it is absent, too.
func layersOf(words []string) ([]policy.Layer, error) {
	var out []policy.Layer
	for _, w := range words {
		if !slices.Contains(policy.DefaultLayers(), policy.Layer(w)) {
			return nil, noLayer(w, "mcpen selftest --help")
		}
		out = append(out, policy.Layer(w))
	}
	needs := slices.Contains(out, policy.LayerNamespaces) || slices.Contains(out, policy.LayerSeccomp)
	if needs && !slices.Contains(out, policy.LayerMediation) {
		out = append(out, policy.LayerMediation)
	}
	return out, nil
}
