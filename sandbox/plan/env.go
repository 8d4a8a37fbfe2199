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

// Bundles are the variables of mcpen's environment that name additional certificates to
// trust, such as those of a company whose proxy opens TLS. A server with a network gets
// these certificates, unless the profile says otherwise for the variable.
//
// Whoever starts mcpen sets the variables; a repository may do so through a client's
// configuration file. So a variable never makes a path visible: mcpen reads the named
// file outside and gives the server only its certificates, in a file that mcpen makes.
// A file of the system's certificates is visible anyway, and stays where it is.
// The server sees a folder of certificates (SSL_CERT_DIR) only as far as the system's
// certificates lie in it.
var Bundles = []string{
	"AWS_CA_BUNDLE",       // botocore
	"CURL_CA_BUNDLE",      // curl(1)
	"GIT_SSL_CAINFO",      // git-config(1), http.sslCAInfo
	"NODE_EXTRA_CA_CERTS", // node(1)
	"REQUESTS_CA_BUNDLE",  // Python's requests
	"SSL_CERT_FILE",       // SSL_CTX_set_default_verify_paths(3)
}

// WantsBundles reports whether the policy makes use of Bundles: whether a rule reaches
// another machine.
func WantsBundles(pol policy.Policy) bool { return outward(pol.Network.Allow) }

// bundleDir is the folder of the certificate files inside.
const bundleDir = "/etc/mcpen-certificates"

// bundles returns the certificate files for the server and the variables that name
// them. Variables with the same certificates share one file, named after the first
// variable. Without namespaces mcpen has no /etc of its own for the files, and bundles
// returns nothing.
func (c *compiler) bundles() (files []Mount, names []Env) {
	if !WantsBundles(c.pol) || c.host.Desk != nil || c.prog.Install != nil || !c.plan.Holds(policy.LayerNamespaces) {
		return nil, nil
	}
	at := map[string]string{} // by content
	for _, name := range Bundles {
		if file := c.host.Trusted[name]; file != "" {
			names = append(names, Env{Name: name, Value: file, At: "mcpen's environment"})
		}
		text := c.host.Certificates[name]
		if text == "" || c.host.Trusted[name] != "" {
			continue
		}
		if at[text] == "" {
			at[text] = path.Join(bundleDir, name+".pem")
			files = append(files, Mount{Kind: MountFile, Target: at[text], Content: text, Mode: 0o644, Why: "certificates (" + name + ")"})
		}
		names = append(names, Env{Name: name, Value: at[text], At: "mcpen's environment"})
	}
	return files, names
}
