package subject

import (
	"context"
	"errors"
	"slices"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
)

// ErrEnded is the error of a trial that a signal ended.
var ErrEnded = errors.New("the trial was ended")

// Hold holds the trial, and once more if the program named something that it lacks. The
// trial of a package that did not install is a report alone, without a run.
func (f *Finder) Hold(ctx context.Context, at user.Dirs, o Options, s *Subject) (*trial.Report, *trial.Run, error) {
	if !s.Installed() {
		return trial.NotInstalled(f.Release, s.about, *s.lacking), nil, nil
	}
	for again := 0; ; again++ {
		stage, p, err := f.staged(ctx, at, o, s, nil)
		if err != nil {
			return nil, nil, err
		}
		cfg := trial.Config{Plan: p.Plan, Stage: stage.Stage, Answer: o.Answer, Call: o.Call, Each: o.Each, Watch: o.Watch, Limit: o.Limit}
		if o.Scripts {
			cfg.Scripts, err = f.scripts(ctx, at, o, s, stage)
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
			return nil, nil, ErrEnded
		}
		if again < 2 && !run.Opened && s.learn(run.Words, stage.Desk) {
			continue
		}
		s.about.Root, s.about.Command = stage.root, p.Plan.Process.Args
		return trial.NewReport(f.Release, s.about, run, cfg), run, nil
	}
}

// staged makes a stage, whose desk is arranged where arrange is not nil, and the
// plan of the program on it.
func (f *Finder) staged(ctx context.Context, at user.Dirs, o Options, s *Subject, arrange func(*trial.Desk)) (*stage, *server.Prepared, error) {
	st, err := newStage(at, s)
	if err != nil {
		return nil, nil, err
	}
	if arrange != nil {
		arrange(st.Desk)
	}
	p, err := f.planned(ctx, at, o, s, st)
	if err != nil {
		st.close()
		return nil, nil, err
	}
	return st, p, nil
}

func (f *Finder) planned(ctx context.Context, at user.Dirs, o Options, s *Subject, st *stage) (*server.Prepared, error) {
	pol := policy.Closed(s.name)
	pol.Network.Allow = slices.Clone(o.Net)
	if o.All {
		pol.Network.Allow = append(pol.Network.Allow, policy.AnyHost())
	}
	p := &server.Prepared{Dirs: at, Policy: pol, Program: st.program(s)}
	var err error
	if p.Host, err = host.Probe(ctx, f.Ask(*p)); err != nil {
		return nil, err
	}
	p.Host.Desk = st.desk(ctx, s, o.Env)
	p.Plan, err = plan.Compile(p.Policy, p.Program, p.Host)
	return p, err
}
