package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// subject is the subject of a trial: a program that is there, and the facts about it.
type subject struct {
	name    string // as a profile would be called
	about   trial.Subject
	program plan.Program
	tree    *store.Tree // of a package
	dir     string      // the folder that is moved to the desk: the tree, a bundle, a copy
	temp    string      // a folder of this run's own, which close takes away
	ref     pack.Ref
	secrets []string          // variables that it reads and that hold secrets
	words   map[string]string // variables that it was found to lack, with a value where one is known
	more    []string          // arguments that it was found to lack
	reads   []string          // every variable that its code names
}

func (s *subject) close() {
	if s.tree != nil {
		s.tree.Close()
	}
	if s.temp != "" {
		os.RemoveAll(s.temp)
	}
}

// tried finds the program of a trial, and installs a package. The caller closes it.
func (a *app) tried(ctx context.Context, at user.Dirs, o tryOptions) (s *subject, err error) {
	s = &subject{words: map[string]string{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	switch {
	case strings.HasSuffix(o.server, ".mcpb"), strings.HasSuffix(o.server, ".dxt"):
		return s, a.bundle(at, o, s)
	case strings.HasSuffix(o.server, ".json"):
		ref, draft, err := a.wanted(o.server)
		if err != nil {
			return s, err
		}
		s.about.Name = ref.String()
		s.described(*draft)
		return s, a.tryPackage(ctx, at, ref, slices.Concat(s.more, o.args), s)
	}
	t, err := server.Words{Profile: o.server, Command: o.command, Args: o.args}.Target()
	if err != nil {
		return s, err
	}
	switch t.Kind {
	case server.ByProfile:
		return s, a.tryProfile(ctx, at, o, s)
	case server.ByPackage:
		return s, a.tryPackage(ctx, at, t.Ref, t.Args, s)
	case server.ByImage:
		return s, usage("mcpen try npm:PACKAGE", "cannot try the image %q: mcpen runs packages and programs", t.Image)
	}
	return s, a.tryCommandLine(at, o.command, s)
}

// tryProfile tries the package or the command that a profile names.
func (a *app) tryProfile(ctx context.Context, at user.Dirs, o tryOptions, s *subject) error {
	file, data, err := catalog.Loader(at)(o.server, "")
	switch _, wrong := pack.ParseRef("npm:" + o.server); {
	case err != nil && strings.Contains(o.server, "://"):
		return usage("mcpen try npm:NAME", "cannot try the address %q: what is tried is a package, a program, a bundle, a server.json or a profile", o.server)
	case err != nil && wrong == nil && policy.DidYouMean(o.server, catalog.Names(at)) == "":
		hint := "mcpen try npm:" + o.server
		if !strings.HasPrefix(o.server, "@") {
			hint += ", or pypi:" + o.server
		}
		return usage(hint, "there is no profile %q; a package has its registry in front", o.server)
	case err != nil:
		return catalog.NoProfile(at, o.server, err)
	}
	var p struct {
		Server struct {
			Package string
			Command []string
			Args    []string
		}
	}
	if _, err := toml.Decode(string(data), &p); err != nil {
		return &launch.Error{Code: exitUsage, Err: fmt.Errorf("%s: %w", file, err)}
	}
	args := slices.DeleteFunc(slices.Concat(p.Server.Args, o.args), func(arg string) bool { return strings.Contains(arg, "${") })
	if p.Server.Package != "" {
		ref, err := pack.ParseRef(p.Server.Package)
		if err != nil {
			return &launch.Error{Code: exitUsage, Err: fmt.Errorf("%s: %w", file, err)}
		}
		return a.tryPackage(ctx, at, ref, args, s)
	}
	if len(p.Server.Command) == 0 {
		return usage("mcpen try npm:NAME", "the profile %q names neither a command nor a package", o.server)
	}
	return a.tryCommandLine(at, slices.Concat(p.Server.Command, args), s)
}

// described takes over a description's variables and arguments.
func (s *subject) described(d pack.Draft) {
	for _, e := range d.Env {
		if e.Secret {
			s.secrets = append(s.secrets, e.Name)
		} else if !strings.Contains(e.Value, "${") {
			s.words[e.Name] = e.Value
		}
	}
	for _, arg := range d.Args {
		if !strings.Contains(arg, "${") {
			s.more = append(s.more, arg)
		}
	}
}

// tryLockAge is how long a package that was tried is tried again as it was locked
// then.
const tryLockAge = 24 * time.Hour

// tryPackage installs a package under a lock of the trials' own: nothing of it
// enters the user's profiles.
func (a *app) tryPackage(ctx context.Context, at user.Dirs, ref pack.Ref, args []string, s *subject) error {
	if at.State == "" {
		return usage("export HOME=…", "cannot keep packages: there is no HOME and no XDG_STATE_HOME")
	}
	pol, err := catalog.InstallRules(at, "")
	if err != nil {
		return err
	}
	s.ref, s.name = ref, server.NameOf(ref)
	lockFile := filepath.Join(at.State, "try", strings.ReplaceAll(strings.ReplaceAll(ref.String(), "/", "+"), ":", "-")+".lock")
	if st, err := os.Stat(lockFile); err == nil && time.Since(st.ModTime()) > tryLockAge && ref.Version == "" {
		os.Remove(lockFile)
	}
	in, err := a.Installer(ctx, at, ref.Ecosystem, pol)
	if err != nil {
		return err
	}
	lock, err := locked.Read(lockFile)
	if err == nil {
		lock, s.tree, err = a.Open(ctx, in, at, ref, lock, lockFile)
	}
	if err != nil {
		os.Remove(lockFile)
		if lock, s.tree, err = a.lockForTrial(ctx, in, at, ref, lockFile, s); err != nil {
			return err
		}
	}
	if ref.Bin != "" {
		lock.Bin = ref.Bin
	}
	if s.program, err = a.Entry(at, lock, pol, s.tree, args); err != nil {
		return err
	}
	s.dir = s.tree.Dir
	s.tell(a, at, ref, lock)
	s.reading(variables(s.tree.Dir, ref, lock))
	s.about.Declared = a.declaredHosts(at, ref)
	return nil
}

// lockForTrial resolves and installs a package.
func (a *app) lockForTrial(ctx context.Context, in *install.Installer, at user.Dirs, ref pack.Ref, lockFile string, s *subject) (pack.Lock, *store.Tree, error) {
	if err := a.Connect(ctx, in, at, ref.Ecosystem); err != nil {
		return pack.Lock{}, nil, err
	}
	fmt.Fprintf(a.Err, "mcpen: installing %s without its scripts\n", ref)
	rel, err := in.Resolve(ctx, ref)
	if err != nil {
		return pack.Lock{}, nil, err
	}
	lock, tree, err := in.Install(ctx, rel)
	if err != nil {
		return lock, nil, err
	}
	if err = locked.Create(lockFile, lock); errors.Is(err, fs.ErrExist) {
		err = nil // another trial of the same
	}
	if err != nil {
		tree.Close()
		return lock, nil, err
	}
	s.about.Notes = rel.Notes
	return lock, tree, nil
}

// tell fills in the known facts about a package.
func (s *subject) tell(a *app, at user.Dirs, ref pack.Ref, l pack.Lock) {
	s.about.Name, s.about.Version = server.Bare(ref), l.Version
	s.about.Publisher, s.about.License, s.about.Deprecated = shortWord(l.Publisher), shortWord(l.License), shortWord(l.Deprecated)
	s.about.Bytes = l.Bytes
	if !l.Published.IsZero() {
		s.about.Published = l.Published.UTC().Format("2006-01-02")
		s.about.Young = time.Since(l.Published) < 14*24*time.Hour
	}
	s.about.Packages = len(l.Dependencies)
	for _, d := range l.Dependencies {
		n := d.PackageName()
		if n != ref.Name && !slices.Contains(s.about.Dependencies, n) {
			s.about.Dependencies = append(s.about.Dependencies, shortWord(n))
		}
		if d.Scripts && !slices.Contains(s.about.Scripts, shortWord(n)) {
			s.about.Scripts = append(s.about.Scripts, shortWord(n))
		}
	}
	s.about.Malicious, _ = a.Malicious(at, l)
	s.about.Lookalike = pack.Lookalike(ref)
	s.about.Command = s.program.Args
}

// shortWord is a stranger's word for a report.
func shortWord(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return audit.Visible(s)
}

// declaredHosts are those that a profile for the package names, the user's or the one
// that mcpen carries.
func (a *app) declaredHosts(at user.Dirs, ref pack.Ref) []string {
	name, ok := profiles.For(server.Bare(ref))
	if !ok {
		name = server.NameOf(ref)
	}
	_, data, err := catalog.Loader(at)(name, "")
	if err != nil {
		return nil
	}
	var p struct {
		Server  struct{ Package string }
		Params  map[string]struct{ Default any }
		Network struct{ Allow []any }
	}
	if _, err := toml.Decode(string(data), &p); err != nil || !server.SamePackage(p.Server.Package, ref) {
		return nil
	}
	var out []string
	for _, h := range p.Network.Allow {
		text, ok := h.(string)
		if table, is := h.(map[string]any); is {
			text, ok = table["host"].(string)
		}
		if !ok {
			continue
		}
		for param, q := range p.Params {
			text = strings.ReplaceAll(text, "${"+param+"}", fmt.Sprint(q.Default))
		}
		out = append(out, text)
	}
	return out
}

// tryCommandLine tries a program of this machine. It copies a folder of the user's that
// the program needs: the program's changes to it, and its findings in it, are this
// run's alone.
func (a *app) tryCommandLine(at user.Dirs, argv []string, s *subject) error {
	var err error
	if s.program, err = a.Find(argv, at); err != nil {
		return err
	}
	s.name = a.ServerName(at, server.Words{Command: argv})
	s.about.Name, s.about.Command = shortWord(strings.Join(argv, " ")), s.program.Args
	for _, n := range s.program.Needs {
		if len(n.Led) == 0 {
			continue
		}
		if s.dir != "" {
			return usage("mcpen try npm:NAME", "cannot try %q: it needs two folders of yours, %q and %q", s.about.Name, s.dir, n.Path)
		}
		s.dir = n.Path
	}
	if s.dir == "" {
		return nil
	}
	if s.temp, err = os.MkdirTemp(runtimeDir(at), "try-"); err != nil {
		return fmt.Errorf("cannot make a folder for a trial: %w", err)
	}
	copied := filepath.Join(s.temp, "program")
	if err := trial.CopyFolder(s.dir, copied); err != nil {
		return &launch.Error{Code: exitUsage, Err: fmt.Errorf("cannot copy %q for a trial: %w", s.dir, err), Hint: "put the server into a folder of its own"}
	}
	s.rename(s.dir, copied)
	s.reading(trial.Variables(copied))
	return nil
}

// rename has the program mean another folder than the one that was found.
func (s *subject) rename(from, to string) {
	s.program = renamed(s.program, from, to)
	s.dir = to
}

// renamed is a program that means another folder, and does not need the one that it
// meant by its own name.
func renamed(p plan.Program, from, to string) plan.Program {
	p.Args, p.Env, p.Needs = slices.Clone(p.Args), slices.Clone(p.Env), slices.Clone(p.Needs)
	if rest, ok := strings.CutPrefix(p.Path, from+"/"); ok {
		p.Path = path.Join(to, rest)
	}
	for i := range p.Args {
		p.Args[i] = strings.ReplaceAll(p.Args[i], from, to)
	}
	for i := range p.Env {
		p.Env[i].Value = strings.ReplaceAll(p.Env[i].Value, from, to)
	}
	p.Needs = slices.DeleteFunc(p.Needs, func(n plan.Need) bool { return n.Path == from })
	return p
}

// bundle unpacks an MCPB bundle and finds the program that it starts.
func (a *app) bundle(at user.Dirs, o tryOptions, s *subject) error {
	mistake := func(err error) error {
		return &launch.Error{Code: exitUsage, Err: fmt.Errorf("cannot read the bundle %q: %w", o.server, err)}
	}
	z, err := zip.OpenReader(o.server)
	if err != nil {
		return mistake(err)
	}
	defer z.Close()
	if s.temp, err = os.MkdirTemp(runtimeDir(at), "try-"); err != nil {
		return fmt.Errorf("cannot make a folder for a trial: %w", err)
	}
	s.dir = filepath.Join(s.temp, "program")
	if err := trial.Unzip(&z.Reader, s.dir); err != nil {
		return mistake(err)
	}
	data, err := wholefile.Read(filepath.Join(s.dir, "manifest.json"), policy.MaxFile)
	if err != nil {
		return mistake(err)
	}
	d, err := pack.ReadDraft(data)
	if err != nil {
		return mistake(err)
	}
	if len(d.Command) == 0 {
		return mistake(errors.New("its manifest names no command"))
	}
	s.described(d)
	s.name, s.about.Name = server.NameOf(pack.Ref{Name: d.Name}), shortWord(d.Name+" ("+filepath.Base(o.server)+")")
	argv := slices.Clone(d.Command)
	for i, w := range argv {
		w = strings.ReplaceAll(w, "${__dirname}", s.dir)
		if i == 0 && strings.Contains(w, "/") && !filepath.IsAbs(w) {
			w = filepath.Join(s.dir, w)
		}
		argv[i] = w
	}
	argv = append(argv, s.more...)
	s.more = nil
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "${__dirname}", s.dir)
	}
	argv = append(argv, o.args...)
	found, err := program.Find(argv, a.FindEnv(at))
	if err != nil {
		return err
	}
	found.Needs = slices.DeleteFunc(found.Needs, func(n plan.Need) bool { return n.Path == s.dir || strings.HasPrefix(n.Path, s.dir+"/") })
	s.program, s.about.Command = found, found.Args
	s.reading(trial.Variables(s.dir))
	return nil
}

