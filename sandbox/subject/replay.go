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
	had := r.Subject.Variables
	needs := s.wanted(o, r.Verdict.Level)
	for again := 0; ; again++ {
		d, err := f.write(at, o, s, r, needs, again == 0)
		if err != nil {
			return err
		}
		second, err := f.replay(ctx, at, o, s, d, time.Second)
		if err != nil {
			return err
		}
		r.Replay = replayed(run, second)
		if again == maxReplays || ctx.Err() != nil || !run.Opened || alike(run, second) {
			return nil
		}
		missed := s.missed(had, needs, second.Words)
		if len(missed) == 0 {
			missed, err = f.least(ctx, at, o, s, d, run, s.unnamed(had, needs))
		}
		if err != nil || len(missed) == 0 {
			return err
		}
		needs = append(needs, missed...)
	}
}

// maxReplays bounds how often a profile is tried anew with more variables, and maxLeast of
// how many it is tried out which of them a server needs.
const (
	maxReplays = 3
	maxLeast   = 8
)

// alike reports whether a server went on as it did at first.
func alike(first, again *trial.Run) bool {
	return again.Opened && len(again.Tools) >= len(first.Tools)
}

// least are those of the variables without which a server does not start that does not
// say which they are. There are none if it does not start with all of them.
func (f *Finder) least(ctx context.Context, at user.Dirs, o Options, s *Subject, d trial.Draft, first *trial.Run, all []trial.Need) ([]trial.Need, error) {
	starts := func(with []trial.Need) (bool, error) {
		d := d
		d.Secrets = slices.Clone(d.Secrets)
		for _, n := range with {
			d.Secrets = append(d.Secrets, n.Name)
		}
		again, err := f.replay(ctx, at, o, s, d, 0)
		return err == nil && alike(first, again), err
	}
	if len(all) == 0 {
		return nil, nil
	}
	if ok, err := starts(all); err != nil || !ok {
		return nil, err
	}
	for i := 0; i < len(all) && len(all) > 1 && len(all) <= maxLeast; {
		rest := slices.Delete(slices.Clone(all), i, i+1)
		ok, err := starts(rest)
		switch {
		case err != nil:
			return nil, err
		case ok:
			all = rest
		default:
			i++
		}
	}
	return all, nil
}

// write drafts the profile and writes it, at first only where no file is.
func (f *Finder) write(at user.Dirs, o Options, s *Subject, r *trial.Report, needs []trial.Need, first bool) (trial.Draft, error) {
	d, folder, err := s.draft(r, o, needs)
	if err != nil {
		return d, err
	}
	if _, err := policy.Parse(o.Write, []byte(d.Text), catalog.Loader(at)); err != nil {
		return d, fmt.Errorf("internal error: the profile that was drafted is none: %w", err)
	}
	if _, err := os.Lstat(o.Write); err == nil && first {
		return d, launch.Usage("--write OTHER.toml", "cannot write the profile: %s is there already", o.Write)
	}
	if folder != "" && first {
		if err := trial.CopyFolder(s.dir, folder); err != nil {
			return d, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot unpack the bundle beside its profile: %w", err), Hint: "mcpen try --write OTHER.toml …"}
		}
	}
	if err := wholefile.Replace(o.Write, []byte(d.Text), 0o644); err != nil {
		return d, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot write the profile: %w", err)}
	}
	r.Profile, r.ProfileFile = d.Text, o.Write
	return d, nil
}

// replay holds a trial with the rights of a profile, and with no variable that a person
// who only has the profile need not set.
func (f *Finder) replay(ctx context.Context, at user.Dirs, o Options, s *Subject, d trial.Draft, watch time.Duration) (*trial.Run, error) {
	all := s.secrets
	defer func() { s.secrets = all }()
	s.secrets = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !slices.Contains(d.Secrets, name) })
	st, p, err := f.staged(ctx, at, o, s, func(desk *trial.Desk) { desk.Narrow(d.Workspace) })
	if err != nil {
		return nil, err
	}
	defer st.close()
	only := append([]string{}, d.Hosts...)
	return trial.Hold(ctx, trial.Config{Plan: p.Plan, Stage: st.Stage, Answer: o.Answer, Call: trial.CallNone, Watch: watch, Limit: o.Limit, Only: only})
}

// draft drafts the profile. folder is where the program of a bundle is to lie for it; ""
// for any other.
func (s *Subject) draft(r *trial.Report, o Options, needs []trial.Need) (d trial.Draft, folder string, err error) {
	var from trial.Server
	if s.ref.Name != "" {
		from.Package, from.Args = server.Bare(s.ref), literal(slices.Concat(s.args, o.Args))
	}
	from.Command, from.Folder, from.Needs = literal(s.command), s.home, needs
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
