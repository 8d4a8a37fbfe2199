package wrapping

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// The kinds of proposals for a server.
const (
	byLibrary = "library" // there is a profile for it
	byLock    = "lock"    // a package that gets no rights, and does not look as if it needed any
	byTrial   = "try"     // its needs are unknown: a trial finds them first
)

// Proposal is wrap's proposal for one server of a client.
type Proposal struct {
	place   clients.Place
	entry   clients.Entry
	kind    string // byLibrary, byLock, byTrial; "" where the entry stays as it is
	profile string // the profile's name, with byLibrary
	can     string // the server's future abilities, in about six words
	words   []string
	notes   []string
	needs   string // why it would not start as it is; "" where it would
	hint    string
	choice  server.Choice // the package to install ahead
	policy  policy.Policy
	inside  bool // it is wrapped already, and its secrets can move
}

// wrapped reports whether wrap does it without having been told by name.
func (p Proposal) wrapped(all bool) bool {
	return p.needs == "" && (p.kind == byLibrary || p.kind == byLock || p.kind == byTrial && all)
}

// label is the proposal in a table, with the profile's name if there is room.
func (p Proposal) label(room bool) string {
	switch {
	case p.kind == byLibrary && room:
		return p.kind + ": " + p.profile
	case p.kind == "":
		return "-"
	}
	return p.kind
}

// Proposals returns the proposals for every server of the target. It notes the files that
// cannot be read.
func Proposals(c *server.Caller, t *Target, params map[string][]string) []Proposal {
	var out []Proposal
	for _, p := range t.Places {
		entries, err := p.Servers()
		if err != nil {
			t.Note(p, "", err)
			continue
		}
		for _, e := range entries {
			if t.Wants(e.Server) {
				out = append(out, propose(c, t.At, p, e, params, slices.Contains(t.Servers, e.Server)))
			}
		}
	}
	return out
}

// propose makes the proposal for an entry. named is set if the person named the server:
// then wrap also wraps one that its client does not start.
func propose(c *server.Caller, at user.Dirs, p clients.Place, e clients.Entry, params map[string][]string, named bool) Proposal {
	out := Proposal{place: p, entry: e, can: e.Why}
	// Only its client starts an entry that asks, and fills in the answers.
	if e.State != clients.Open && !(named && (e.State == clients.Disabled || e.State == clients.Asks)) {
		if e.State == clients.Wrapped {
			out.can = "it is in a pen already"
			lookInside(c, at, &out)
		}
		return out
	}
	b := *c
	b.Env = slices.Clone(c.Env)
	for _, v := range e.Env {
		b.Env = append(b.Env, v.Name+"="+clients.Expand([]string{v.Value}, at.Home, c.Lookup)[0])
	}
	out.choice.Words = server.Words{Command: clients.Expand(e.Command, at.Home, c.Lookup), Params: params, Look: true}
	decide(&b, at, &out)
	if e.EnvFile != "" {
		out.notes = append(out.notes, fmt.Sprintf("the variables of %s do not reach it: name them with --pass or --secret", e.EnvFile))
	}
	return out
}

// lookInside finds the secrets of a wrapped entry: those of the profile of the command
// after its "--", and those that its options name.
func lookInside(c *server.Caller, at user.Dirs, p *Proposal) {
	if p.entry.Starter() == "" || len(p.entry.Env) == 0 {
		return
	}
	params := map[string][]string{}
	options := p.entry.Options()
	for i, word := range options {
		if name, value, ok := strings.Cut(word, "="); ok && i > 0 && options[i-1] == "--set" {
			params[name] = append(params[name], value)
		}
	}
	in := Proposal{place: p.place, entry: p.entry}
	in.entry.Command, in.entry.State = p.entry.Inner(), clients.Open
	in.choice.Words = server.Words{Command: clients.Expand(in.entry.Command, at.Home, c.Lookup), Params: params, Look: true}
	decide(c, at, &in)
	p.policy, p.words = in.policy, options
	p.inside = len(p.secrets(p.entry)) > 0
}