// reading notes the variables that the program's code names.
func (s *subject) reading(names []string) {
	s.reads = names
	for _, name := range names {
		if trial.IsSecret(name) && !slices.Contains(s.secrets, name) {
			s.secrets = append(s.secrets, name)
		}
	}
}

// variables lists the names of the variables that a package's own code reads.
func variables(tree string, ref pack.Ref, l pack.Lock) []string {
	if ref.Ecosystem == pack.NPM {
		return trial.Variables(filepath.Join(tree, "node_modules", ref.Name))
	}
	var out []string
	for _, entry := range l.Entry {
		module, _, _ := strings.Cut(entry, ":")
		top, _, _ := strings.Cut(module, ".")
		out = append(out, trial.Variables(filepath.Join(tree, "lib", top))...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// learn finds in a program's last words the things that it lacks: variables, or the
// folder that it works in. It reports whether another try makes sense.
func (s *subject) learn(words string, d *trial.Desk) bool {
	learned := false
	for _, name := range append(trial.VariablesIn(words), s.spelled(words)...) {
		_, known := s.words[name]
		if known || slices.Contains(s.secrets, name) || len(s.words) >= 16 || strings.HasPrefix(name, "ERR_") {
			continue
		}
		learned = true
		if trial.IsSecret(name) {
			s.secrets = append(s.secrets, name)
			continue
		}
		s.words[name] = trial.GuessVariable(name, d)
	}
	lower := strings.ToLower(words)
	if !learned && len(s.more) == 0 && strings.Contains(lower, "director") && (strings.Contains(lower, "usage") || strings.Contains(lower, "argument")) {
		s.more, learned = []string{"${desk}"}, true
	}
	return learned
}

// spelled are the variables that the code names and that a program asks for in words of
// a person's language, in its last line: CLIENT_ID for "no client ID was provided".
func (s *subject) spelled(words string) (out []string) {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	last := strings.FieldsFunc(strings.ToLower(lines[len(lines)-1]), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, name := range s.reads {
		parts := strings.Split(strings.ToLower(name), "_")
		if len(parts) > 1 && !slices.ContainsFunc(parts, func(p string) bool { return !slices.Contains(last, p) }) {
			out = append(out, name)
		}
	}
	return out
}
