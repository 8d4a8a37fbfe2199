package policy

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
)

// Input is everything beside the profile that Resolve needs: the command line and this
// machine's directories. All directories are absolute or empty. Empty means unknown; a
// profile that needs an unknown directory does not resolve.
type Input struct {
	Params    map[string][]string // --set name=value, in order
	Env       map[string]string   // from mcpen's own environment: the variables of EnvOf that are set
	Home      string              // the user's home directory
	State     string              // mcpen's own state; each server's is below it
	Config    string              // mcpen's own state; each server's state lies below it
	Workspace string              // --workspace; may be relative to Cwd
	Cwd       string              // where mcpen was started
	Without   []Layer             // --without
	Pass      []string            // --pass: variables to pass on
	Secrets   map[string]string   // --secret: variables, and the references to their values
	Baselines []*Profile          // bounds on the profile; all of them apply

	// Server identifies the server; "" for the profile's own name. ${state} and
	// everything that mcpen stores about a server depend on it.
	Server string

	// Login holds the directories by the password database. They stay protected even if
	// the environment names others in Home, State and Config.
	Login Dirs

	// Start is the folder that ${workspace} means in a baseline, whatever the command
	// line says: the directory where mcpen was started. If it is empty, a bound with
	// ${workspace} allows nothing.
	Start string
}

// Dirs are the directories of one user, absolute or empty.
type Dirs struct {
	Home   string `json:"home,omitempty"`
	State  string `json:"state,omitempty"`  // mcpen's own
	Config string `json:"config,omitempty"` // mcpen's own
}

// ServerState is the directory that "${state}" means in the profile with that name; ""
// if State is unknown. It does not make the directory.
func (in Input) ServerState(name string) string {
	if !path.IsAbs(in.State) || name == "" {
		return ""
	}
	return path.Join(in.State, "servers", name)
}

// Resolve computes a profile's meaning with these parameters on this machine. The error
// is Mistakes, all of them; the policy is valid only without an error.
//
// A Profile with nothing but a Name resolves to Closed(Name), within the baseline. A
// package without a profile runs like this.
//
// Resolve checks paths by name. Whoever follows a symlink checks its target.
func Resolve(p *Profile, in Input) (Policy, error) {
	var l ledger
	r := &resolver{ledger: &l, in: in, name: cmp.Or(in.Server, p.Name)}
	out := r.resolve(p)
	for _, b := range in.Baselines {
		r.narrow(p, &out, b)
	}
	if err := l.err(); err != nil {
		return Policy{}, err
	}
	return out, nil
}

// sample resolves a profile on an invented machine, to find the mistakes that it would
// have on any machine. It skips everything that depends on a parameter without a
// default.
func sample(p *Profile, l *ledger, baseline bool) {
	r := &resolver{ledger: l, name: p.Name, sample: true, bounds: baseline, in: sampleInput()}
	if baseline {
		r.refuseInBaseline(p)
	}
	r.resolve(p)
}

// sampleInput is an invented machine.
func sampleInput() Input {
	return Input{
		Home:      "/home/you",
		State:     "/home/you/.local/state/mcpen",
		Config:    "/home/you/.config/mcpen",
		Workspace: "/home/you/project",
		Cwd:       "/home/you/project",
	}
}

// resolver is the state of one Resolve.
type resolver struct {
	*ledger
	in     Input
	name   string
	sample bool // the machine is invented: unknown values are skipped
	bounds bool // this resolves a baseline, which grants nothing

	args         map[string]argument
	names        []string // of args, sorted
	badWorkspace bool     // already reported as a mistake
}

