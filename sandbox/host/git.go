package host

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"mcpen/sandbox/plan"
)

// Bounds on the answer of the user's git.
const (
	gitWait     = 2 * time.Second
	gitSettings = 64
	gitSize     = 16 << 10
)

// Git returns git's settings of trusted folders and of the user's identity
// (safe.directory, user.name, user.email) from the files of the machine and of the user
// alone. It returns nil where there is no git or none of them is set. vars is the whole
// environment of git.
func Git(ctx context.Context, program string, vars []string) []plan.Env {
	ctx, cancel := context.WithTimeout(ctx, gitWait)
	defer cancel()
	// A git directory that does not exist keeps git from the settings of any
	// repository.
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
