package locked

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/host"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
	"mcpen/sandbox/user"
)

// Ready finds the programs that install packages of each kind, as an install does. Only a
// Python knows whether it has pip. Ready asks it in a sandbox, and only if boxed is true.
func (c *Packages) Ready(ctx context.Context, at user.Dirs, boxed bool) []host.Installs {
	npm := host.Installs{Kind: "npm", Manager: manager()}
	for _, name := range []string{"node", "npm"} {
		c.seek(at, name, &npm)
	}
	pypi := host.Installs{Kind: "PyPI", Manager: npm.Manager}
	c.seek(at, "python3", &pypi)
	switch {
	case len(pypi.Lacks) > 0:
	case c.has(at, "uv", &pypi):
	case !boxed:
		pypi.Untried = "whether it has pip is not known: it is asked in a sandbox"
	default:
		pip, err := c.hasPip(ctx, at)
		switch {
		case err != nil:
			pypi.Untried = fmt.Sprintf("whether it has pip is not known: %v", err)
		case pip:
			pypi.With = append(pypi.With, "its pip")
		default:
			pypi.Lacks = append(pypi.Lacks, "pip")
		}
	}
	return []host.Installs{npm, pypi}
}

// seek looks for a program that an install needs.
func (c *Packages) seek(at user.Dirs, name string, i *host.Installs) {
	if !c.has(at, name, i) {
		i.Lacks = append(i.Lacks, name)
	}
}

func (c *Packages) has(at user.Dirs, name string, i *host.Installs) bool {
	p, err := program.Find([]string{name}, c.FindEnv(at))
	if err != nil {
		return false
	}
	path := p.Path
	if !strings.HasPrefix(filepath.Base(path), name) { // a script is found as its interpreter
		path = name
	}
	i.With = append(i.With, path)
	return true
}

// hasPip asks the Python of installs, in a job without network.
func (c *Packages) hasPip(ctx context.Context, at user.Dirs) (bool, error) {
	in, err := c.Installer(ctx, at, pack.PyPI, policy.Install{})
	if err != nil {
		return false, err
	}
	if in.Tools, err = c.tools(at, pack.PyPI, in.Tools); err != nil {
		return false, err
	}
	err = in.AskInterpreter(ctx, pack.PyPI)
	return in.Tools.Interpreter.Registry != "", err
}

// manager is the first of the known package managers that this machine has.
func manager() string {
	for _, name := range slices.Sorted(maps.Keys(host.Managers)) {
		if st, err := os.Stat("/usr/bin/" + name); err == nil && st.Mode().IsRegular() {
			return name
		}
	}
	return ""
}