func (r *resolver) resolve(p *Profile) Policy {
	r.bind(p.Params)
	b := p.body
	out := Closed(r.name)
	out.Description = p.Description
	out.Sources = slices.Clone(p.Sources)
	out.Server = r.server(b)
	out.Filesystem = r.filesystem(b)
	out.Network = r.network(b)
	out.Sockets = r.sockets(b.connect)
	out.Env = r.env(b.env)
	r.named(&out.Env, b.env)
	resolveTools(&out, b)
	out.Given = r.given()
	resolveLimits(&out.Limits, b)
	if b.pty.v {
		out.Process = Process{PTY: true, At: b.pty.at}
	}
	b.maxLine.to(&out.Wire.MaxLine)
	b.finish.to(&out.Wire.Finish)
	b.grace.to(&out.Wire.Grace)
	b.grace.to(&out.Wire.Rush)
	b.arguments.to(&out.Log.Arguments)
	b.files.to(&out.Log.Files)
	b.onError.to(&out.Log.OnError)
	b.minAge.to(&out.Install.MinAge)
	b.python.to(&out.Install.Python)
	out.Install.Scripts = unique(b.scripts.items)
	out.Install.Build = unique(b.build.items)
	out.Require = r.require(b)
	return out
}

// require adds the profile's required layers to the default, and removes those that the
// profile or the command line goes without.
func (r *resolver) require(b body) Require {
	req := Require{Layers: DefaultLayers(), At: b.layers.at}
	if b.without.set {
		req.At = b.without.at
	}
	for _, l := range b.layers.items {
		req.need(l.v)
	}
	for _, l := range b.without.items {
		req.goWithout(l.v, l.at)
	}
	for _, l := range r.in.Without {
		req.goWithout(l, Pos{})
	}
	return req
}

// need adds a layer.
func (req *Require) need(l Layer) {
	if !slices.Contains(req.Layers, l) {
		req.Layers = append(req.Layers, l)
	}
}

// goWithout removes a layer and records that somebody said so.
func (req *Require) goWithout(l Layer, at Pos) {
	req.Layers = slices.DeleteFunc(req.Layers, func(have Layer) bool { return have == l })
	if !slices.ContainsFunc(req.Without, func(w Without) bool { return w.Layer == l }) {
		req.Without = append(req.Without, Without{l, at})
	}
}

// to overrides the default in dst if the profile has the setting.
func (o opt[T]) to(dst *T) {
	if o.set {
		*dst = o.v
	}
}

func (r *resolver) server(b body) Server {
	s := Server{Package: b.pkg.v, At: b.pkg.at}
	if b.command.set {
		s.At = b.command.at
	}
	s.Command = texts(r.list(b.command.items, inText))
	s.Args = texts(r.list(b.args.items, inText))
	if len(s.Command) > 0 {
		program, err := r.home(s.Command[0])
		switch {
		case err != nil:
			r.fault(b.command.at, "server.command", err)
		case program == "":
			r.add(b.command.at, "server.command", "", "names no program")
		}
		s.Command[0] = program
	}
	if b.dir.set {
		if text, ok := r.one(word{b.dir.v, b.dir.key, b.dir.at}, inPath); ok {
			if p, ok := r.path(word{text, b.dir.key, b.dir.at}); ok {
				s.Dir = p.Path
			}
		}
	}
	return s
}

func (r *resolver) filesystem(b body) Filesystem {
	anything := func(string) error { return nil }
	readable, mayWrite := r.readable, r.writable
	if r.bounds {
		readable, mayWrite = anything, anything
	}
	f := Filesystem{
		Read:      r.paths(b.read, readable),
		Write:     r.paths(b.write, mayWrite),
		Deny:      r.paths(b.deny, anything),
		Unprotect: r.places(b.unprotect),
		Protect:   r.protected(b.protect),
	}
	for _, rules := range []struct {
		key   string
		paths []Path
	}{{"filesystem.read", f.Read}, {"filesystem.write", f.Write}} {
		denied := ancestors(f.Deny)
		for _, p := range rules.paths {
			if d, ok := denied.over(p.Path); ok {
				r.add(p.At, rules.key, "", "%s is denied at %v", quote(p.Path), d.At)
			}
		}
	}
	writable := ancestors(f.Write)
	for _, p := range f.Unprotect {
		if _, ok := writable.over(p.Path); !ok && !r.sample && !r.bounds {
			r.add(p.At, "filesystem.unprotect", "", "%s is below nothing that is writable", quote(p.Path))
		}
	}
	return f
}

