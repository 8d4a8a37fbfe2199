package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

// BaselineName is the file name of a baseline.
const BaselineName = "baseline.toml"

// baselineFile is the machine's baseline.
func (c *Caller) baselineFile() string { return filepath.Join(c.Machine, BaselineName) }

// Resolved is a policy and its sources.
type Resolved struct {
	Policy    policy.Policy
	profile   *policy.Profile   // without sources if there is no file
	baselines []*policy.Profile // that the command line names
}

// Resolve loads and resolves the profile, or takes the closed default.
func (c *Caller) Resolve(ch Choice, at Dirs) (Resolved, error) {
	var none Resolved
	baselines, err := c.baselines(at, ch.Baseline)
	if err != nil {
		return none, err
	}
	if info, err := os.Stat(ch.Workspace); ch.Workspace != "" && (err != nil || !info.IsDir()) {
		return none, launch.Usage("--workspace DIR", "cannot use the workspace %q: it is no directory", ch.Workspace)
	}
	in := c.Input(ch.Words, at, baselines)
	if ch.Unwritten() && len(baselines) == 0 && len(ch.Params) == 0 && ch.Workspace == "" && len(ch.Without) == 0 && len(ch.Pass) == 0 && len(ch.Secrets) == 0 {
		return Resolved{Policy: policy.Closed(ch.Name), profile: &policy.Profile{Name: ch.Name}}, nil
	}
	profile, err := c.chosenProfile(at, ch)
	if err != nil {
		return none, err
	}
	in.Env = c.variables(profile.EnvOf())
	if in.Server, err = identity(at, profile, ch.Look); err != nil {
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

// Input is the input for resolving a profile.
func (c *Caller) Input(w Words, at Dirs, baselines []*policy.Profile) policy.Input {
	in := policy.Input{Params: w.Params, Home: at.Home, State: at.State, Config: at.Config,
		Login: at.login, Workspace: w.Workspace, Cwd: at.Cwd, Without: w.Without, Pass: w.Pass, Secrets: w.Secrets, Baselines: baselines}
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
func (c *Caller) chosenProfile(at Dirs, ch Choice) (*policy.Profile, error) {
	if ch.Unwritten() {
		return policy.Parse(noProfileFile, fmt.Appendf(nil, "version = 1\nname = %q\n", ch.Name), c.Loader(at))
	}
	return c.Profile(at, ch.Profile)
}

// Profile reads and parses a profile, by name or path.
func (c *Caller) Profile(at Dirs, word string) (*policy.Profile, error) {
	load := c.Loader(at)
	file, data, err := load(word, "")
	if err != nil {
		return nil, NoProfile(at, word, err)
	}
	return policy.Parse(file, data, load)
}

// baselines returns the machine's, if there is one, and the one on the command line.
// Both hold: a command line, which may be a repository's, only narrows.
func (c *Caller) baselines(at Dirs, named string) ([]*policy.Profile, error) {
	var out []*policy.Profile
	for _, file := range []string{c.baselineFile(), named} {
		if file == "" || file == c.baselineFile() && len(out) > 0 {
			continue
		}
		file = fileName(file)
		data, err := ReadRegular(file, policy.MaxFile)
		if errors.Is(err, fs.ErrNotExist) && file != named {
			continue
		}
		if err != nil {
			return nil, &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("cannot read the baseline: %w", err)}
		}
		p, err := policy.ParseBaseline(file, data, c.Loader(at))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Loader finds profiles: by path, or by name in the user's own, the machine's
// and those that ship. A user's profile may extend a shipped one of its own
// name.
func (c *Caller) Loader(at Dirs) policy.Loader {
	return func(ref, from string) (string, []byte, error) {
		if strings.Contains(ref, "/") || strings.HasSuffix(ref, ".toml") {
			if !filepath.IsAbs(ref) && from != "" {
				ref = filepath.Join(filepath.Dir(from), ref)
			}
			ref = fileName(ref)
			data, err := ReadRegular(ref, policy.MaxFile)
			return ref, data, err
		}
		for _, dir := range []string{at.Config, at.Machine} {
			file := filepath.Join(dir, "profiles", ref+".toml")
			if dir == "" || file == from {
				continue
			}
			data, err := ReadRegular(file, policy.MaxFile)
			if !errors.Is(err, fs.ErrNotExist) {
				return file, data, err
			}
		}
		if data, ok := profiles.Read(ref); ok {
			return ShippedFile(ref), data, nil
		}
		return "", nil, fmt.Errorf("there is no profile of that name")
	}
}

// ProfileNames are the names that loader knows, sorted.
func ProfileNames(at Dirs) []string {
	names := profiles.Names()
	for _, dir := range []string{at.Config, at.Machine} {
		files, _ := filepath.Glob(filepath.Join(dir, "profiles", "*.toml")) // the pattern is good
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".toml"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// NoProfile is the error of a profile that cannot be read.
func NoProfile(at Dirs, name string, err error) error {
	hint := policy.DidYouMean(name, ProfileNames(at))
	if hint == "" {
		hint = "mcpen profile list"
	}
	return launch.Usage(hint, "cannot read the profile %q: %v", name, err)
}
