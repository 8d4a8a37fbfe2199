package plan

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/policy"
)

// SaysGit reports whether a policy or a program is for git: it names the program, or
// the folder of its parts.
func SaysGit(pol policy.Policy, prog Program) bool {
	if path.Base(prog.Path) == "git" {
		return true
	}
	for _, r := range pol.Filesystem.Read {
		if base := path.Base(r.Path); base == "git" || base == "git-core" {
			return true
		}
	}
	return false
}

// git are the variables by which git has the user's settings inside, where neither
// their file nor their home is (GIT_CONFIG_COUNT, git-config(1)). They are as good as
// that file: git takes safe.directory from nowhere else. Who the user is matters to
// who may commit.
func (c *compiler) git() (env []Env) {
	if !SaysGit(c.pol, c.prog) || slices.ContainsFunc(c.pol.Env.Set, func(e policy.EnvValue) bool { return e.Name == gitCount }) {
		return nil
	}
	commits := slices.ContainsFunc(c.pol.Filesystem.Unprotect, func(p policy.Path) bool { return path.Base(p.Path) == ".git" })
	count := 0
	for _, s := range c.host.Git {
		if strings.HasPrefix(s.Name, "user.") && !commits {
			continue
		}
		n := strconv.Itoa(count)
		env = append(env, Env{Name: "GIT_CONFIG_KEY_" + n, Value: s.Name, At: s.At}, Env{Name: "GIT_CONFIG_VALUE_" + n, Value: s.Value, At: s.At})
		count++
	}
	if count > 0 {
		env = append(env, Env{Name: gitCount, Value: strconv.Itoa(count), At: "git config"})
	}
	return env
}

const gitCount = "GIT_CONFIG_COUNT"
