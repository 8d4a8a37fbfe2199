package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"mcpen/sandbox"
	"mcpen/sandbox/host"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// store is where package trees are.
func (a *app) store(at place) *pack.Store {
	return &pack.Store{Dir: filepath.Join(at.state, "store")}
}

// installer makes an installer for packages of an ecosystem: the tools of this
// machine, the registry of the user's own configuration, every tool run in a
// sandbox. With a lock whose tree is in the store none of it is asked.
func (a *app) installer(ctx context.Context, at place, e pack.Ecosystem, rules policy.Install) (*pack.Installer, error) {
	if at.state == "" {
		return nil, usage("export HOME=…", "cannot keep packages: there is no HOME and no XDG_STATE_HOME")
	}
	in := &pack.Installer{
		Store:    a.store(at),
		Run:      func(ctx context.Context, job pack.Job) error { return a.job(ctx, at, job) },
		Platform: runtime.GOOS + "-" + runtime.GOARCH,
		MinAge:   rules.MinAge,
		Scripts:  rules.Scripts,
		Now:      time.Now,
		Progress: a.progress(),
	}
	var err error
	if in.Tools, err = a.tools(at, e); err != nil {
		return nil, err
	}
	return in, nil
}

// connect fills in the registry, which only resolving and fetching need.
func (a *app) connect(ctx context.Context, in *pack.Installer, at place, e pack.Ecosystem) error {
	var r pack.Registry
	var err error
	switch e {
	case pack.NPM:
		r, err = pack.ReadNPMRC(a.npmrc(at, in.Tools), a.getenv)
	case pack.PyPI:
		r, err = pack.ReadPipConfig(
			[]string{filepath.Join(at.home, ".config/uv/uv.toml"), "/etc/uv/uv.toml"},
			[]string{a.getenv("PIP_CONFIG_FILE"), filepath.Join(at.home, ".config/pip/pip.conf"), filepath.Join(at.home, ".pip/pip.conf"), "/etc/pip.conf"}, a.getenv)
	default:
		return fmt.Errorf("internal error: no registry for %q", e)
	}
	if err != nil {
		return &codeError{code: exitUsage, err: err}
	}
	r.Proxy = http.ProxyFromEnvironment
	if r.URL == "" {
		if r.URL, err = in.DefaultRegistry(ctx, e); err != nil {
			return err
		}
	}
	if e == pack.NPM {
		in.NPM = r
	} else {
		in.PyPI = r
	}
	return nil
}

// npmrc are npm's configuration files, the weightiest first. A project's own is
// not among them: the folder that mcpen is started in has no say in where
// packages come from.
func (a *app) npmrc(at place, t pack.Tools) []string {
	var files []string
	for _, name := range []string{"npm_config_userconfig", "NPM_CONFIG_USERCONFIG"} {
		if f := absolute(a.getenv(name)); f != "" {
			files = append(files, f)
		}
	}
	if at.home != "" && len(files) == 0 {
		files = append(files, filepath.Join(at.home, ".npmrc"))
	}
	for _, name := range []string{"npm_config_globalconfig", "NPM_CONFIG_GLOBALCONFIG"} {
		if f := absolute(a.getenv(name)); f != "" {
			files = append(files, f)
		}
	}
	if t.Node != "" {
		files = append(files, filepath.Join(filepath.Dir(filepath.Dir(t.Node)), "etc", "npmrc"))
	}
	for _, arg := range t.NPM { // npm's own, beside its code
		if strings.HasSuffix(arg, "/bin/npm-cli.js") {
			files = append(files, filepath.Join(filepath.Dir(filepath.Dir(arg)), "npmrc"))
		}
	}
	return files
}

