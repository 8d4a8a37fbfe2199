package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// store is where package trees are.
func (a *app) store(at place) *pack.Store {
	return &pack.Store{Dir: filepath.Join(at.state, "store")}
}

// installer makes an installer for packages of an ecosystem that can open what
// is locked and in the store. For everything else connect completes it.
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
		Build:    rules.Build,
		Now:      time.Now,
		Vet:      func(l pack.Lock) error { return a.refuseMalicious(at, l) },
		Progress: a.progress(time.Now),
	}
	if e == pack.PyPI { // its trees differ between Pythons
		var err error
		if in.Tools.Python, in.Tools.PythonTag, _, err = a.python(at, rules.Python); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// connection is what installing from a registry needs.
type connection struct {
	tools    pack.Tools
	registry pack.Registry
}

// connect fills in the tools of this machine and the registry of the user's own
// configuration, which only resolving and fetching need. They are looked up once.
func (a *app) connect(ctx context.Context, in *pack.Installer, at place, e pack.Ecosystem) error {
	key := string(e) + in.Tools.Python // of each Python
	have, ok := a.registries[key]
	if !ok {
		var err error
		if have, err = a.lookUp(ctx, in, at, e); err != nil {
			return err
		}
		if a.registries == nil {
			a.registries = map[string]connection{}
		}
		a.registries[key] = have
	}
	in.Tools = have.tools
	if e == pack.NPM {
		in.NPM = have.registry
	} else {
		in.PyPI = have.registry
	}
	return nil
}

func (a *app) lookUp(ctx context.Context, in *pack.Installer, at place, e pack.Ecosystem) (none connection, err error) {
	var r pack.Registry
	if in.Tools, err = a.tools(at, e, in.Tools); err != nil {
		return none, err
	}
	switch e {
	case pack.NPM:
		places := pack.NPMPlaces{Home: at.home, Node: in.Tools.Node, Env: a.env}
		for _, arg := range in.Tools.NPM {
			if strings.HasSuffix(arg, "/bin/npm-cli.js") {
				places.CLI = arg
			}
		}
		r, err = pack.ReadNPM(places)
	case pack.PyPI:
		r, err = pack.ReadPip(pack.PipPlaces{Home: at.home, Python: in.Tools.Python, Env: a.env})
	default:
		return none, fmt.Errorf("internal error: no registry for %q", e)
	}
	var twice *pack.IndexError
	if errors.As(err, &twice) {
		return none, &launch.Error{Code: exitUsage, Err: err, Hint: "PIP_CONFIG_FILE=/dev/null UV_NO_CONFIG=1 PIP_INDEX_URL=URL mcpen …   # the URL of the one index to ask"}
	}
	if err != nil {
		return none, &launch.Error{Code: exitUsage, Err: err}
	}
	for _, words := range r.Unused {
		a.warn("%s", audit.Visible(words))
	}
	if r.Proxy == nil {
		r.Proxy = http.ProxyFromEnvironment
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

// tools finds what installs packages of an ecosystem, with the Python that t has.
func (a *app) tools(at place, e pack.Ecosystem, t pack.Tools) (pack.Tools, error) {
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

// python finds an interpreter, its tag, such as "cp311", and what it needs: the
// machine's python3, or one of the version that a profile names, beside it.
func (a *app) python(at place, version string) (path, tag string, found plan.Program, err error) {
	p, err := a.findPython(at, version)
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
func (a *app) findPython(at place, version string) (plan.Program, error) {
	env := a.findEnv(at)
	p, err := host.Find([]string{"python3"}, env)
	if version == "" {
		return p, err
	}
	name := "python" + version
	names := []string{name}
	if err == nil {
		names = append(names, filepath.Join(filepath.Dir(p.Path), name))
	}
	if at.home != "" {
		for _, pattern := range []string{".local/share/uv/python/cpython-" + version + ".*/bin/" + name, ".pyenv/versions/" + version + ".*/bin/" + name} {
			files, _ := filepath.Glob(filepath.Join(at.home, pattern)) // the pattern is good
			names = append(names, files...)
		}
	}
	for _, n := range names {
		if p, err := host.Find([]string{n}, env); err == nil {
			return p, nil
		}
	}
	return plan.Program{}, &host.FindError{Name: name, Kind: host.NotFound, Why: "the profile asks for Python " + version + ", and neither PATH nor uv nor pyenv has it", Hint: "uv python install " + version}
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
	install := &plan.Install{Dir: job.Dir, Umask: 0o022}
	for _, kv := range job.Env {
		name, value, _ := strings.Cut(kv, "=")
		install.Env = append(install.Env, plan.Env{Name: name, Value: value})
	}
	p := prepared{place: at, policy: pol, program: plan.Program{Path: job.Argv[0], Args: job.Argv, Install: install}}
	var err error
	if p.host, err = host.Probe(ctx, a.ask(p)); err != nil {
		return err
	}
	if p.plan, err = plan.Compile(p.policy, p.program, p.host); err != nil {
		return err
	}
	log, err := launch.OpenJournal(p.plan, logDir(p.place), a.err)
	if err != nil {
		return err
	}
	defer log.Close()
	return a.runRaw(ctx, p.plan, job.Stdout, job.Stderr, log)
}

// runRaw runs a program that is no server and waits for it and its output.
func (a *app) runRaw(ctx context.Context, p plan.Plan, stdout, stderr io.Writer, log *launch.Journal) error {
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
	box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: in, Out: out, Err: errs, Raw: true}, log.Write)
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

// silence is how long an install says nothing where nobody looks on: a log gets a
// line now and then, and one that is over soon gets none.
const silence = 5 * time.Second

// progress tells what an install does: at a terminal on one line, which is taken
// away in the end, and else with a line every few seconds.
func (a *app) progress(now func() time.Time) pack.Progress {
	var mu sync.Mutex
	var last time.Time // of a line; the first step is said by none
	shown := false
	terminal := a.terminal(a.err)
	return func(step, detail string) {
		mu.Lock()
		defer mu.Unlock()
		text := audit.Visible("mcpen: " + step + ": " + detail)
		switch {
		case terminal && step != "":
			shown = true
			fmt.Fprintf(a.err, "\r\x1b[K%.78s", text)
		case terminal && shown:
			shown = false
			fmt.Fprint(a.err, "\r\x1b[K")
		case !terminal && step != "" && last.IsZero():
			last = now()
		case !terminal && step != "" && now().Sub(last) >= silence:
			last = now()
			fmt.Fprintln(a.err, text)
		}
	}
}

// ensure gives the program of a locked package: from the store where it is
// there, else as the lock says, else resolved, installed and locked now. The
// caller closes the tree once the program has ended.
func (a *app) ensure(ctx context.Context, at place, ref pack.Ref, lockFile string, rules policy.Install, args []string) (plan.Program, *pack.Tree, error) {
	in, err := a.installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return plan.Program{}, nil, err
	}
	var tree *pack.Tree
	lock, err := readLock(lockFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		lock, tree, err = a.lockNow(ctx, in, at, ref, lockFile)
	case err == nil:
		lock, tree, err = a.openLocked(ctx, in, at, ref, lock, lockFile)
	}
	if err != nil {
		return plan.Program{}, nil, err
	}
	return a.enter(at, ref, lock, lockFile, rules, tree, args)
}

// enter gives the program of a tree, which it closes where there is none.
func (a *app) enter(at place, ref pack.Ref, lock pack.Lock, lockFile string, rules policy.Install, tree *pack.Tree, args []string) (plan.Program, *pack.Tree, error) {
	if ref.Bin != "" {
		lock.Bin = ref.Bin // another program of the same package
	}
	prog, err := a.entry(at, lock, rules, tree, args)
	if err != nil {
		tree.Close()
		return prog, nil, damaged(err, lockName(lockFile))
	}
	return prog, tree, nil
}

// installed gives the program of a package that is locked and in the store, and
// changes nothing. For any other it gives the runtime that would run it, without
// a tree.
func (a *app) installed(ctx context.Context, at place, ref pack.Ref, lockFile string, rules policy.Install, args []string) (plan.Program, *pack.Tree, error) {
	tree, lock, err := a.inStore(ctx, at, ref, lockFile, rules)
	if err == nil {
		return a.enter(at, ref, lock, lockFile, rules, tree, args)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, pack.ErrAbsent) && !errors.Is(err, pack.ErrUnconfirmed) {
		return plan.Program{}, nil, damaged(err, lockName(lockFile))
	}
	runtime := "node"
	if ref.Ecosystem == pack.PyPI {
		runtime = "python3"
	}
	prog, err := host.Find([]string{runtime}, a.findEnv(at))
	prog.Args = append(append(prog.Args, ref.String()), args...)
	return prog, nil, err
}

// inStore opens the tree of a lock where both are there.
func (a *app) inStore(ctx context.Context, at place, ref pack.Ref, lockFile string, rules policy.Install) (*pack.Tree, pack.Lock, error) {
	lock, err := readLock(lockFile)
	if err != nil {
		return nil, lock, err
	}
	if err := sameRef(lock, ref, lockFile); err != nil {
		return nil, lock, err
	}
	in, err := a.installer(ctx, at, ref.Ecosystem, rules)
	if err != nil {
		return nil, lock, err
	}
	lock = readStanding(at, lockFile).trees(lock)
	tree, err := in.Open(lock)
	return tree, lock, err
}

// openLocked gives the tree of a lock: from the store, where nothing is asked, or
// fetched as the lock says.
func (a *app) openLocked(ctx context.Context, in *pack.Installer, at place, ref pack.Ref, lock pack.Lock, lockFile string) (pack.Lock, *pack.Tree, error) {
	if err := sameRef(lock, ref, lockFile); err != nil {
		return lock, nil, err
	}
	reviewed := lock
	lock = readStanding(at, lockFile).trees(lock)
	tree, err := in.Open(lock)
	if err == nil {
		if err = a.judge(at, lockFile, lock, tree); err != nil {
			tree.Close()
			return lock, nil, err
		}
		return lock, tree, nil
	}
	if !errors.Is(err, pack.ErrAbsent) && !errors.Is(err, pack.ErrUnconfirmed) {
		return lock, tree, damaged(err, lockName(lockFile))
	}
	if err := a.connect(ctx, in, at, ref.Ecosystem); err != nil {
		return lock, nil, err
	}
	fresh, tree, err := in.Restore(ctx, lock)
	if err != nil {
		return lock, nil, err
	}
	if !maps.Equal(fresh.Trees, reviewed.Trees) {
		s := readStanding(at, lockFile)
		s.For, s.Trees = reviewed.Digest, fresh.Trees
		s.keep(at, lockFile)
	}
	return fresh, tree, nil
}

// lockNow resolves, installs and locks, and says so. Of two that do so at once
// the first to write the lock decides for both.
func (a *app) lockNow(ctx context.Context, in *pack.Installer, at place, ref pack.Ref, lockFile string) (pack.Lock, *pack.Tree, error) {
	var none pack.Lock
	if err := a.connect(ctx, in, at, ref.Ecosystem); err != nil {
		return none, nil, err
	}
	fmt.Fprintf(a.err, "mcpen: installing %s, which is not locked yet\n", ref)
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return none, nil, err
	}
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return none, nil, err
	}
	if _, err := pack.EntryOf(tree, lock); err != nil {
		tree.Close()
		return none, nil, err
	}
	err = createLock(lockFile, lock)
	if errors.Is(err, fs.ErrExist) {
		tree.Close()
		if lock, err = readLock(lockFile); err != nil {
			return none, nil, err
		}
		return a.openLocked(ctx, in, at, ref, lock, lockFile)
	}
	if err != nil {
		tree.Close()
		return none, nil, err
	}
	fmt.Fprintf(a.err, "mcpen: locked %s %s with %s in %s\n", lock.Package, lock.Version, count(len(lock.Dependencies), "package"), audit.Visible(lockFile))
	for _, n := range rel.Notes {
		fmt.Fprintf(a.err, "mcpen: note: %s\n", audit.Visible(n))
	}
	return lock, tree, nil
}

// packageError gives an error of a package its exit code and a hint, unless it
// has them: a refusal is one of policy, an interrupt ends mcpen as the signal
// would, a package that its registry does not have is a program that was not found,
// and for anything else what the sandbox is built of could not be had.
func packageError(ctx context.Context, err error) error {
	var young *pack.TooYoungError
	var refusal *pack.Refusal
	var source *pack.SourceError
	var coded *launch.Error
	var found *host.FindError
	var lack *sandbox.Lack
	var mistakes policy.Mistakes
	switch {
	case err == nil || errors.As(err, &coded) || errors.As(err, &mistakes) || errors.As(err, &found) || errors.As(err, &lack):
		return err
	case ctx.Err() != nil:
		return &launch.Error{Code: 128 + int(signalOf(ctx)), Err: errors.New("interrupted: nothing was installed")}
	case errors.As(err, &young):
		hint := "[install]\nmin-age = \"0s\""
		if young.OldEnough != "" {
			ref := young.Ref
			ref.Version, ref.Tag = young.OldEnough, ""
			hint = ref.String()
		}
		return &launch.Error{Code: exitRefused, Err: err, Hint: hint}
	case errors.As(err, &source):
		return &launch.Error{Code: exitRefused, Err: err, Hint: fmt.Sprintf("[install]\nbuild = [%q]", source.Name)}
	case errors.As(err, &refusal):
		return &launch.Error{Code: exitRefused, Err: err}
	case errors.Is(err, pack.ErrLibrary):
		return &launch.Error{Code: exitUsage, Err: err, Hint: "mcpen add npm:NAME   # of the server, which may be another package of the same project"}
	}
	for _, lack := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOTDIR} {
		if errors.Is(err, lack) {
			return &launch.Error{Code: exitSandbox, Err: fmt.Errorf("cannot keep packages: %w", err),
				Hint: "packages are kept below XDG_STATE_HOME, else ~/.local/state, and locks below XDG_CONFIG_HOME, else ~/.config: both must be writable"}
		}
	}
	if absent := (*pack.Missing)(nil); errors.As(err, &absent) {
		return &launch.Error{Code: int(host.NotFound), Err: err}
	}
	return &launch.Error{Code: exitSandbox, Err: err}
}

