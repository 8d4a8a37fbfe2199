package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/grammar"
	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/server"
)

// app is one execution of the command: everything that it may touch of the
// process.
type app struct {
	server.Caller
	in, out *os.File
	args    []string // of the process
}

// The exit codes, as they are called here.
const (
	exitUsage   = launch.ExitUsage
	exitRefused = launch.ExitRefused
	exitSandbox = launch.ExitSandbox
	exitPipe    = 128 + int(syscall.SIGPIPE) // nobody reads mcpen's output
)

// asked is the file for the answer to --json. Messages for people go to stderr then.
func (a *app) asked(c *cli.Context) *os.File {
	out := a.out
	if c.Bool("json") {
		a.out = a.Err
	}
	return out
}

// note shows a person a remark of a file's, which a stranger wrote.
func (a *app) note(text string) { fmt.Fprintf(a.out, "note: %s\n", audit.Visible(text)) }

// usage is a mistake on the command line.
func usage(hint, format string, args ...any) error { return launch.Usage(hint, format, args...) }

// ended is no mistake: a server's end that passes through.
type ended struct{ exit sandbox.Exit }

func (ended) Error() string { return "the server ended" }

// run runs one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	args = grammar.FlagsFirst(a.cli(args).Commands, args)
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
	if errors.Is(err, syscall.EPIPE) {
		return exitPipe
	}
	return launch.Report(a.Err, err)
}

// cli is the command line's grammar. The requested output goes to stdout, but in "run",
// whose stdout is the protocol's, everything goes to stderr.
func (a *app) cli(args []string) *cli.App {
	out := a.out
	if len(args) < 2 || args[1] == "run" {
		out = a.Err
	}
	commands := a.commands(args)
	for _, c := range commands {
		grammar.Strict(c, "mcpen", withPage)
	}
	return &cli.App{
		Name:                      "mcpen",
		Usage:                     "a pen for MCP servers: starts one inside a sandbox and carries its messages",
		Version:                   version(),
		Reader:                    a.in,
		Writer:                    out,
		ErrWriter:                 a.Err,
		ExitErrHandler:            func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true, // a path may hold a comma
		OnUsageError:              func(c *cli.Context, err error, _ bool) error { return grammar.NoFlag(err, "mcpen", c.App.Flags) },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return grammar.NoCommand("mcpen", c.Args().First(), c.App.Commands)
			}
			if err := cli.ShowAppHelp(c); err != nil {
				return err
			}
			return usage("mcpen run -- COMMAND", "no command named")
		},
		Description:           withPage("", "mcpen"),
		CustomAppHelpTemplate: overview,
		Commands:              commands,
		Flags:                 []cli.Flag{cli.HelpFlag}, // the library adds it with its own help command alone
	}
}

// commands are all commands, in the order and under the headings of the help.
func (a *app) commands(args []string) []*cli.Command {
	return slices.Concat(
		under("Run a server", a.tryCommand(args), a.runCommand(args), a.psCommand(), a.stopCommand(), a.logCommand()),
		under("Put clients' servers into pens", a.wrapCommand(), a.unwrapCommand(), a.clientsCommand()),
		under("Say what a server may do", a.explainCommand(args), a.allowCommand(), a.learnCommand(), a.checkCommand(), a.profileCommand(), a.trustCommand(args)),
		under("Approve what a server says", a.reviewCommand()),
		under("Lock packages", a.addCommand(), a.updateCommand(), a.outdatedCommand(), a.verifyCommand(), a.scanCommand(), a.removeCommand(), a.gcCommand()),
		under("Know this machine and mcpen", a.doctorCommand(), a.selftestCommand(), a.completionCommand(), a.helpCommand()))
}

// under puts commands under a heading of the help.
func under(heading string, commands ...*cli.Command) []*cli.Command {
	for _, c := range commands {
		c.Category = heading
	}
	return commands
}

// condemned is no mistake: the exit status of a trial that failed.
type condemned struct{}

func (condemned) Error() string { return "the verdict is not green" }

// noteError is a note for a person about a command that did its work.
type noteError string

func (n noteError) Error() string { return string(n) }