var pythonName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^python(3)\.([0-9]+)$`) })

// tools finds what installs packages of an ecosystem.
func (a *app) tools(at place, e pack.Ecosystem) (pack.Tools, error) {
	var t pack.Tools
	env := a.findEnv(at)
	find := func(name string) (plan.Program, error) {
		p, err := host.Find([]string{name}, env)
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
		python, err := find("python3")
		if err != nil {
			return t, err
		}
		t.Python = python.Path
		real, err := filepath.EvalSymlinks(python.Path)
		if err != nil {
			return t, fmt.Errorf("cannot tell the version of %q: %w", python.Path, err)
		}
		if m := pythonName().FindStringSubmatch(filepath.Base(real)); m != nil {
			t.PythonTag = "cp" + m[1] + m[2]
		}
		if uv, err := find("uv"); err == nil {
			t.UV = uv.Path
		}
		path = append([]string{filepath.Dir(python.Path)}, path...)
	}
	t.Path = strings.Join(path, ":")
	return t, nil
}

// job runs a tool in a sandbox of its own: its folder, its runtime, one port of
// the loopback, and nothing else.
func (a *app) job(ctx context.Context, at place, job pack.Job) error {
	pol := policy.Closed("install")
	pol.Network.Allow = job.Network
	pol.Filesystem.Write = []policy.Path{{Path: job.Dir}}
	for _, r := range job.Reads {
		pol.Filesystem.Read = append(pol.Filesystem.Read, policy.Path{Path: r})
	}
	pol.Server.Dir = job.Dir
	p := prepared{place: at, policy: pol, program: plan.Program{Path: job.Argv[0], Args: job.Argv}}
	// The staging folder lies in mcpen's own state, of which nothing else is given.
	p.place.state = ""
	var err error
	if p.host, err = host.Probe(ctx, a.ask(p)); err != nil {
		return err
	}
	p.host.Umask = 0o022
	if p.plan, err = plan.Compile(p.policy, p.program, p.host); err != nil {
		return err
	}
	p.plan.Process.Env = nil
	for _, kv := range job.Env {
		name, value, _ := strings.Cut(kv, "=")
		p.plan.Process.Env = append(p.plan.Process.Env, plan.Env{Name: name, Value: value})
	}
	p.place = at
	log, err := a.openLog(p)
	if err != nil {
		return err
	}
	defer log.close()
	return a.runRaw(ctx, p.plan, job.Stdout, job.Stderr, log)
}

// runRaw runs a program that is no server and waits for it and its output.
func (a *app) runRaw(ctx context.Context, p plan.Plan, stdout, stderr io.Writer, log *journal) error {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer in.Close()
	var copies sync.WaitGroup
	sink := func(to io.Writer) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if to == nil {
			to = io.Discard
		}
		copies.Go(func() { io.Copy(to, r); r.Close() })
		return w, nil
	}
	out, err := sink(stdout)
	if err != nil {
		return err
	}
	errs, err := sink(stderr)
	if err != nil {
		out.Close()
		copies.Wait()
		return err
	}
	box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: in, Out: out, Err: errs, Raw: true}, log.write)
	var exit sandbox.Exit
	if err == nil {
		exit, err = box.Wait()
	}
	out.Close()
	errs.Close()
	copies.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case exit.Signal != 0:
		return fmt.Errorf("it was ended by %v", exit.Signal)
	case exit.Code != 0:
		return fmt.Errorf("it exited with code %d", exit.Code)
	}
	return nil
}

// progress tells a person at a terminal what an install does, and nobody else.
func (a *app) progress() pack.Progress {
	if !a.terminal(a.err) {
		return nil
	}
	return func(step, detail string) { fmt.Fprintf(a.err, "mcpen: %s: %s\n", step, detail) }
}

// ensure gives the program of a locked package: from the store where it is
// there, else as the lock says, else resolved, installed and locked now.
func (a *app) ensure(ctx context.Context, at place, ref pack.Ref, lockFile string, rules policy.Install, args []string) (plan.Program, error) {
	var none plan.Program
	in, err := a.installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return none, err
	}
	lock, err := readLock(lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		return a.lockNow(ctx, in, at, ref, lockFile, args)
	}
	if err != nil {
		return none, err
	}
	if err := sameRef(lock, ref, lockFile); err != nil {
		return none, err
	}
	if err := a.refuseMalicious(at, lock); err != nil {
		return none, err
	}
	tree, err := in.Open(lock)
	if err != nil {
		if !errors.Is(err, pack.ErrAbsent) {
			return none, &codeError{code: exitRefused, err: err, hint: "mcpen gc --all   # and run again: it is fetched as the lock says"}
		}
		if err := a.connect(ctx, in, at, ref.Ecosystem); err != nil {
			return none, err
		}
		var fresh pack.Lock
		if fresh, tree, err = in.Restore(ctx, lock); err != nil {
			return none, err
		}
		if err := writeLock(lockFile, fresh); err != nil {
			tree.Close()
			return none, err
		}
		lock = fresh
	}
	defer tree.Close()
	return a.entry(at, lock, tree, args)
}

// lockNow resolves, installs and locks, and says so.
func (a *app) lockNow(ctx context.Context, in *pack.Installer, at place, ref pack.Ref, lockFile string, args []string) (plan.Program, error) {
	var none plan.Program
	if err := a.connect(ctx, in, at, ref.Ecosystem); err != nil {
		return none, err
	}
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return none, refusedYoung(err)
	}
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return none, err
	}
	defer tree.Close()
	if err := a.refuseMalicious(at, lock); err != nil {
		return none, err
	}
	if err := writeLock(lockFile, lock); err != nil {
		return none, err
	}
	fmt.Fprintf(a.err, "mcpen: locked %s %s with %d packages in %s\n", lock.Package, lock.Version, len(lock.Dependencies), lockFile)
	for _, n := range rel.Notes {
		fmt.Fprintf(a.err, "mcpen: note: %s\n", n)
	}
	return a.entry(at, lock, tree, args)
}

// refusedYoung gives the refusal of a young version its exit code and hint.
func refusedYoung(err error) error {
	var young *pack.TooYoungError
	if !errors.As(err, &young) {
		return err
	}
	hint := "[install]\nmin-age = \"0s\""
	if young.OldEnough != "" {
		ref := young.Ref
		ref.Version, ref.Tag = young.OldEnough, ""
		hint = ref.String()
	}
	return &codeError{code: exitRefused, err: err, hint: hint}
}

// entry is the program of a tree, with the interpreter of this machine.
func (a *app) entry(at place, l pack.Lock, t *pack.Tree, args []string) (plan.Program, error) {
	e, err := pack.EntryOf(t, l)
	if err != nil {
		return plan.Program{}, err
	}
	var via plan.Program
	if name := map[pack.Runtime]string{pack.RuntimeNode: "node", pack.RuntimePython: "python3"}[e.Runtime]; name != "" {
		if via, err = host.Find([]string{name}, a.findEnv(at)); err != nil {
			return plan.Program{}, err
		}
	}
	return e.Program(t, l, via, args)
}

// refuseMalicious holds a lock against the advisories that are kept here.
func (a *app) refuseMalicious(at place, l pack.Lock) error {
	db := advisories(at)
	if _, err := os.Stat(db); err != nil {
		return nil // none are kept
	}
	found, err := pack.FindAdvisories(db, l)
	if err != nil {
		return &codeError{code: exitRefused, err: fmt.Errorf("cannot read the advisories in %q: %w", db, err)}
	}
	for _, f := range found {
		if f.Malicious {
			return &codeError{code: exitRefused, err: fmt.Errorf("%s is malicious: %s: %s", f.Package, f.ID, f.Summary), hint: "mcpen scan"}
		}
	}
	return nil
}

// advisories is where a copy of an OSV database is looked for.
func advisories(at place) string { return filepath.Join(at.state, "osv") }

// readLock reads a lock file.
func readLock(file string) (pack.Lock, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return pack.Lock{}, err
	}
	l, err := pack.ParseLock(data)
	if err != nil {
		return l, &codeError{code: exitUsage, err: fmt.Errorf("%s: %w", file, err)}
	}
	return l, nil
}

// writeLock writes a lock file in one step.
func writeLock(file string, l pack.Lock) error {
	data, err := l.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write the lock: %w", err)
	}
	return replaceFile(file, data)
}

// sameRef refuses to run something else than what was locked.
func sameRef(l pack.Lock, ref pack.Ref, file string) error {
	locked, err := l.Ref()
	if err != nil {
		return err
	}
	if locked.Ecosystem != ref.Ecosystem || locked.Name != ref.Name {
		return usage("rm "+file, "%s locks %s, and the profile wants %s", file, l.Package, ref)
	}
	if ref.Version != "" && ref.Version != l.Version {
		return usage("mcpen update", "%s locks version %s, and %s was asked for", file, l.Version, ref.Version)
	}
	return nil
}

func (a *app) terminal(f *os.File) bool {
	return a.getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
