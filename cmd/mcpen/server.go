package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// serverFlags choose a server and say how its profile is filled in.
func serverFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile", Usage: "a profile's `NAME` or path, for the command behind --"},
		&cli.StringFlag{Name: "workspace", Usage: "the `DIR` that ${workspace} stands for (default: where mcpen was started)"},
		setFlag(),
		&cli.StringSliceFlag{Name: "pass", Usage: "a variable that the server gets, by `NAME`, where its profile says nothing of it"},
		&cli.StringSliceFlag{Name: "secret", Usage: "the same for one that nobody is shown: `NAME`, or NAME=keyring:SERVICE/NAME"},
		&cli.StringFlag{Name: "baseline", Usage: "a profile `FILE` that no other may go beyond, besides " + baselineFile() + " where that exists"},
		&cli.StringSliceFlag{Name: "without", Usage: "do without a `LAYER` (namespaces, landlock, seccomp): said at the start and in the log"},
	}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "a parameter of the profile, as `name=value`; may be repeated"}
}

// baselineFile is the machine's baseline.
func baselineFile() string { return filepath.Join(machine, "baseline.toml") }

// choice is what the command line says about a server.
type choice struct {
	profile   string   // name or path; "" is the closed default
	command   []string // what stands behind "--" without a server before it
	args      []string // what stands behind "SERVER --"
	params    map[string][]string
	pass      []string          // variables to pass on
	secrets   map[string]string // variables and where they are fetched from
	workspace string
	baseline  string
	without   []policy.Layer
	ref       pack.Ref // the package that was asked for, where its profile was found by it
	whole     bool     // args are all of the server's, and not behind those of its profile
	look      bool     // only look: nothing is installed, locked or made
	empty     bool     // the workspace is an empty folder of mcpen's own
}

// choose reads the command line. The words are those of the whole process: cli
// takes a leading "--" away, and with it what tells "run node" from
// "run -- node".
func choose(c *cli.Context, words []string) (choice, error) {
	ch := choice{profile: c.String("profile"), workspace: c.String("workspace"), baseline: c.String("baseline")}
	for _, w := range c.StringSlice("without") {
		if !slices.Contains(policy.DefaultLayers(), policy.Layer(w)) {
			return ch, usage("--without namespaces", "cannot do without %q: it is no layer", w)
		}
		ch.without = append(ch.without, policy.Layer(w))
	}
	var err error
	ch.pass = c.StringSlice("pass")
	if ch.secrets, err = secretRefs(c.StringSlice("secret")); err != nil {
		return ch, err
	}
	rest := c.Args().Slice()
	behind := len(words) - len(rest) - 1
	switch {
	case len(rest) == 0:
		return ch, usage("mcpen "+c.Command.Name+" -- COMMAND", "no server named")
	case behind > 0 && words[behind] == "--":
		ch.command = rest
	case ch.profile != "":
		return ch, usage(fmt.Sprintf("mcpen %s --profile %s -- %s", c.Command.Name, ch.profile, strings.Join(rest, " ")), "--profile needs a command behind --")
	default:
		ch.profile = rest[0]
		ch.args = rest[1:]
		if len(ch.args) > 0 && ch.args[0] == "--" {
			ch.args = ch.args[1:]
		} else if len(ch.args) > 0 {
			return ch, usage(fmt.Sprintf("mcpen %s %s -- %s", c.Command.Name, rest[0], strings.Join(ch.args, " ")), "a server's arguments stand behind --, and %q does not", ch.args[0])
		}
	}
	ch.params, err = parameters(c.StringSlice("set"))
	return ch, err
}

// secretRefs reads what --secret gave. Only what runs nothing may be named: a command
// line may be a repository's.
func secretRefs(words []string) (map[string]string, error) {
	refs := map[string]string{}
	for _, s := range words {
		name, ref, ok := strings.Cut(s, "=")
		if !ok {
			ref = "?env:" + name
		}
		if kind, _, _ := strings.Cut(ref, ":"); name == "" || kind != "env" && kind != "?env" && kind != "keyring" {
			return nil, usage("--secret NAME=keyring:mcpen/NAME", "cannot take the secret of %q from there: it is neither NAME, NAME=env:NAME nor NAME=keyring:SERVICE/NAME", name)
		}
		refs[name] = ref
	}
	return refs, nil
}