// decide finds the profile of a command, and the resulting proposal.
func decide(c *server.Caller, at user.Dirs, p *Proposal) {
	command, err := pack.FromCommand(p.entry.Command)
	if err != nil {
		p.kind, p.needs, p.can = byTrial, err.Error(), "cannot be locked"
		return
	}
	ch, err := c.Choose(at, p.choice.Words)
	if err != nil {
		p.kind, p.needs, p.can = byLibrary, err.Error(), "its profile has mistakes"
		return
	}
	switch own := ch.Name; {
	case ch.Found:
		p.kind, p.profile = byLibrary, ch.Profile
	case command.Kind == pack.CommandProgram && wholefile.Exists(filepath.Join(at.Config, "profiles", own+".toml")):
		p.kind, p.profile, ch.Profile = byLibrary, own, own
		p.words = append(p.words, "--profile", own)
	case command.Kind == pack.CommandPackage && len(p.entry.Env)+len(p.entry.Names)+len(command.Args) == 0:
		p.kind = byLock
	default:
		p.kind = byTrial
		p.hint = tryHint(at, own, p.entry.Command, command)
	}
	for _, name := range p.sets() {
		for _, value := range p.choice.Params[name] {
			p.words = append(p.words, "--set", name+"="+value)
		}
	}
	settleChoice(c, at, p, ch)
}

