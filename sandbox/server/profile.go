package server

import (
	"fmt"
	"os"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// Resolved is a policy and its sources.
type Resolved struct {
	Policy    policy.Policy
	profile   *policy.Profile   // without sources if there is no file
	baselines []*policy.Profile // that the command line names
}

// Resolve loads and resolves the profile, or takes the closed default.
func (c *Caller) Resolve(ch Choice, at user.Dirs) (Resolved, error) {
	var none Resolved
	baselines, err := catalog.Baselines(at, ch.Baseline)
	if err != nil {
		return none, err
	}
	if info, err := os.Stat(ch.Workspace); ch.Workspace != "" && (err != nil || !info.IsDir()) {
		return none, launch.Usage("--workspace DIR", "cannot use the workspace %q: it is no directory", ch.Workspace)
	}
	in := c.input(ch.Words, at, baselines)
	if ch.Unwritten() && len(baselines) == 0 && len(ch.Params) == 0 && ch.Workspace == "" && len(ch.Without) == 0 && len(ch.Pass) == 0 && len(ch.Secrets) == 0 {
		return Resolved{Policy: policy.Closed(ch.Name), profile: &policy.Profile{Name: ch.Name}}, nil
	}
	profile, err := c.chosenProfile(at, ch)
	if err != nil {
		return none, err
	}
	in.Env = c.variables(profile.EnvOf())
	if in.Server, err = catalog.Identity(at, profile, ch.Look); err != nil {
		return none, err
	}
	pol, err := policy.Resolve(profile, in)
	if err != nil {
		return none, refused(err, profile, in)
	}
	if ch.Unwritten() {
		profile = &policy.Profile{Name: pol.Name}
	}
	return Resolved{pol, profile, baselines}, nil
}

// ResolveAnywhere is Resolve where the server's client may start it in another folder
// than this one.
func (c *Caller) ResolveAnywhere(ch Choice, at user.Dirs) (Resolved, error) {
	r, err := c.Resolve(ch, at)
	if err == nil || ch.Workspace != "" || Workspace(c.input(ch.Words, at, nil)) != "" {
		return r, err
	}
	dir, errDir := os.MkdirTemp("", "mcpen-workspace-")
	if errDir != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	ch.Workspace, ch.Empty = dir, true
	if there, errThere := c.Resolve(ch, at); errThere == nil {
		return there, nil
	}
	return r, err
}

// input is the input for resolving a profile.
func (c *Caller) input(w Words, at user.Dirs, baselines []*policy.Profile) policy.Input {
	in := policy.Input{Params: w.Params, Home: at.Home, State: at.State, Config: at.Config,
		Login: at.Login, Workspace: w.Workspace, Cwd: at.Cwd, Without: w.Without, Pass: w.Pass, Secrets: w.Secrets, Baselines: baselines}
	in.Start = Workspace(in)
	switch {
	case w.Empty:
		in.Start = w.Workspace
	case in.Workspace == "":
		in.Workspace = in.Start
	}
	return in
}

// Workspace is where mcpen was started, or "" where that may be no workspace, as
// the home directory may not: a client that starts everything there has to say
// which folder it means.
func Workspace(in policy.Input) string {
	_, err := policy.Resolve(&policy.Profile{Name: "workspace"}, policy.Input{Home: in.Home, State: in.State, Config: in.Config, Login: in.Login,
		Workspace: in.Cwd, Cwd: in.Cwd})
	if err != nil {
		return ""
	}
	return in.Cwd
}

// refused tells a mistake in a profile from a good one that the baseline does not
// allow.
func refused(err error, profile *policy.Profile, in policy.Input) error {
	if len(in.Baselines) == 0 {
		return err
	}
	in.Baselines = nil
	if _, alone := policy.Resolve(profile, in); alone != nil {
		return err
	}
	return &launch.Error{Code: launch.ExitRefused, Err: err}
}

// chosenProfile is the profile of a choice; without one, an empty profile of the
// server's name.
func (c *Caller) chosenProfile(at user.Dirs, ch Choice) (*policy.Profile, error) {
	if ch.Unwritten() {
		return policy.Parse(catalog.Unwritten, fmt.Appendf(nil, "version = 1\nname = %q\n", ch.Name), catalog.Loader(at))
	}
	return catalog.Profile(at, ch.Profile)
}