// damaged gives the refusal of a tree in the store a way out.
func damaged(err error, name string) error {
	var refusal *pack.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	return &launch.Error{Code: exitRefused, Err: err, Hint: "mcpen verify --repair " + name}
}

// signalOf is the signal that ended a context of signal.NotifyContext, which
// tells it by its words alone.
func signalOf(ctx context.Context) syscall.Signal {
	words := context.Cause(ctx).Error()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if strings.HasPrefix(words, s.String()) {
			return s
		}
	}
	return syscall.SIGINT
}

// entry is the program of a tree, with the interpreter of this machine.
func (a *app) entry(at place, l pack.Lock, rules policy.Install, t *pack.Tree, args []string) (plan.Program, error) {
	e, err := pack.EntryOf(t, l)
	if err != nil {
		return plan.Program{}, err
	}
	var via plan.Program
	switch e.Runtime {
	case pack.RuntimeNode:
		via, err = host.Find([]string{"node"}, a.findEnv(at))
	case pack.RuntimePython:
		via, err = a.findPython(at, rules.Python)
	}
	if err != nil {
		return plan.Program{}, err
	}
	return e.Program(t, l, via, args)
}

// refuseMalicious holds what is about to be installed against the advisories that
// are kept here.
func (a *app) refuseMalicious(at place, l pack.Lock) error {
	malicious, unread := a.held(at, l)
	if unread != "" {
		a.warn("%s", unread)
	}
	if malicious != "" {
		return &launch.Error{Code: exitRefused, Err: errors.New(malicious), Hint: "mcpen scan"}
	}
	return nil
}

