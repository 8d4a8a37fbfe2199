package plan

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/policy"
)

// SaysGit reports whether a policy or a program uses git: the program is git, or the
// profile makes git or the folder of its parts readable.
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

// git returns the variables that carry the user's git settings inside, where neither
// their file nor the user's home exists (GIT_CONFIG_COUNT, git-config(1)). Git trusts
// them like that file, which safe.directory needs: git ignores it in a repository's
// configuration. The user's identity decides who may commit; if mcpen makes the /etc,
// the identity goes into a file there.
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

// gitSystem is the path of the system's git configuration inside.
const gitSystem = "/etc/gitconfig"

// gitFile is the text of that file: the user's identity, for a server that may commit.
// A repository's configuration overrides it, as it does outside; it would not override
// a variable. Some programs that commit read files and no variables (GitPython).
// gitFile is "" if there is nothing to write, if mcpen does not make the /etc, or if
// the profile keeps git from reading the file.
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

// gitQuote quotes a value by git-config(1), which demands quotes if it begins with a
// blank or holds a "#".
func gitQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`).Replace(s) + `"`
}
