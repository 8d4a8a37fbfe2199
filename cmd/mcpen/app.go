package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
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

// usage is a mistake on the command line.
func usage(hint, format string, args ...any) error { return launch.Usage(hint, format, args...) }

// ended is no mistake: a server's end that passes through.
type ended struct{ exit sandbox.Exit }

func (ended) Error() string { return "the server ended" }

// run runs one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	args = flagsFirst(a.cli(args).Commands, args)
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

// flagsFirst moves the flags of a command before its other words: people write "run
// SERVER --set name=value" as well. Words after "--" stay there.
func flagsFirst(commands []*cli.Command, args []string) []string {
	c, n := commandOf(commands, args[min(1, len(args)):])
	if c == nil {
		return args
	}
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	flags, others, whole := sorted(c.Flags, args[1+n:end])
	if asksForHelp(c.Flags, flags) { // what stands beside it is no topic
		return append(slices.Clone(args[:1+n]), "--help")
	}
	if !whole { // nothing else is to become the value
		return slices.Concat(args[:1+n], flags)
	}
	return slices.Concat(args[:1+n], flags, others, args[end:])
}

// asksForHelp looks for --help among flags and their values, of which none is it.
func asksForHelp(known []cli.Flag, flags []string) bool {
	for i := 0; i < len(flags); i++ {
		switch w := flags[i]; {
		case valued(known, w) != "":
			i++
		case w == "--help" || w == "-help" || w == "-h":
			return true
		}
	}
	return false
}

// cli is the command line's grammar. The requested output goes to stdout, but in "run",
// whose stdout is the protocol's, everything goes to stderr.
func (a *app) cli(args []string) *cli.App {
	out := a.out
	if len(args) < 2 || args[1] == "run" {
		out = a.Err
	}
	commands := []*cli.Command{
		a.runCommand(args),
		a.tryCommand(args),
		a.explainCommand(args),
		a.checkCommand(),
		a.doctorCommand(),
		a.selftestCommand(),
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
		a.learnCommand(),
		a.wrapCommand(),
		a.unwrapCommand(),
		a.clientsCommand(),
		a.completionCommand(),
		a.helpCommand(),
	}
	for _, c := range commands {
		strict(c, "mcpen")
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
		OnUsageError:              func(c *cli.Context, err error, _ bool) error { return noFlag(err, "mcpen", c.App.Flags) },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return noCommand("mcpen", c.Args().First(), c.App.Commands)
			}
			if err := cli.ShowAppHelp(c); err != nil {
				return err
			}
			return usage("mcpen run -- COMMAND", "no command named")
		},
		Description: withPage("", "mcpen"),
		Commands:    commands,
		Flags:       []cli.Flag{cli.HelpFlag}, // the library adds it with its own help command alone
	}
}

// strict makes a command and its subcommands refuse unknown words and flags. parent
// holds the words before the command's name.
func strict(c *cli.Command, parent string) {
	path := parent + " " + c.Name
	c.Description = withPage(c.Description, path)
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return noFlag(err, path, c.Flags) }
	if len(c.Subcommands) == 0 {
		c.HideHelpCommand = true // "help" is a server's name there
		c.CustomHelpTemplate = cli.CommandHelpTemplate
		c.Before = func(ctx *cli.Context) error { return fewWords(path, c.ArgsUsage, ctx.Args().Slice()) }
		return
	}
	for _, sub := range c.Subcommands {
		strict(sub, path)
	}
	commands := c.Subcommands
	c.Action = func(ctx *cli.Context) error {
		if ctx.NArg() > 0 {
			return noCommand(path, ctx.Args().First(), commands)
		}
		if err := cli.ShowSubcommandHelp(ctx); err != nil {
			return err
		}
		return usage(path+" "+commands[0].Name, "no command named")
	}
}

// fewWords is an error where a command was given more words than its help has. A
// command whose help has "--" counts for itself.
func fewWords(path, has string, words []string) error {
	most := mostWords(has)
	if strings.Contains(has, "-- ") || most < 0 || len(words) <= most {
		return nil
	}
	want := strings.TrimSpace(path + " " + has)
	return usage(path+" --help", "%q is a word too many: want %s", words[most], want)
}

// noCommand is the error of a word in the place of a command.
func noCommand(parent, name string, commands []*cli.Command) error {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	hint := policy.DidYouMean(name, names)
	if hint == "" {
		hint = strings.Replace(parent, "mcpen", "mcpen help", 1)
	}
	return usage(hint, "no command %q", strings.TrimPrefix(parent+" "+name, "mcpen "))
}

// noFlag is the error of flags that cannot be read.
func noFlag(err error, path string, flags []cli.Flag) error {
	hint := ""
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		var names []string
		for _, w := range flagWords(flags) {
			names = append(names, w.text)
		}
		hint = policy.DidYouMean("--"+strings.TrimPrefix(name, "-"), names)
	}
	if hint == "" {
		hint = path + " --help"
	}
	return usage(hint, "%v", err)
}

// helpCommand is "mcpen help log" for "mcpen log --help".
func (a *app) helpCommand() *cli.Command {
	return &cli.Command{Name: "help", Aliases: []string{"h"}, Usage: "show the commands, or what one of them does", ArgsUsage: "[COMMAND…]", Action: func(c *cli.Context) error {
		words := c.Args().Slice()
		if parent, n := commandOf(c.App.Commands, words); n < len(words) {
			commands := c.App.Commands
			if parent != nil {
				commands = parent.Subcommands
			}
			return noCommand(strings.Join(append([]string{"mcpen"}, words[:n]...), " "), words[n], commands)
		}
		args := slices.Concat([]string{"mcpen"}, words, []string{"--help"})
		return a.cli([]string{"mcpen", "help"}).RunContext(c.Context, args)
	}}
}
