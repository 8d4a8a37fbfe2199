package server

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
	"mcpen/sandbox/user"
)

// commandLine is the command that the command line or the profile names.
func commandLine(ch Choice, pol policy.Policy) ([]string, error) {
	if len(ch.Command) > 0 {
		return ch.Command, nil
	}
	if len(pol.Server.Command) > 0 {
		return append(append(append([]string{}, pol.Server.Command...), pol.Server.Args...), ch.Args...), nil
	}
	return nil, launch.Usage(fmt.Sprintf("mcpen run --profile %s -- COMMAND", ch.Profile), "the profile %q names neither a command nor a package", ch.Profile)
}

// Find finds a program of this machine.
func (c *Caller) Find(argv []string, at user.Dirs) (plan.Program, error) {
	prog, err := program.Find(argv, c.FindEnv(at))
	var absent *program.FindError
	if errors.As(err, &absent) && absent.Kind == program.NotFound && absent.Hint == "" && !strings.Contains(argv[0], "/") {
		absent.Hint = "install it, or name its file: mcpen run -- /path/to/" + argv[0]
		if slices.Contains(catalog.Names(at), argv[0]) {
			absent.Hint = "mcpen run " + argv[0]
		}
	}
	return prog, err
}

// Ask is the question to the host for this policy and program.
func (c *Caller) Ask(p Prepared) host.Ask {
	ask := c.Question(p.Dirs, p.Policy, p.Program)
	ask.Cwd, ask.Grounds = p.start, origin.Grounds(p.Dirs, p.workspace)
	return ask
}

// git returns the settings of the user's own git that one inside needs.
func (c *Caller) git(ctx context.Context, at user.Dirs) []plan.Env {
	program, err := exec.LookPath("git")
	if err != nil || at.Home == "" {
		return nil
	}
	vars := []string{"HOME=" + at.Home, "PATH=" + c.Getenv("PATH")}
	if config := user.Absolute(c.Getenv("XDG_CONFIG_HOME")); config != "" {
		vars = append(vars, "XDG_CONFIG_HOME="+config)
	}
	return host.Git(ctx, program, vars)
}

// OwnState is the server's own directory where the profile lets it write there,
// else "". It is made so that the first run finds it. Nothing on the way to it can
// be a symlink that an earlier run planted: a server writes below it only.
func OwnState(pol policy.Policy, at user.Dirs) string {
	own := policy.Input{State: at.State}.ServerState(pol.Name)
	for _, w := range pol.Filesystem.Write {
		if own != "" && w.Path == own {
			return own
		}
	}
	return ""
}

// assumeDir makes the facts those of a machine on which a directory is there.
func assumeDir(facts map[string]plan.PathFact, dir string) {
	if f := facts[dir]; f.Exists || f.Err != "" {
		return
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		if f := host.Look(above); f.Exists || above == "/" {
			facts[dir] = plan.PathFact{Exists: true, Dir: true, Real: filepath.Join(f.Real, dir[len(above):]), Links: f.Links}
			return
		}
	}
}