// sets are the names of the parameters that --set gave, sorted.
func (p *Proposal) sets() []string {
	var names []string
	for name := range p.choice.Params {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// settleChoice gives the profile the entry's variables, and describes the result.
func settleChoice(c *server.Caller, at user.Dirs, p *Proposal, ch server.Choice) {
	if p.kind == byLibrary {
		bindSecrets(at, p, &ch)
	}
	r, err := c.ResolveAnywhere(ch, at)
	if err != nil {
		p.fail(err)
		p.choice = ch
		return
	}
	variablesOf(c, p, r.Policy, &ch)
	p.policy, p.choice = r.Policy, ch
	switch p.kind {
	case byLibrary:
		p.can = abilities(at, r.Policy)
	case byLock:
		p.can = "nothing: no file, no host"
	case byTrial:
		p.can = "nothing until looked at"
	}
}

// fail notes why a server would not start.
func (p *Proposal) fail(err error) {
	p.needs = strings.ReplaceAll(err.Error(), "\n", "; ")
	var mistakes policy.Mistakes
	if errors.As(err, &mistakes) && mistakes[0].Hint != "" {
		p.hint = fmt.Sprintf("mcpen wrap --server %s %s", audit.Command(p.entry.Server), mistakes[0].Hint)
	}
	p.can = "needs to be told more"
}

// bindSecrets binds a profile's secret to the entry's variable for it, unless the profile
// already reads that variable.
func bindSecrets(at user.Dirs, p *Proposal, ch *server.Choice) {
	profile, err := catalog.Profile(at, ch.Profile)
	if err != nil {
		return // resolve says it
	}
	for _, s := range profile.Said() {
		name, isSecret := strings.CutPrefix(s.Key, "env.secret.")
		param, isParam := strings.CutPrefix(strings.TrimSuffix(s.Text, "}"), "${")
		set := slices.ContainsFunc(p.entry.Env, func(v clients.Var) bool { return v.Name == name }) || slices.Contains(p.entry.Names, name)
		i := slices.IndexFunc(profile.Params, func(q policy.Param) bool { return q.Name == param })
		if !isSecret || !isParam || !set || i < 0 || profile.Params[i].Default != nil || ch.Params[param] != nil {
			continue
		}
		value := "env:" + name
		ch.Bind(map[string][]string{param: {value}})
		p.words = append(p.words, "--set", param+"="+value)
	}
}

// variablesOf passes the entry's variables on by name, but those that the profile has
// already, and says so.
func variablesOf(c *server.Caller, p *Proposal, pol policy.Policy, ch *server.Choice) {
	names := slices.Clone(p.entry.Names)
	for _, v := range p.entry.Env {
		i := slices.IndexFunc(pol.Env.Set, func(s policy.EnvValue) bool { return s.Name == v.Name })
		if i >= 0 && pol.Env.Set[i].Value != v.Value {
			p.needs = fmt.Sprintf("the profile sets %s to %q, and the entry to something else", v.Name, pol.Env.Set[i].Value)
		}
		if i < 0 {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		has := slices.ContainsFunc(pol.Env.Pass, func(e policy.EnvName) bool { return e.Name == name }) ||
			slices.ContainsFunc(pol.Env.Secret, func(e policy.SecretFrom) bool { return e.Name == name }) ||
			slices.ContainsFunc(pol.Env.Set, func(e policy.EnvValue) bool { return e.Name == name })
		switch {
		case has:
		case audit.SecretName(name):
			p.words = append(p.words, "--secret", name)
			p.notes = append(p.notes, "passes "+name+" on, as a secret")
		default:
			p.words = append(p.words, "--pass", name)
			p.notes = append(p.notes, "passes "+name+" on")
		}
	}
	for _, s := range pol.Env.Secret {
		name, fromEnv := strings.CutPrefix(s.From, "env:")
		if _, set := c.Lookup(name); fromEnv && !set && p.needs == "" {
			p.needs = fmt.Sprintf("%s is set neither in the entry nor here", name)
			p.hint = fmt.Sprintf("set %s in the entry, or: mcpen wrap --server %s", name, audit.Command(p.entry.Server))
		}
	}
}

// abilities is a server's abilities under a policy, in about six words.
func abilities(at user.Dirs, p policy.Policy) string {
	words := []string{files(at, p), hosts(p)}
	if n := len(p.Sockets); n > 0 {
		words = append(words, user.Count(n, "socket"))
	}
	return strings.Join(words, ", ")
}

// files says in which way a policy lets a server use the user's files.
func files(at user.Dirs, p policy.Policy) string {
	own := policy.Input{State: at.State}.ServerState(p.Name)
	mine := func(all []policy.Path) (out []string) {
		for _, f := range all {
			if f.Path != own && !f.Optional && !strings.HasPrefix(f.Path, "/usr/") && !strings.HasPrefix(f.Path, "/etc/") {
				out = append(out, at.Tilde(f.Path))
			}
		}
		return out
	}
	for _, list := range []struct {
		verb  string
		paths []string
	}{{"writes ", mine(p.Filesystem.Write)}, {"reads ", mine(p.Filesystem.Read)}} {
		switch len(list.paths) {
		case 0:
		case 1:
			return list.verb + list.paths[0]
		default:
			return list.verb + user.Count(len(list.paths), "folder")
		}
	}
	if slices.ContainsFunc(p.Filesystem.Write, func(f policy.Path) bool { return f.Path == own }) {
		return "only files of its own"
	}
	return "no file"
}

// hosts is where a policy lets a server connect to.
func hosts(p policy.Policy) string {
	var names []string
	for _, h := range p.Network.Allow {
		name := h.Name
		switch {
		case h.Kind == policy.HostWildcard:
			name = "*." + name
		case h.Kind == policy.HostLocal:
			name = h.String()
		case h.Kind == policy.HostCIDR && strings.HasSuffix(name, "/0"):
			return "any host"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "no host"
	case 1, 2:
		return strings.Join(names, " and ")
	}
	return user.Count(len(names), "host")
}

// tryHint is the command that tries a server. It puts no likely secret on a screen: it
// then tries a package without its arguments.
func tryHint(at user.Dirs, name string, argv []string, command pack.Command) string {
	hint := "mcpen try --write " + audit.Command(filepath.Join(at.Config, "profiles", name+".toml")) + " "
	shown := audit.RedactArgs(argv)
	if !slices.Equal(shown, argv) && command.Kind == pack.CommandPackage {
		return hint + server.Bare(command.Ref)
	}
	return hint + "-- " + audit.Command(shown...)
}
