package subject

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Replay writes the profile that a trial drafted, and holds another trial under that
// profile's rights alone. Of a package that did not install there is no profile.
func (f *Finder) Replay(ctx context.Context, at user.Dirs, o Options, s *Subject, r *trial.Report, run *trial.Run) error {
	if !s.Installed() {
		r.ProfileFile, r.Replay = o.Write, "nothing to write, as it did not install"
		return nil
	}
	ref := ""
	if s.ref.Name != "" {
		ref = server.Bare(s.ref)
	}
	args := append([]string{}, o.Args...)
	for _, arg := range s.more {
		args = append(args, strings.ReplaceAll(arg, "${desk}", "${workspace}"))
	}
	d := r.Draft(s.name, ref, args)
	if _, err := policy.Parse(o.Write, []byte(d.Text), catalog.Loader(at)); err != nil {
		return fmt.Errorf("internal error: the profile that was drafted is none: %w", err)
	}
	if _, err := os.Lstat(o.Write); err == nil {
		return launch.Usage("--write OTHER.toml", "cannot write the profile: %s is there already", o.Write)
	}
	if err := wholefile.Replace(o.Write, []byte(d.Text), 0o644); err != nil {
		return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot write the profile: %w", err)}
	}
	r.Profile, r.ProfileFile = d.Text, o.Write
	st, p, err := f.staged(ctx, at, o, s, func(desk *trial.Desk) { desk.Narrow(d.Workspace) })
	if err != nil {
		return err
	}
	defer st.close()
	only := append([]string{}, d.Hosts...)
	again, err := trial.Hold(ctx, trial.Config{Plan: p.Plan, Stage: st.Stage, Answer: o.Answer, Call: trial.CallNone, Watch: time.Second, Limit: o.Limit, Only: only})
	if err != nil {
		return err
	}
	r.Replay = replayed(run, again)
	return nil
}

// replayed says how a server went on with the profile that was drafted.
func replayed(first, again *trial.Run) string {
	refused := again.Refusals()
	text := fmt.Sprintf("%d refusals", len(refused))
	if len(refused) > 0 {
		text += ": " + strings.Join(refused[:min(3, len(refused))], "; ")
	}
	switch {
	case !again.Opened && first.Opened:
		return "it does not answer any more; " + text
	case !again.Opened:
		return "it answers neither with it nor without; " + text
	case len(again.Tools) != len(first.Tools):
		return fmt.Sprintf("it lists %d tools of %d; %s", len(again.Tools), len(first.Tools), text)
	}
	return fmt.Sprintf("it starts and lists the same %s; %s", user.Count(len(again.Tools), "tool"), text)
}
