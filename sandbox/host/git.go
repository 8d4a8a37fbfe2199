package host

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"mcpen/sandbox/plan"
)

// Bounds of what is asked of the user's git.
const (
	gitWait     = 2 * time.Second
	gitSettings = 64
	gitSize     = 16 << 10
)

// Git is what the user's git is told of repositories and people, from the files of
// the machine and of the user alone: which folders of others' may be worked in, and
// who the user is. It is empty where there is no git, or nothing of this is set.
// vars is git's whole environment.
func Git(ctx context.Context, program string, vars []string) []plan.Env {
	ctx, cancel := context.WithTimeout(ctx, gitWait)
	defer cancel()
	// A git directory that is none keeps it from those of any repository.
	cmd := exec.CommandContext(ctx, program, "--git-dir=/nonexistent", "config", "--null", "--get-regexp", `^(safe\.directory|user\.(name|email))$`)
	cmd.Dir, cmd.Env = "/", vars
	out, err := cmd.Output()
	if err != nil || len(out) > gitSize {
		return nil
	}
	var found []plan.Env
	for setting := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		name, value, _ := strings.Cut(setting, "\n")
		if found = append(found, plan.Env{Name: name, Value: value, At: "git config"}); len(found) > gitSettings {
			return nil
		}
	}
	return found
}
