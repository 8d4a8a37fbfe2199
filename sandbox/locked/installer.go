package locked

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
	"mcpen/sandbox/user"
)

// Store is where package trees are.
func (c *Packages) Store(at user.Dirs) *store.Store {
	return &store.Store{Dir: filepath.Join(at.State, "store")}
}

// Installer makes an installer for packages of an ecosystem that can open locked
// packages in the store. For everything else connect completes it.
func (c *Packages) Installer(ctx context.Context, at user.Dirs, e pack.Ecosystem, rules policy.Install) (*install.Installer, error) {
	if at.State == "" {
		return nil, launch.Usage("export HOME=…", "cannot keep packages: there is no HOME and no XDG_STATE_HOME")
	}
	in := &install.Installer{
		Store:    c.Store(at),
		Run:      func(ctx context.Context, job install.Job) error { return c.job(ctx, at, job) },
		Platform: runtime.GOOS + "-" + runtime.GOARCH,
		MinAge:   rules.MinAge,
		Scripts:  rules.Scripts,
		Build:    rules.Build,
		Now:      time.Now,
		Vet:      func(l pack.Lock) error { return c.refuseMalicious(at, l) },
		Progress: c.progress(time.Now),
	}
	if e == pack.PyPI { // its trees differ between Pythons
		var err error
		if in.Tools.Python, in.Tools.PythonTag, _, err = c.python(at, rules.Python); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// connection holds the needs of an install from a registry.
type connection struct {
	tools    install.Tools
	registry registry.Registry
}

// Connect fills in the tools of this machine and the registry of the user's own
// configuration, which only resolving and fetching need. They are looked up once.
func (c *Packages) Connect(ctx context.Context, in *install.Installer, at user.Dirs, e pack.Ecosystem) error {
	key := string(e) + in.Tools.Python // of each Python
	have, ok := c.registries[key]
	if !ok {
		var err error
		if have, err = c.lookUp(ctx, in, at, e); err != nil {
			return err
		}
		if c.registries == nil {
			c.registries = map[string]connection{}
		}
		c.registries[key] = have
	}
	in.Tools = have.tools
	if e == pack.NPM {
		in.NPM = have.registry
	} else {
		in.PyPI = have.registry
	}
	return nil
}

func (c *Packages) lookUp(ctx context.Context, in *install.Installer, at user.Dirs, e pack.Ecosystem) (none connection, err error) {
	var r registry.Registry
	if in.Tools, err = c.tools(at, e, in.Tools); err != nil {
		return none, err
	}
	switch e {
	case pack.NPM:
		places := registry.NPMPlaces{Home: at.Home, Node: in.Tools.Node, Env: c.Env}
		for _, arg := range in.Tools.NPM {
			if strings.HasSuffix(arg, "/bin/npm-cli.js") {
				places.CLI = arg
			}
		}
		r, err = registry.ReadNPM(places)
	case pack.PyPI:
		r, err = registry.ReadPip(registry.PipPlaces{Home: at.Home, Python: in.Tools.Python, Env: c.Env})
	default:
		return none, fmt.Errorf("internal error: no registry for %q", e)
	}
	var twice *registry.IndexError
	if errors.As(err, &twice) {
		return none, &launch.Error{Code: launch.ExitUsage, Err: err, Hint: "PIP_CONFIG_FILE=/dev/null UV_NO_CONFIG=1 PIP_INDEX_URL=URL mcpen …   # the URL of the one index to ask"}
	}
	if err != nil {
		return none, &launch.Error{Code: launch.ExitUsage, Err: err}
	}
	for _, words := range r.Unused {
		c.Warn("%s", audit.Visible(words))
	}
	if r.Proxy == nil {
		r.Proxy = c.registryProxy()
	}
	if err := in.AskInterpreter(ctx, e); err != nil {
		return none, err
	}
	if r.URL == "" {
		r.URL = in.Tools.Interpreter.Registry
	}
	if r.URL == "" {
		if r.URL, err = in.DefaultRegistry(ctx, e); err != nil {
			return none, err
		}
	}
	return connection{in.Tools, r}, nil
}

var pythonName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^python(3)\.([0-9]+)$`) })

// tools finds the programs that install packages of an ecosystem, with the Python of t.
func (c *Packages) tools(at user.Dirs, e pack.Ecosystem, t install.Tools) (install.Tools, error) {
	env := c.FindEnv(at)
	find := func(name string) (plan.Program, error) {
		p, err := program.Find([]string{name}, env)
		for _, n := range p.Needs {
			if !slices.Contains(t.Reads, n.Path) {
				t.Reads = append(t.Reads, n.Path)
			}
		}
		return p, err
	}
	path := []string{"/usr/local/bin", "/usr/bin", "/bin"}
	switch e {
	case pack.NPM:
		node, err := find("node")
		if err != nil {
			return t, err
		}
		npm, err := find("npm")
		if err != nil {
			return t, err
		}
		t.Node = node.Path
		t.NPM = append([]string{npm.Path}, npm.Args[1:]...)
		path = append([]string{filepath.Dir(node.Path)}, path...)
	case pack.PyPI:
		if _, err := find(t.Python); err != nil {
			return t, err
		}
		if uv, err := find("uv"); err == nil {
			t.UV = uv.Path
		}
		path = append([]string{filepath.Dir(t.Python)}, path...)
	}
	t.Path = strings.Join(path, ":")
	return t, nil
}

// python finds an interpreter, its tag, such as "cp311", and its needs: the machine's
// python3, or one of the version that a profile names, beside it.
func (c *Packages) python(at user.Dirs, version string) (path, tag string, found plan.Program, err error) {
	p, err := c.findPython(at, version)
	if err != nil {
		return "", "", p, err
	}
	real, err := filepath.EvalSymlinks(p.Path)
	if err != nil {
		return "", "", p, fmt.Errorf("cannot tell the version of %q: %w", p.Path, err)
	}
	m := pythonName().FindStringSubmatch(filepath.Base(real))
	if m == nil {
		return "", "", p, fmt.Errorf("cannot tell the version of %q: its name %q does not have it", p.Path, filepath.Base(real))
	}
	if version != "" && version != m[1]+"."+m[2] {
		return "", "", p, fmt.Errorf("cannot use %q as Python %s: it is %s.%s", p.Path, version, m[1], m[2])
	}
	return p.Path, "cp" + m[1] + m[2], p, nil
}

// findPython looks for a version on PATH, beside the machine's python3, and where
// uv and pyenv keep theirs.
func (c *Packages) findPython(at user.Dirs, version string) (plan.Program, error) {
	env := c.FindEnv(at)
	p, err := program.Find([]string{"python3"}, env)
	if version == "" {
		return p, err
	}
	name := "python" + version
	names := []string{name}
	if err == nil {
		names = append(names, filepath.Join(filepath.Dir(p.Path), name))
	}
	if at.Home != "" {
		for _, pattern := range []string{".local/share/uv/python/cpython-" + version + ".*/bin/" + name, ".pyenv/versions/" + version + ".*/bin/" + name} {
			files, _ := filepath.Glob(filepath.Join(at.Home, pattern)) // the pattern is good
			names = append(names, files...)
		}
	}
	for _, n := range names {
		if p, err := program.Find([]string{n}, env); err == nil {
			return p, nil
		}
	}
	return plan.Program{}, &program.FindError{Name: name, Kind: program.NotFound, Why: "the profile asks for Python " + version + ", and neither PATH nor uv nor pyenv has it", Hint: "uv python install " + version}
}

// refuseMalicious compares the packages of a coming install with the local advisories.
func (c *Packages) refuseMalicious(at user.Dirs, l pack.Lock) error {
	malicious, unread := c.Malicious(at, l)
	if unread != "" {
		c.Warn("%s", unread)
	}
	if malicious != "" {
		return &launch.Error{Code: launch.ExitRefused, Err: errors.New(malicious), Hint: "mcpen scan"}
	}
	return nil
}

// Advisories is the place for a copy of an OSV database.
func Advisories(at user.Dirs) string { return filepath.Join(at.State, "osv") }