// parameters reads what --set gave.
func parameters(words []string) (map[string][]string, error) {
	params := map[string][]string{}
	for _, s := range words {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usage("--set name=value", "cannot set %q: it is not name=value", s)
		}
		params[name] = append(params[name], value)
	}
	return params, nil
}

// prepared is everything that a run starts from.
type prepared struct {
	place   place
	policy  policy.Policy
	program plan.Program
	host    plan.Host
	plan    plan.Plan
	start   string     // where the server starts if its profile declares that: --workspace, or where mcpen was started
	found   string     // what says that the package's own profile is used, or ""
	tree    *pack.Tree // of a package: GC leaves it alone until close

	untrusted error  // why nothing starts from the profile; nil where something does, or it was not only to be looked at
	workspace string // as the command line or the folder of the start has it; "" where there is none
}

// close ends the use of the package tree.
func (p *prepared) close() {
	if p.tree != nil {
		p.tree.Close()
	}
}

// files are what keeps the package tree in use.
func (p *prepared) files() []*os.File {
	if p.tree == nil {
		return nil
	}
	return []*os.File{p.tree.File()}
}

// prepare walks the pipeline up to the plan. It changes nothing but the server's
// own state directory, which it makes, and, for a package that was never locked,
// the store and the lock; and nothing at all where the choice is only to look.
// The caller closes what it returns.
func (a *app) prepare(ctx context.Context, ch choice) (p prepared, err error) {
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	find := a.placeToRun
	if ch.look {
		find = a.place
	}
	if p.place, err = find(); err != nil {
		return p, err
	}
	if ch, err = a.forPackage(ch, p.place); err != nil {
		return p, err
	}
	p.found = foundText(ch)
	r, err := a.resolve(ch, p.place)
	if err != nil {
		return p, err
	}
	p.start = p.place.cwd
	if ch.workspace != "" {
		if p.start, err = filepath.Abs(ch.workspace); err != nil {
			return p, fmt.Errorf("cannot tell where --workspace %q is: %w", ch.workspace, err)
		}
	}
	p.policy = r.policy
	p.workspace = a.input(ch, p.place, nil).Workspace
	if err = a.install(ctx, ch, r, &p); err != nil {
		return p, err
	}
	own := ownState(p.policy, p.place)
	if own != "" && !ch.look {
		if err := os.MkdirAll(own, 0o700); err != nil {
			return p, fmt.Errorf("cannot make the server's state directory: %w", err)
		}
	}
	if p.host, err = host.Probe(ctx, a.ask(p)); err != nil {
		return p, err
	}
	if p.host.Proxies, err = a.proxies(p.policy); err != nil {
		return p, err
	}
	p.host.Certificates = a.certificates(p.place, p.policy)
	if plan.SaysGit(p.policy, p.program) {
		p.host.Git = a.git(ctx, p.place)
	}
	if own != "" && ch.look {
		assumeDir(p.host.Paths, own)
	}
	if p.plan, err = plan.Compile(p.policy, p.program, p.host); err != nil {
		return p, err
	}
	if err := p.profileApart(); err != nil {
		return p, err
	}
	if err := a.vetCommands(p); err != nil || ch.look {
		return p, err
	}
	return p, recordWritten(p.place, p.plan)
}

// install finds or installs the program, once everything that names it is trusted.
// Where it is only looked for, what is not trusted is remembered.
func (a *app) install(ctx context.Context, ch choice, r resolved, p *prepared) error {
	if top := repositoryOf(p.place, p.place.state); top != "" && !ch.look {
		hint := "export HOME=" + audit.Command(p.place.login.Home)
		if absolute(a.getenv("XDG_STATE_HOME")) != "" {
			hint = "unset XDG_STATE_HOME"
		}
		return &launch.Error{Code: exitRefused, Err: fmt.Errorf("cannot keep state in %q: it is in the repository %s", p.place.state, top), Hint: hint}
	}
	asked, err := a.gate(p.place, !ch.look, a.withVariables(ch, r.profile), r)
	if p.untrusted = err; err != nil && !ch.look {
		return err
	}
	program := func() (err error) {
		p.program, p.tree, err = a.program(ctx, ch, p.place, p.policy)
		return err
	}
	if ch.look || !asked {
		return program()
	}
	return a.keepTrust(p.place, r.profile, program)
}

// resolved is a policy and what it was made of.
type resolved struct {
	policy    policy.Policy
	profile   *policy.Profile   // without sources where there is no file
	baselines []*policy.Profile // that the command line names
}