// protected returns the names that a profile adds to the protected ones.
func (r *resolver) protected(list list[word]) []Name {
	var out []Name
	for _, w := range list.items {
		switch {
		case w.text == "" || strings.HasPrefix(w.text, "/") || path.Clean(w.text) != w.text || w.text == "." || strings.HasPrefix(w.text, ".."):
			r.add(w.at, w.key, `protect = ["deploy.sh", ".config/tool"]`, "%s is not a name, or a few joined by slashes", quote(w.text))
		case strings.Trim(w.text, "*/") == "":
			r.add(w.at, w.key, "", "%s would protect everything: leave the folder out of write instead", quote(w.text))
		default:
			out = append(out, Name{Name: w.text, At: w.at})
		}
	}
	return out
}

// pathSet finds the rule that covers a path in as many steps as the path has elements.
type pathSet map[string]Path

func ancestors(rules []Path) pathSet {
	s := make(pathSet, len(rules))
	for _, p := range rules {
		s[p.Path] = p
	}
	return s
}

// over returns the rule for the path itself or for the nearest folder above it.
func (s pathSet) over(p string) (Path, bool) {
	for {
		if rule, ok := s[p]; ok {
			return rule, true
		}
		if p == "/" || p == "." {
			return Path{}, false
		}
		p = path.Dir(p)
	}
}

func (r *resolver) network(b body) Network {
	var n Network
	seen := make(map[Host]Pos)
	for _, rule := range b.allow.items {
		for _, w := range r.list([]word{rule.word}, inText) {
			h, err := ParseHost(w.text)
			if err == nil {
				err = rule.apply(&h)
			}
			if err != nil {
				r.fault(w.at, w.key, err)
				continue
			}
			if _, again := seen[h]; again {
				continue
			}
			seen[h] = w.at
			h.At = w.at
			n.Allow = append(n.Allow, h)
		}
		if len(n.Allow) > maxList {
			r.add(rule.at, rule.key, "", "the list grows beyond %d elements", maxList)
			break
		}
	}
	n.Proxy = r.proxy(b.proxy)
	ports := make(map[uint16]bool)
	for _, p := range b.listen.items {
		if !ports[p.v] {
			n.Listen = append(n.Listen, Port{p.v, p.at})
		}
		ports[p.v] = true
	}
	return n
}

// apply sets a rule's tls and private on its host.
func (rule hostRule) apply(h *Host) error {
	named := h.Kind == HostName || h.Kind == HostWildcard
	if !named && rule.tls.v {
		return faultf("", "tls on %s, which has no name that a certificate could be for", quote(rule.text))
	}
	if !named && rule.private.v && !strings.Contains(rule.text, "${") { // a parameter's value may be either
		return faultf("", "private on %s, which is an address and so means itself already", quote(rule.text))
	}
	switch {
	case !rule.tls.set:
	case rule.tls.v:
		h.TLS = TLSAlways
	case named:
		h.TLS = TLSNever
	}
	if named {
		rule.private.to(&h.Private)
	}
	return nil
}

func (r *resolver) env(vars []variable) Env {
	var e Env
	for _, v := range vars {
		at := v.value.at
		switch v.kind {
		case envPass:
			e.Pass = append(e.Pass, EnvName{v.name, at})
		case envSet:
			if text, ok := r.one(v.value, inText); ok {
				e.Set = append(e.Set, EnvValue{v.name, text, at})
			}
		case envSecret:
			text, ok := r.one(v.value, inSecret)
			if !ok {
				continue
			}
			from, err := r.secret(text)
			if err != nil {
				r.fault(at, v.value.key, err)
				continue
			}
			e.Secret = append(e.Secret, SecretFrom{v.name, from, at})
		}
	}
	slices.SortFunc(e.Set, func(a, b EnvValue) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(e.Secret, func(a, b SecretFrom) int { return cmp.Compare(a.Name, b.Name) })
	return e
}

// named adds the variables that the command line names. If the profile has a variable
// of the same name, the profile's wins.
func (r *resolver) named(e *Env, vars []variable) {
	said := func(name, flag string) (Pos, bool) {
		at := Pos{File: flag}
		if !envName().MatchString(name) {
			r.add(at, "", "", "%s is no name of a variable", quote(name))
			return at, true
		}
		return at, slices.ContainsFunc(vars, func(v variable) bool { return v.name == name })
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(r.in.Pass))) {
		if at, skip := said(name, "--pass"); !skip {
			e.Pass = append(e.Pass, EnvName{name, at})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.in.Secrets)) {
		at, skip := said(name, "--secret")
		if skip {
			continue
		}
		from, err := r.secret(r.in.Secrets[name])
		if err != nil {
			r.add(at, name, "", "%v", err)
			continue
		}
		e.Secret = append(e.Secret, SecretFrom{name, from, at})
	}
}

