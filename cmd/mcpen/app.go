package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/launch"
	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// app is one execution of the command: everything that it may touch of the
// process.
type app struct {
	in, out, err *os.File
	env          []string
	registries   map[string]connection // that were looked up already
	args         []string              // of the process
}

// The exit codes, as they are called here.
const (
	exitUsage   = launch.ExitUsage
	exitRefused = launch.ExitRefused
	exitSandbox = launch.ExitSandbox
)

const exitStatus = `

EXIT STATUS:
   The server's own code passes through; a server that a signal ended ends mcpen
   by the same signal. Otherwise:
     2    wrong usage, or a mistake in a profile
     3    refused by policy
     125  the sandbox could not be built
     126  the program cannot be executed
     127  the program was not found`

// codeError is an error with an exit code and, where there is one, something to
// paste.
type codeError struct {
	code int
	err  error
	hint string
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// usage is a mistake on the command line.
func usage(hint, format string, args ...any) error {
	return &codeError{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// ended is no mistake: a server's end that passes through.
type ended struct{ exit sandbox.Exit }

func (ended) Error() string { return "the server ended" }

// run runs one command line and returns the exit code. It is the only place
// that prints errors.
func (a *app) run(ctx context.Context, args []string) int {
	args = serverLast(args)
	err := a.cli(args).RunContext(ctx, args)
	if errors.Is(err, condemned{}) {
		return exitRefused
	}
	var end ended
	if errors.As(err, &end) {
		return launch.End(end.exit)
	}
	if err == nil {
		return 0
	}
	return a.report(err)
}

// serverLast moves a server's name behind the flags that follow it: people write
// "run SERVER --set name=value" as well. What stands behind "--" stays there.
func serverLast(args []string) []string {
	if len(args) < 2 || !slices.Contains([]string{"run", "explain", "trust", "try"}, args[1]) {
		return args
	}
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	var flags, names []string
	for i := 2; i < end; i++ {
		switch word := args[i]; {
		case !strings.HasPrefix(word, "-"):
			names = append(names, word)
		case takesValue(word) && i+1 < end:
			flags = append(flags, word, args[i+1])
			i++
		default:
			flags = append(flags, word)
		}
	}
	return slices.Concat(args[:2], flags, names, args[end:])
}

// takesValue reports whether a flag of a server has its value in the next word.
func takesValue(word string) bool {
	for _, f := range append(serverFlags(), tryFlags()...) {
		if _, alone := f.(*cli.BoolFlag); !alone && word == "--"+f.Names()[0] {
			return true
		}
	}
	return false
}

// cli is the command line's grammar. What a person asked for goes to stdout, but
// in "run", whose stdout is the protocol's, everything goes to stderr.
func (a *app) cli(args []string) *cli.App {
	out := a.out
	if len(args) < 2 || args[1] == "run" {
		out = a.err
	}
	wrong := func(_ *cli.Context, err error, _ bool) error { return usage("mcpen help", "%v", err) }
	commands := []*cli.Command{
		a.runCommand(args),
		a.tryCommand(args),
		a.explainCommand(args),
		a.checkCommand(),
		a.doctorCommand(),
		a.logCommand(),
		a.psCommand(),
		a.stopCommand(),
		a.profileCommand(),
		a.addCommand(),
		a.updateCommand(),
		a.outdatedCommand(),
		a.verifyCommand(),
		a.scanCommand(),
		a.gcCommand(),
		a.removeCommand(),
		a.reviewCommand(),
		a.trustCommand(args),
		a.allowCommand(),
		a.wrapCommand(),
		a.unwrapCommand(),
		a.clientsCommand(),
		a.completionCommand(),
	}
	for _, c := range commands {
		c.OnUsageError = wrong
		for _, sub := range c.Subcommands {
			sub.OnUsageError = wrong
		}
	}
	return &cli.App{
		Name:                      "mcpen",
		Usage:                     "a pen for MCP servers: starts one inside a sandbox and carries its messages",
		Version:                   version(),
		Reader:                    a.in,
		Writer:                    out,
		ErrWriter:                 a.err,
		ExitErrHandler:            func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true, // a path may hold a comma
		OnUsageError:              wrong,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("mcpen help", "no command %q", c.Args().First())
			}
			if err := cli.ShowAppHelp(c); err != nil {
				return err
			}
			return usage("mcpen run -- COMMAND", "no command named")
		},
		Commands: commands,
	}
}

// report prints an error with its hint and returns its exit code.
func (a *app) report(err error) int {
	say := func(kind, text string) { launch.Say(a.err, kind, text) }
	var mistakes policy.Mistakes
	var problems plan.Problems
	var notFound *host.FindError
	var coded *codeError
	switch {
	case errors.As(err, &mistakes):
		for _, m := range mistakes {
			say("error", m.Error())
			if m.Hint != "" {
				say("hint", m.Hint)
			}
		}
		if errors.As(err, &coded) {
			return coded.code
		}
		return exitUsage
	case errors.As(err, &problems):
		for _, p := range problems {
			say("error", plan.Problems{p}.Error())
			if advice := p.Advice(); advice != "" {
				say("hint", advice)
			}
		}
		if problems.Refused() {
			return exitRefused
		}
		if problems.Lack() {
			return exitSandbox
		}
		return exitUsage
	case errors.As(err, &notFound):
		say("error", notFound.Error())
		if notFound.Hint != "" {
			say("hint", notFound.Hint)
		}
		return int(notFound.Kind)
	case errors.As(err, &coded):
		say("error", coded.Error())
		if coded.hint != "" {
			say("hint", coded.hint)
		}
		return coded.code
	}
	return launch.Report(a.err, err)
}

// warn tells a person something that is no error.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.err, "mcpen: warning: "+format+"\n", args...)
}

func (a *app) getenv(name string) string {
	v, _ := a.lookup(name)
	return v
}

// lookup returns the last value of a variable, as getenv(3) implementations do
// not agree on the first.
func (a *app) lookup(name string) (string, bool) {
	for i := len(a.env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(a.env[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}