// resolve loads and resolves the profile, or takes the closed default.
func (a *app) resolve(ch choice, at place) (resolved, error) {
	var none resolved
	baselines, err := a.baselines(ch, at)
	if err != nil {
		return none, err
	}
	if info, err := os.Stat(ch.workspace); ch.workspace != "" && (err != nil || !info.IsDir()) {
		return none, usage("--workspace DIR", "cannot use the workspace %q: it is no directory", ch.workspace)
	}
	in := a.input(ch, at, baselines)
	if ch.unwritten() && len(baselines) == 0 && len(ch.params) == 0 && ch.workspace == "" && len(ch.without) == 0 && len(ch.pass) == 0 && len(ch.secrets) == 0 {
		name := a.serverName(ch, at)
		return resolved{policy: policy.Closed(name), profile: &policy.Profile{Name: name}}, nil
	}
	profile, err := a.profile(ch, at)
	if err != nil {
		return none, err
	}
	in.Env = a.variables(profile.EnvOf())
	if in.Server, err = server(at, profile, ch.look); err != nil {
		return none, err
	}
	pol, err := policy.Resolve(profile, in)
	if err != nil {
		return none, refused(err, profile, in)
	}
	if ch.unwritten() {
		profile = &policy.Profile{Name: pol.Name}
	}
	return resolved{pol, profile, baselines}, nil
}

// input is what a profile is resolved with.
func (a *app) input(ch choice, at place, baselines []*policy.Profile) policy.Input {
	in := policy.Input{Params: ch.params, Home: at.home, State: at.state, Config: at.config,
		Login: at.login, Workspace: ch.workspace, Cwd: at.cwd, Without: ch.without, Pass: ch.pass, Secrets: ch.secrets, Baselines: baselines}
	in.Start = workspace(in)
	switch {
	case ch.empty:
		in.Start = ch.workspace
	case in.Workspace == "":
		in.Workspace = in.Start
	}
	return in
}

// workspace is where mcpen was started, or "" where that may be no workspace, as
// the home directory may not: a client that starts everything there has to say
// which folder it means.
func workspace(in policy.Input) string {
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
	return &launch.Error{Code: exitRefused, Err: err}
}

// profile reads and parses the profile that was chosen; without one, an empty
// profile of the command's name.
func (a *app) profile(ch choice, at place) (*policy.Profile, error) {
	load := a.loader(at)
	if ch.unwritten() {
		name := a.serverName(ch, at)
		return policy.Parse(noProfileFile, fmt.Appendf(nil, "version = 1\nname = %q\n", name), load)
	}
	file, data, err := load(ch.profile, "")
	if err != nil {
		return nil, noProfile(at, ch.profile, err)
	}
	return policy.Parse(file, data, load)
}

