package subject

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
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
	d, folder, err := s.draft(r, o)
	if err != nil {
		return err
	}
	if _, err := policy.Parse(o.Write, []byte(d.Text), catalog.Loader(at)); err != nil {
		return fmt.Errorf("internal error: the profile that was drafted is none: %w", err)
	}
	if _, err := os.Lstat(o.Write); err == nil {
		return launch.Usage("--write OTHER.toml", "cannot write the profile: %s is there already", o.Write)
	}
	if folder != "" {
		if err := trial.CopyFolder(s.dir, folder); err != nil {
			return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot unpack the bundle beside its profile: %w", err), Hint: "mcpen try --write OTHER.toml …"}
		}
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

// draft drafts the profile. folder is where the program of a bundle is to lie for it; ""
// for any other.
func (s *Subject) draft(r *trial.Report, o Options) (d trial.Draft, folder string, err error) {
	var from trial.Server
	if s.ref.Name != "" {
		from.Package, from.Args = server.Bare(s.ref), literal(o.Args)
	}
	from.Command, from.Folder = literal(s.command), s.home
	if s.bundle {
		if folder, err = filepath.Abs(BundleFolder(o.Write)); err != nil {
			return d, "", err
		}
		from.Folder = folder
		for i := range from.Command {
			from.Command[i] = strings.ReplaceAll(from.Command[i], s.dir, folder)
		}
		for _, e := range s.own {
			from.Env = append(from.Env, plan.Env{Name: e.Name, Value: strings.ReplaceAll(e.Value, ownFolder, folder)})
		}
	}
	for _, arg := range s.more {
		from.Args = append(from.Args, strings.ReplaceAll(arg, "${desk}", "${workspace}"))
	}
	return r.Draft(s.name, from), folder, nil
}

// literal are words as a profile writes them: a "${" in them begins no parameter.
func literal(words []string) []string {
	out := slices.Clone(words)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "${", "$${")
	}
	return out
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