// advisories is where a copy of an OSV database is looked for.
func advisories(at place) string { return filepath.Join(at.state, "osv") }

// maxLock bounds a lock file: the largest of real servers, pins included, has some
// megabytes.
const maxLock = 64 << 20

// readLock reads a lock file.
func readLock(file string) (pack.Lock, error) {
	data, err := readRegular(file, maxLock)
	if err != nil {
		return pack.Lock{}, err
	}
	l, err := pack.ParseLock(data)
	if err != nil {
		code := exitUsage
		if refusal := (*pack.Refusal)(nil); errors.As(err, &refusal) {
			code = exitRefused
		}
		return l, &launch.Error{Code: code, Err: fmt.Errorf("%s: %w", file, err)}
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
	return wholefile.Replace(file, data, 0o644)
}

// createLock writes a lock file that must not be there yet, in one step. The
// error wraps fs.ErrExist where it is.
func createLock(file string, l pack.Lock) error {
	data, err := l.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write the lock: %w", err)
	}
	return wholefile.Create(file, data, 0o644)
}

// sameRef refuses to run something else than what was locked.
func sameRef(l pack.Lock, ref pack.Ref, file string) error {
	locked, err := l.Ref()
	if err != nil {
		return err
	}
	for _, extra := range ref.Extras {
		if locked.Name == ref.Name && !slices.Contains(locked.Extras, extra) {
			return usage("mcpen add --name NAME "+ref.String()+"   # and mcpen run NAME", "%s locks %s without the extra %q", file, l.Package, extra)
		}
	}
	if locked.Ecosystem != ref.Ecosystem || locked.Name != ref.Name {
		return usage("mcpen add --name NAME "+ref.String()+"   # and mcpen run NAME", "%s locks %s, and %s was asked for", file, l.Package, ref)
	}
	if !ref.Allows(l.Version) {
		name := lockName(file)
		return usage("mcpen update "+name+"   # where its profile asks for that, else: mcpen remove "+name, "%s locks version %s, and %s was asked for", file, l.Version, cmp.Or(ref.Version, ref.Range))
	}
	return nil
}

func (a *app) terminal(f *os.File) bool {
	return a.getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// skippedScripts is a hint for a server that ends with an error: which packages of
// its lock have install scripts that did not run. Some do not work without.
func (a *app) skippedScripts(at place, pol policy.Policy, isPackage bool) string {
	if !isPackage {
		return ""
	}
	data, err := os.ReadFile(pinsBeside(at, pol, true).Lock)
	if err != nil || !bytes.Contains(data, []byte("\ninstall-scripts = true\n")) {
		return ""
	}
	l, err := pack.ParseLock(data)
	if err != nil {
		return ""
	}
	var names, quotes []string
	for _, d := range l.Dependencies {
		if n := d.PackageName(); d.Scripts && !slices.Contains(l.Scripts, n) && !slices.Contains(names, n) {
			names, quotes = append(names, n), append(quotes, fmt.Sprintf("%q", n))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("the install scripts of %s were not run; if the server needs them: [install] scripts = [%s], then mcpen remove %s and run again",
		audit.Visible(strings.Join(names, ", ")), audit.Visible(strings.Join(quotes, ", ")), pol.Name)
}