// baselines are the machine's, where there is one, and the one that the command
// line names. Both hold: a command line, which may be a repository's, only narrows.
func (a *app) baselines(ch choice, at place) ([]*policy.Profile, error) {
	var out []*policy.Profile
	for _, file := range []string{baselineFile(), ch.baseline} {
		if file == "" || file == baselineFile() && len(out) > 0 {
			continue
		}
		file = fileName(file)
		data, err := readRegular(file, policy.MaxFile)
		if errors.Is(err, fs.ErrNotExist) && file != ch.baseline {
			continue
		}
		if err != nil {
			return nil, &launch.Error{Code: exitRefused, Err: fmt.Errorf("cannot read the baseline: %w", err)}
		}
		p, err := policy.ParseBaseline(file, data, a.loader(at))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// loader finds profiles: by path, or by name in the user's own, the machine's
// and those that ship. A user's profile may extend a shipped one of its own
// name.
func (a *app) loader(at place) policy.Loader {
	return func(ref, from string) (string, []byte, error) {
		if strings.Contains(ref, "/") || strings.HasSuffix(ref, ".toml") {
			if !filepath.IsAbs(ref) && from != "" {
				ref = filepath.Join(filepath.Dir(from), ref)
			}
			ref = fileName(ref)
			data, err := readRegular(ref, policy.MaxFile)
			return ref, data, err
		}
		for _, dir := range []string{at.config, machine} {
			file := filepath.Join(dir, "profiles", ref+".toml")
			if dir == "" || file == from {
				continue
			}
			data, err := readRegular(file, policy.MaxFile)
			if !errors.Is(err, fs.ErrNotExist) {
				return file, data, err
			}
		}
		if data, ok := profiles.Read(ref); ok {
			return shippedFile(ref), data, nil
		}
		return "", nil, fmt.Errorf("there is no profile of that name")
	}
}

// argv is the command that the command line or the profile names.
func argv(ch choice, pol policy.Policy) ([]string, error) {
	if len(ch.command) > 0 {
		return ch.command, nil
	}
	if len(pol.Server.Command) > 0 {
		return append(append(append([]string{}, pol.Server.Command...), pol.Server.Args...), ch.args...), nil
	}
	return nil, usage(fmt.Sprintf("mcpen run --profile %s -- COMMAND", ch.profile), "the profile %q names neither a command nor a package", ch.profile)
}

// unwritten reports whether the choice names no profile: a command alone, or a
// package by reference.
func (ch choice) unwritten() bool { return ch.profile == "" || isRef(ch.profile) }

// serverName is the name of a server that has no profile.
func (a *app) serverName(ch choice, at place) string {
	if isRef(ch.profile) {
		if ref, err := pack.ParseWanted(ch.profile); err == nil {
			return a.name(at, ref)
		}
		return "package" // the reference is refused in a moment
	}
	if c, err := pack.FromCommand(ch.command); err == nil && c.Kind == pack.CommandPackage {
		return a.name(at, c.Ref)
	}
	name := filepath.Base(ch.command[0])
	for _, arg := range ch.command[1:] {
		// "node dist/index.js" is better told apart by the script.
		if !strings.HasPrefix(arg, "-") && strings.ContainsAny(arg, "/.") && !strings.ContainsAny(arg, " \t\n") && len(arg) < 256 {
			if base := strings.TrimSuffix(filepath.Base(arg), filepath.Ext(arg)); base != "" {
				name += "-" + base
			}
			break
		}
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
}

// find finds a program of this machine.
func (a *app) find(argv []string, at place) (plan.Program, error) {
	prog, err := host.Find(argv, a.findEnv(at))
	var absent *host.FindError
	if errors.As(err, &absent) && absent.Kind == host.NotFound && absent.Hint == "" && !strings.Contains(argv[0], "/") {
		absent.Hint = "install it, or name its file: mcpen run -- /path/to/" + argv[0]
		if slices.Contains(profileNames(at), argv[0]) {
			absent.Hint = "mcpen run " + argv[0]
		}
	}
	return prog, err
}

func (a *app) findEnv(at place) host.FindEnv {
	env := host.FindEnv{Path: a.getenv("PATH"), Home: at.home, Dir: at.cwd, Vars: map[string]string{}}
	for _, name := range host.FindVars {
		if v, ok := a.lookup(name); ok {
			env.Vars[name] = v
		}
	}
	for _, kv := range a.env {
		if name, v, _ := strings.Cut(kv, "="); strings.HasSuffix(name, "_VERSION") && (strings.HasPrefix(name, "ASDF_") || strings.HasPrefix(name, "MISE_")) {
			env.Vars[name] = v
		}
	}
	return env
}

// ask is what the host is asked for this policy and program.
func (a *app) ask(p prepared) host.Ask {
	at := p.place
	ask := host.Ask{Home: at.home, Runtime: at.runtime, State: at.state, Config: at.config, Cwd: p.start, Bus: at.bus, Login: at.login,
		Env: map[string]string{}, Paths: plan.Asks(p.policy, p.program, at.home, at.state, at.config, at.runtime, at.login.Home, at.login.State, at.login.Config)}
	ask.Grounds = grounds(at, p.workspace)
	for _, name := range plan.EnvNames(p.policy) {
		if v, ok := a.lookup(name); ok {
			ask.Env[name] = v
		}
	}
	return ask
}

// git is what the user's own git is told that one inside needs to know.
func (a *app) git(ctx context.Context, at place) []plan.Env {
	program, err := exec.LookPath("git")
	if err != nil || at.home == "" {
		return nil
	}
	vars := []string{"HOME=" + at.home, "PATH=" + a.getenv("PATH")}
	if config := absolute(a.getenv("XDG_CONFIG_HOME")); config != "" {
		vars = append(vars, "XDG_CONFIG_HOME="+config)
	}
	return host.Git(ctx, program, vars)
}

// ownState is the server's own directory where the profile lets it write there,
// else "". It is made so that the first run finds it. Nothing on the way to it can
// be a symlink that an earlier run planted: a server writes below it only.
func ownState(pol policy.Policy, at place) string {
	own := policy.Input{State: at.state}.ServerState(pol.Name)
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
