package plan

import (
	"fmt"
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
// who may commit, and is in a file where there is an /etc of mcpen's own.
func (c *compiler) git() (env []Env) {
	if !SaysGit(c.pol, c.prog) || slices.ContainsFunc(c.pol.Env.Set, func(e policy.EnvValue) bool { return e.Name == gitCount }) {
		return nil
	}
	filed := c.gitFile() != ""
	if filed {
		env = append(env, Env{Name: "GIT_CONFIG_SYSTEM", Value: gitSystem, At: "git config"})
	}
	count := 0
	for _, s := range c.host.Git {
		if strings.HasPrefix(s.Name, "user.") && (filed || !c.commits()) {
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

// gitSystem is where the settings of the system's git are inside.
const gitSystem = "/etc/gitconfig"

// gitFile is the text of the file there: who the user is, for who may commit. What a
// repository says of that goes before it, as it does outside, and before a variable it
// would not; and some programs that commit read files and no variables (GitPython). It
// is "" where nothing is to be said, where there is no /etc of mcpen's own, and where
// the profile has git not read it.
func (c *compiler) gitFile() string {
	set := func(e policy.EnvValue) bool { return e.Name == gitCount || e.Name == "GIT_CONFIG_NOSYSTEM" }
	if !SaysGit(c.pol, c.prog) || !c.commits() || !c.plan.Holds(policy.LayerNamespaces) || slices.ContainsFunc(c.pol.Env.Set, set) {
		return ""
	}
	var text strings.Builder
	for _, s := range c.host.Git {
		if key, ok := strings.CutPrefix(s.Name, "user."); ok {
			fmt.Fprintf(&text, "[user]\n\t%s = %s\n", key, gitQuote(s.Value))
		}
	}
	return text.String()
}

// commits reports whether the profile lets the server commit.
func (c *compiler) commits() bool {
	return slices.ContainsFunc(c.pol.Filesystem.Unprotect, func(p policy.Path) bool { return path.Base(p.Path) == ".git" })
}

// gitQuote is a value as git-config(1) has it in quotes, which it needs where it begins
// with a blank or holds a "#".
func gitQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`).Replace(s) + `"`
}
