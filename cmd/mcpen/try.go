package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
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
		&cli.StringFlag{Name: "limit", Value: "90s", Usage: "how long the trial may take, beside the install"},
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
			"keys and tokens made for this run, and nothing that it sends leaves this machine." + `

EXIT STATUS:
   0    nothing red
   2    wrong usage
   3    the verdict is red (or amber, with --fail-on amber)
   125  the sandbox could not be built, or the package not be had`,
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
	if err := launch.HideDescriptors(); err != nil {
		return err
	}
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	at.Runtime = unnamed(at.Runtime)
	s, err := a.tried(ctx, at, o)
	if err != nil {
		return locked.Explained(ctx, err)
	}
	defer s.close()
	if o.all || len(o.net) > 0 {
		fmt.Fprintln(a.Err, launch.Red(a.Err, "mcpen: what it sends to "+realHosts(o)+" LEAVES this machine"))
	}
	report, run, err := a.hold(ctx, at, o, s)
	if err != nil {
		return err
	}
	if o.write != "" {
		if err := a.replay(ctx, at, o, s, report, run); err != nil {
			return err
		}
	}
	return a.tell(o, report)
}

func realHosts(o tryOptions) string {
	if o.all {
		return "any public host"
	}
	var names []string
	for _, h := range o.net {
		names = append(names, h.String())
	}
	return strings.Join(names, ", ")
}

// hold holds the trial, and once more if the program named something that it lacks.
func (a *app) hold(ctx context.Context, at user.Dirs, o tryOptions, s *subject) (*trial.Report, *trial.Run, error) {
	for again := 0; ; again++ {
		stage, p, err := a.staged(ctx, at, o, s, nil)
		if err != nil {
			return nil, nil, err
		}
		cfg := trial.Config{Plan: p.Plan, Stage: stage.Stage, Answer: o.answer, Call: o.call, Each: o.each, Watch: o.watch, Limit: o.limit}
		if o.scripts {
			cfg.Scripts, err = a.scripts(ctx, at, o, s, stage)
			s.about.ScriptsRan = len(cfg.Scripts) > 0
		}
		var run *trial.Run
		if err == nil {
			run, err = trial.Hold(ctx, cfg)
		}
		stage.close()
		if err != nil {
			return nil, nil, err
		}
		if ctx.Err() != nil {
			return nil, nil, ended{sandbox.Exit{Signal: launch.SignalOf(ctx)}}
		}
		if again < 2 && !run.Opened && s.learn(run.Words, stage.Desk) {
			continue
		}
		s.about.Root, s.about.Command = stage.root, p.Plan.Process.Args
		return trial.NewReport(release, s.about, run, cfg), run, nil
	}
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
		more := "mcpen try --html FILE, --json; --write FILE for a profile"
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

// condemned is no mistake: the exit status of a trial that failed.
type condemned struct{}

func (condemned) Error() string { return "the verdict is not green" }

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

// staged makes a stage, whose desk is arranged where arrange is not nil, and the
// plan of the program on it.
func (a *app) staged(ctx context.Context, at user.Dirs, o tryOptions, s *subject, arrange func(*trial.Desk)) (*stage, *server.Prepared, error) {
	st, err := newStage(at, s)
	if err != nil {
		return nil, nil, err
	}
	if arrange != nil {
		arrange(st.Desk)
	}
	p, err := a.planned(ctx, at, o, s, st)
	if err != nil {
		st.close()
		return nil, nil, err
	}
	return st, p, nil
}

func (a *app) planned(ctx context.Context, at user.Dirs, o tryOptions, s *subject, st *stage) (*server.Prepared, error) {
	pol := policy.Closed(s.name)
	pol.Network.Allow = slices.Clone(o.net)
	if o.all {
		pol.Network.Allow = append(pol.Network.Allow, policy.AnyHost())
	}
	p := &server.Prepared{Dirs: at, Policy: pol, Program: st.program(s)}
	var err error
	if p.Host, err = host.Probe(ctx, a.Ask(*p)); err != nil {
		return nil, err
	}
	p.Host.Desk = st.desk(ctx, s, o.env)
	p.Plan, err = plan.Compile(p.Policy, p.Program, p.Host)
	return p, err
}