// secret checks a reference to a secret. Its mistakes never quote the input: it may be
// the secret.
func (r *resolver) secret(s string) (string, error) {
	const want = "want env:NAME, file:/path, command:PROGRAM or keyring:service/name"
	kind, rest, _ := strings.Cut(s, ":")
	bad := strings.ContainsAny(rest, "\x00\r\n")
	switch kind {
	case "env", "?env":
		if envName().MatchString(rest) {
			return s, nil
		}
		return "", faultf("", "is not a reference to a variable (want env:NAME, or ?env:NAME where it may be unset)")
	case "file":
		p, err := r.home(rest)
		if err == nil && path.IsAbs(p) && !bad {
			return "file:" + path.Clean(p), nil
		}
		return "", faultf("", "is not a reference to a file (want file:/path)")
	case "command":
		if strings.TrimSpace(rest) != "" && !bad {
			return s, nil
		}
		return "", faultf("", "is not a reference to a command (want command:PROGRAM ARGUMENTS)")
	case "keyring":
		service, name, _ := strings.Cut(rest, "/")
		if service != "" && name != "" && !bad {
			return s, nil
		}
		return "", faultf("", "is not a reference to the keyring (want keyring:service/name)")
	}
	return "", faultf("keep the secret elsewhere and name the place: keyring:mcpen/NAME", "is not a reference to a secret (%s)", want)
}

func resolveTools(out *Policy, b body) {
	out.Tools.Filter = b.tools.resolve()
	out.Prompts = b.prompts.resolve()
	out.Resources = b.resources.resolve()
	b.pins.to(&out.Tools.Pins)
	out.Tools.Except = globs(b.except.items)
	b.client.resolve(&out.Client)
	b.findings.to(&out.Tools.Findings)
	b.results.to(&out.Tools.Results)
	b.validate.to(&out.Tools.Validate)
	out.Tools.Rules = slices.Clone(b.rules)
}

func (f filter) resolve() Filter {
	out := Filter{Allow: globs(f.allow.items), Deny: globs(f.deny.items)}
	if f.allow.set && len(out.Allow) == 0 {
		out.Nothing = f.allow.at
	}
	return out
}

func globs(words []word) []Glob {
	var out []Glob
	seen := make(map[string]bool)
	for _, w := range words {
		if !seen[w.text] {
			out = append(out, Glob{w.text, w.at})
		}
		seen[w.text] = true
	}
	return out
}

func resolveLimits(l *Limits, b body) {
	b.memory.to(&l.Memory)
	b.processes.to(&l.Processes)
	b.openFiles.to(&l.OpenFiles)
	b.fileSize.to(&l.FileSize)
	b.cpu.to(&l.CPU)
	b.cpuTime.to(&l.CPUTime)
	b.tmp.to(&l.Tmp)
	b.tmpFiles.to(&l.TmpFiles)
	b.connections.to(&l.Connections)
	b.perSecond.to(&l.PerSecond)
}

func texts(words []word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.text)
	}
	return out
}

func unique(words []word) []string {
	var out []string
	seen := make(map[string]bool)
	for _, w := range words {
		if !seen[w.text] {
			out = append(out, w.text)
		}
		seen[w.text] = true
	}
	return out
}
