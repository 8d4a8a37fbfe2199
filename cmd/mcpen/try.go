package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/subject"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// tryFlags are those of "try" alone.
func tryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "net", Usage: "let connections to `HOST:PORT` through to the real one, or \"all\"; may be repeated"},
		&cli.StringFlag{Name: "call", Value: trial.CallReading, Usage: "which tools are called: `WHICH` is read-only, all or none"},
		&cli.BoolFlag{Name: "each", Usage: "start the server anew for each tool that is called"},
		&cli.BoolFlag{Name: "scripts", Usage: "run the install scripts of npm packages too, on the same desk"},
		&cli.StringFlag{Name: "watch", Value: "5s", Usage: "how long to watch it when nobody asks for anything: seconds, or 500ms, 2m"},
		&cli.StringFlag{Name: "limit", Value: "90s", Usage: "how long the trial may take, and before it the install, which has 10m if this is not said"},
		&cli.StringFlag{Name: "answer", Value: "json", Usage: "what the internet that is not real answers: `WHAT` is json, 404, 503 or a file"},
		&cli.StringSliceFlag{Name: "env", Usage: "a variable for the server, as `NAME=VALUE`; may be repeated"},
		&cli.StringFlag{Name: "fail-on", Value: "red", Usage: "the `LEVEL` from which the exit status is 3: red or amber"},
		&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"},
		&cli.BoolFlag{Name: "sarif", Usage: "print the reasons as SARIF 2.1.0"},
		&cli.StringFlag{Name: "html", Usage: "write the whole report to `FILE`, one page that needs nothing else"},
		&cli.StringFlag{Name: "write", Usage: "write the smallest profile with which it would work to `FILE`, and try that"},
	}
}

func (a *app) tryCommand(words []string) *cli.Command {
	return &cli.Command{
		Name:      "try",
		Usage:     "say what a server does, on a desk and an internet that are not real",
		ArgsUsage: "SERVER [-- ARGS…] | -- COMMAND [ARGS…]",
		Description: "SERVER is npm:NAME[@VERSION], pypi:NAME[==VERSION], a server.json, an MCPB bundle or a profile.\n" +
			"The server runs in the closed sandbox. Its home is that of somebody who does not exist, with\n" +
			"keys and tokens made for this run, and nothing that it sends leaves this machine. The report\n" +
			"of a package that does not install says why; one that its registry lacks is an error.",
		Flags: tryFlags(),
		Action: func(c *cli.Context) error {
			o, err := a.tryOptions(c, words)
			if err != nil {
				return err
			}
			return a.try(c.Context, o)
		},
	}
}

// try holds a trial and reports it.
func (a *app) try(ctx context.Context, o tryOptions) error {
	if err := o.placed(); err != nil {
		return err
	}
	if err := launch.HideDescriptors(); err != nil {
		return err
	}
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	at.Runtime = subject.Unnamed(at.Runtime)
	f := &subject.Finder{Caller: &a.Caller, Note: a.note, Release: release}
	s, err := f.Find(ctx, at, o.Options)
	if err != nil {
		return locked.Explained(ctx, err)
	}
	defer s.Close()
	if s.Installed() && (o.All || len(o.Net) > 0) {
		fmt.Fprintln(a.Err, launch.Red(a.Err, "mcpen: what it sends to "+o.RealHosts()+" LEAVES this machine"))
	}
	report, run, err := f.Hold(ctx, at, o.Options, s)
	if errors.Is(err, subject.ErrEnded) {
		return ended{sandbox.Exit{Signal: launch.SignalOf(ctx)}}
	}
	if err != nil {
		return err
	}
	if o.Write != "" {
		if err := f.Replay(ctx, at, o.Options, s, report, run); err != nil {
			return err
		}
	}
	told := a.tell(o, report)
	if a.asks(o, report) && (told == nil || errors.Is(told, condemned{})) {
		if o.Write = a.profileFile(); o.Write != "" {
			return errors.Join(a.written(ctx, at, f, o, s, report, run), told)
		}
	}
	return told
}

// asks reports whether try asks for a profile's file: at a terminal, without --write, and
// for a server that is not red.
func (a *app) asks(o tryOptions, r *trial.Report) bool {
	return o.Write == "" && !o.json && !o.sarif && r.Install == nil && r.Verdict.Level != trial.Red && a.Terminal(a.in) && a.Terminal(a.out)
}

// profileFile asks for the file of a profile; "" is for none.
func (a *app) profileFile() string {
	fmt.Fprint(a.Err, "write the smallest profile with which it would work? a file such as server.toml, or Enter for none: ")
	answer, err := bufio.NewReader(a.in).ReadString('\n') // no answer is none
	if err != nil {
		fmt.Fprintln(a.Err)
	}
	return strings.TrimSpace(answer)
}

// written writes the profile that a person asked for, and prints how its trial went.
func (a *app) written(ctx context.Context, at user.Dirs, f *subject.Finder, o tryOptions, s *subject.Subject, r *trial.Report, run *trial.Run) error {
	if err := o.placed(); err != nil {
		return err
	}
	if err := f.Replay(ctx, at, o.Options, s, r, run); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s: %s\n", audit.Visible(r.ProfileFile), r.Replay)
	return err
}

// tell prints the report, and gives the exit status.
func (a *app) tell(o tryOptions, r *trial.Report) error {
	var err error
	if o.html != "" {
		err = a.writeReport(o.html, r)
	}
	switch {
	case err != nil:
	case o.json:
		err = r.WriteJSON(a.out)
	case o.sarif:
		err = r.WriteSARIF(a.out)
	default:
		more := "mcpen try --html FILE, --json"
		if o.Write == "" && r.Install == nil {
			more += "; --write FILE for a profile"
		}
		if o.html != "" {
			more = audit.Visible(o.html)
		}
		err = r.WriteText(a.out, a.paint(), more)
	}
	if err != nil {
		return err
	}
	if r.Verdict.Level == trial.Red || r.Verdict.Level == trial.Amber && o.failOn == trial.Amber {
		return condemned{}
	}
	return nil
}

func (a *app) writeReport(file string, r *trial.Report) error {
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		return err
	}
	if err := wholefile.Replace(file, []byte(b.String()), 0o644); err != nil {
		return &launch.Error{Code: exitUsage, Err: fmt.Errorf("cannot write the report: %w", err)}
	}
	return nil
}

// paint colours words at a terminal.
func (a *app) paint() func(trial.Level, string) string {
	if !a.Terminal(a.out) || a.Getenv("NO_COLOR") != "" {
		return nil
	}
	return func(l trial.Level, text string) string {
		return map[trial.Level]string{trial.Red: "\x1b[1;31m", trial.Amber: "\x1b[33m", trial.Green: "\x1b[32m"}[l] + text + "\x1b[0m"
	}
}
