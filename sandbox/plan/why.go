package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// Question asks what a server may do with one subject: a path, a host, a variable or a
// tool. A host without a port and a tool of the same text are one question.
type Question struct {
	Path string // absolute and clean
	// Facts describes Path and each directory above it, as host.Look finds them.
	Facts    map[string]PathFact
	Host     string // a name in lower case without a trailing dot, or an address
	Port     uint16 // of Host; 0 asks whether the name is looked up
	Variable string // of the environment
	Tool     string
	Table    string // of Tool: "tools", "prompts" or "resources"; "" is tools
	// Listed are the states of the definitions of Tool that sessions kept: "seen",
	// "waiting", "approved" and "rejected". With none, no session listed it.
	Listed []string
}

// Answer is the plan's answer to a Question.
type Answer struct {
	Kind      string     `json:"kind"`    // "path", "host", "name", "variable", "tool", "prompt" or "resource"
	Subject   string     `json:"subject"` // of the question
	Decisions []Decision `json:"verdicts"`
	// Unknown lists further conditions that are known only while the server runs.
	Unknown []string `json:"unknown,omitempty"`
}

// Decision says whether the server may do one thing. The zero value refuses.
type Decision struct {
	Do      string `json:"do"` // "read", "write", "connect", "look up", "get" or "call"
	Allowed bool   `json:"allowed"`
	Rule    string `json:"rule,omitempty"` // file:line:col of the deciding line; "" if no line decides
	Why     string `json:"why"`
	// Grant is the right that would allow it: a plan with it does.
	Grant *audit.Grant `json:"grant,omitempty"`
	Never string       `json:"never,omitempty"` // why no grant would allow it
	Hint  string       `json:"hint,omitempty"`  // what would allow it without a grant, to be pasted
}

// Case is the input of Compile.
type Case struct {
	Policy  policy.Policy
	Program Program
	Host    Host
}

// Why answers a question about the plan of a case. Like Compile, it is pure. It
// compiles the case with each grant that it names, to prove that the grant suffices.
// The error is Compile's.
func Why(c Case, q Question) (Answer, error) {
	c.Host.Paths = maps.Clone(c.Host.Paths)
	if c.Host.Paths == nil {
		c.Host.Paths = map[string]PathFact{}
	}
	for p, f := range q.Facts {
		if _, known := c.Host.Paths[p]; !known {
			c.Host.Paths[p] = f
		}
	}
	p, err := Compile(c.Policy, c.Program, c.Host)
	if err != nil {
		return Answer{}, err
	}
	w := inquiry{Case: c, plan: p, q: q}
	switch {
	case q.Path != "":
		return w.path(), nil
	case q.Host != "" && q.Port != 0:
		return w.host(), nil
	case q.Host != "":
		return w.name(), nil
	case q.Variable != "":
		return w.variable(), nil
	}
	return w.tool(), nil
}

// inquiry is the state of one question.
type inquiry struct {
	Case
	plan Plan
	q    Question
}

// try adds the grant to the decision if a plan with the additional right allows the
// action.
func (w inquiry) try(v Decision, g *audit.Grant, add func(*policy.Policy)) Decision {
	if g == nil {
		v.Never = "no profile can spell it"
		return v
	}
	wider := w
	add(&wider.Policy)
	var err error
	if wider.plan, err = Compile(wider.Policy, wider.Program, wider.Host); err != nil {
		v.Never, _, _ = strings.Cut(err.Error(), "\n")
		v.Never = strings.TrimPrefix(v.Never, added.String()+": ")
		return v
	}
	if got := wider.decision(v.Do); !got.Allowed {
		v.Never = got.Why
		return v
	}
	v.Grant = g
	return v
}

// added is the position of a right that is only tried.
var added = policy.Pos{File: "the grant", Line: 1, Col: 1}

// decision judges one action, without a grant.
func (w inquiry) decision(do string) Decision {
	switch {
	case do == "look up":
		return w.lookUp()
	case do == "get":
		return w.get()
	case w.q.Host != "" && do == "connect":
		return w.connect()
	case w.q.Path == "":
		return w.call()
	case do == "connect":
		return w.join()
	case do == "write":
		return w.write()
	}
	return w.read()
}

// path answers a question about a path.
func (w inquiry) path() Answer {
	a := Answer{Kind: "path", Subject: w.q.Path}
	spot := w.spot()
	if spot.fact.Socket {
		a.Decisions = []Decision{w.allowSocket(w.join())}
		return a
	}
	a.Decisions = []Decision{w.allowPath(w.read()), w.allowPath(w.write())}
	read, write := a.Decisions[0].Allowed, a.Decisions[1].Allowed
	if spot.fact.Err != "" {
		a.Unknown = append(a.Unknown, "what is there: "+spot.fact.Err)
	}
	if !spot.fact.Exists && spot.fact.Err == "" {
		a.Unknown = append(a.Unknown, "what will be there: now nothing is, and a symlink that somebody makes on the way leads elsewhere")
	}
	if read {
		a.Unknown = append(a.Unknown, "where symlinks lead when the server opens it; the place that they lead to decides, and so do the file's own permissions")
	}
	if write && w.plan.Seccomp.Mediate && w.ground(spot.real).At != "" {
		a.Unknown = append(a.Unknown, "what the folder holds at the start: what a protected place leads to, a repository by another name and an environment are kept, too")
	}
	return a
}

// spot is the target of a path, by the known facts.
type spot struct {
	real  string // without symlinks, as far as it exists
	links []Link // on the way
	fact  PathFact
}

func (w inquiry) spot() spot {
	s := spot{real: w.q.Path, fact: w.Host.Paths[w.q.Path]}
	for dir, rest := w.q.Path, ""; ; dir, rest = path.Dir(dir), path.Join(path.Base(dir), rest) {
		if f := w.Host.Paths[dir]; f.Exists {
			s.real, s.links = path.Join(f.Real, rest), f.Links
			return s
		}
		if dir == "/" {
			return s
		}
	}
}

// ground is the innermost mount that holds a path inside; the zero Mount if none does.
func (w inquiry) ground(p string) Mount {
	var in Mount
	for _, m := range w.plan.Root {
		if m.Target == p || m.Kind != MountSymlink && under(p, m.Target) && m.Target != "/" {
			if len(m.Target) >= len(in.Target) {
				in = m
			}
		}
	}
	return in
}

// absentLink is a symlink on the way that does not exist inside; "" if there is none.
func (w inquiry) absentLink(links []Link) string {
	for _, l := range links {
		if m := w.ground(l.Path); m.Kind != MountSymlink && m.Kind != MountBind {
			return l.Path
		}
	}
	return ""
}

// read judges reading. Writing requires it.
func (w inquiry) read() Decision {
	v, s := Decision{Do: "read"}, w.spot()
	if d, ok := w.denied(s.real); ok {
		v.Rule, v.Why, v.Never = d, "denied, which wins over every rule", "take it out of filesystem.deny"
		return v
	}
	if l := w.absentLink(s.links); l != "" {
		v.Why = fmt.Sprintf("the way leads through the symlink %q, which no rule names", l)
		return v
	}
	switch m := w.ground(s.real); m.Kind {
	case MountBind, MountDevice, MountCopy:
		v.Allowed, v.Rule, v.Why = true, m.At, m.Why
	case MountMask:
		v.Rule, v.Why, v.Never = m.At, m.Why, "take it out of filesystem.deny"
	case "", MountSymlink:
		v.Rule, v.Why = w.undeclared()
	default:
		v.Why = fmt.Sprintf("the server has its own %q (%s), and sees nothing of the host's there", m.Target, m.Why)
	}
	return v
}

// write judges changing.
func (w inquiry) write() Decision {
	v, s := w.read(), w.spot()
	v.Do = "write"
	m := w.ground(s.real)
	if !v.Allowed {
		return v
	}
	v.Allowed, v.Rule = false, m.At
	held := ProtectedPlace{Place: m.Target, Why: m.Why}
	standing := Elsewhere
	switch {
	case m.Kind == MountDevice:
		v.Allowed, v.Why = true, m.Why
		return v
	case m.Kind != MountBind:
	case m.Protected:
		standing = Kept
	case w.plan.Seccomp.Mediate:
		standing, held = NewJudge(w.plan.Writes).At(s.real, NewKnown(w.plan.Writes.Led))
	case m.Writable:
		standing = Changing
	}
	if !m.Writable && standing != Kept {
		standing = Elsewhere // the mediator may allow it, the read-only mount does not
	}
	switch standing {
	case Kept:
		v.Why = fmt.Sprintf("%s, in %q, and stays as it is", held.Why, held.Place)
	case Changing, Free:
		v.Allowed, v.Why = true, "declared"
		if _, single := NewJudge(w.plan.Writes).Single(s.real); single {
			v.Why = "declared as one file: it is changed in place, and neither replaced nor removed"
		}
	default:
		v.Why = "it is there to be read alone: " + m.Why
	}
	return v
}

// denied returns the position of the line that denies a path, by its name or by its
// target.
func (w inquiry) denied(real string) (string, bool) {
	for _, d := range w.Policy.Filesystem.Deny {
		place := d.Path
		if f := w.Host.Paths[d.Path]; f.Exists {
			place = f.Real
		}
		for _, p := range []string{w.q.Path, real} {
			if under(p, d.Path) || under(p, place) {
				return at(d.At), true
			}
		}
	}
	return "", false
}

// undeclared says why no mount holds the path, and which rule would have covered it.
func (w inquiry) undeclared() (rule, why string) {
	for _, r := range slices.Concat(w.Policy.Filesystem.Read, w.Policy.Filesystem.Write) {
		if r.Optional && under(w.q.Path, r.Path) && !w.Host.Paths[r.Path].Exists {
			return at(r.At), fmt.Sprintf("%q may be absent, and is: only what is there at the start is shown", r.Path)
		}
	}
	if w.plan.Holds(policy.LayerNamespaces) {
		return "", "no rule declares it: nothing of it is there inside"
	}
	return "", "no rule declares it: it cannot be opened"
}

// allowPath adds the grant that would allow access to the path.
func (w inquiry) allowPath(v Decision) Decision {
	s := w.spot()
	switch {
	case v.Allowed || v.Never != "":
		return v
	case !s.fact.Exists && s.fact.Err == "" && w.ground(s.real).Kind != MountBind:
		v.Never = "it does not exist, and a rule shows what is there at the start: make it, and ask again"
		return v
	}
	key, p := v.Do, w.q.Path
	if m := w.ground(s.real); v.Do == "write" && m.Kind == MountBind {
		j := NewJudge(w.plan.Writes)
		if st, held := j.At(s.real, NewKnown(w.plan.Writes.Led)); st == Kept {
			key, p = "unprotect", held.Place
		} else if m.Protected {
			key, p = "unprotect", m.Target
		}
	}
	if key == "write" && !s.fact.Exists && s.fact.Err == "" {
		v.Never = "it does not exist, and a rule shows what is there at the start: name the folder that it is to be in"
		return v
	}
	return w.try(v, w.plan.Roots().AllowPath(key, p), func(pol *policy.Policy) {
		lists := map[string]*[]policy.Path{"read": &pol.Filesystem.Read, "write": &pol.Filesystem.Write, "unprotect": &pol.Filesystem.Unprotect}
		*lists[key] = slices.Concat(*lists[key], []policy.Path{{Path: p, At: added}})
	})
}

// join judges the connection to a unix socket of the host.
func (w inquiry) join() Decision {
	v, s := Decision{Do: "connect", Why: "no rule names this socket"}, w.spot()
	for _, have := range w.plan.Network.Sockets {
		if have.Path == w.q.Path || have.Real != "" && have.Real == s.real {
			v.Allowed, v.Rule, v.Why = true, at(have.At), "declared"
			if have.Override != "" {
				v.Why = "declared, though whoever may talk to this socket is the host itself"
			}
		}
	}
	return v
}

func (w inquiry) allowSocket(v Decision) Decision {
	if v.Allowed {
		return v
	}
	g, insists := w.plan.Roots().AllowSocket(w.q.Path), ""
	for _, p := range []string{w.q.Path, w.spot().real} {
		if why, bad := policy.HostSocket(p); bad && insists == "" {
			g, insists = g.With("path", "override", policy.Override), policy.Override
			v.Why += ", and " + why
		}
	}
	return w.try(v, g, func(pol *policy.Policy) {
		pol.Sockets = slices.Concat(pol.Sockets, []policy.Socket{{Path: w.q.Path, Override: insists, At: added}})
	})
}

// host answers a question about a host and a port.
func (w inquiry) host() Answer {
	subject := netHost(w.q.Host, w.q.Port)
	a := Answer{Kind: "host", Subject: subject}
	v := w.connect()
	if !v.Allowed && v.Never == "" {
		v = w.allowHost(v, subject)
	}
	a.Decisions = []Decision{v}
	_, err := netip.ParseAddr(w.q.Host)
	switch {
	case loopback(w.q.Host):
	case len(w.plan.Network.Proxies.Both()) > 0:
		a.Unknown = append(a.Unknown, "which way the connection takes: where a proxy leads there, it looks names up and decides what they mean")
	case err != nil && v.Allowed:
		a.Unknown = append(a.Unknown, "which addresses the name has when the server asks: this machine's own and metadata services are refused whatever the rule, and so are private ones unless it says private = true")
	case err == nil && v.Allowed:
		a.Unknown = append(a.Unknown, "whether the address is this machine's own, or its network's, when the server asks: the first is refused whatever the rule")
	case err == nil && v.Never == "":
		a.Unknown = append(a.Unknown, "which names lead to the address: by one that a rule names it can be reached, if it is public")
	}
	return a
}

// allowHost adds the grant that would allow the connection.
func (w inquiry) allowHost(v Decision, subject string) Decision {
	if loopback(w.q.Host) {
		subject = netHost("localhost", w.q.Port)
	}
	h, err := policy.ParseHost(subject)
	if err != nil {
		v.Never = err.Error()
		return v
	}
	h.At = added
	return w.try(v, audit.AllowHost(subject), func(pol *policy.Policy) {
		pol.Network.Allow = slices.Concat(pol.Network.Allow, []policy.Host{h})
	})
}

func netHost(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// connect judges a connection.
func (w inquiry) connect() Decision {
	v := Decision{Do: "connect"}
	addr, err := netip.ParseAddr(w.q.Host)
	switch {
	case !w.plan.Holds(policy.LayerNamespaces):
		v.Why = "without namespaces a server has no network at all"
		v.Never = v.Why
		return v
	case loopback(w.q.Host):
		return w.local(v)
	case err == nil:
		return w.address(v, addr)
	}
	var other, long []policy.Host
	for _, h := range w.plan.Network.Hosts {
		named, tooLong := h.Names(w.q.Host)
		switch {
		case named && h.First <= w.q.Port && w.q.Port <= h.Last:
			return allowedBy(v, h, w.q.Port)
		case named:
			other = append(other, h)
		case tooLong:
			long = append(long, h)
		}
	}
	switch {
	case len(other) > 0:
		return otherPort(v, other[0])
	case len(long) > 0:
		v.Rule, v.Why = at(long[0].At), fmt.Sprintf("too long, or of too many labels, for the wildcard of %v", long[0])
	default:
		v.Why = "no rule names this host: its name is not looked up"
	}
	return v
}

// allowedBy is the decision of a rule, and the TLS that it demands on the port.
func allowedBy(v Decision, h policy.Host, port uint16) Decision {
	v.Allowed, v.Rule, v.Why = true, at(h.At), h.String()
	switch {
	case h.Demanded(port):
		v.Why += ", and nothing but TLS with this name"
	case h.Checked(port):
		v.Why += ", and TLS with no other name"
	}
	return v
}

func otherPort(v Decision, h policy.Host) Decision {
	v.Rule, v.Why = at(h.At), fmt.Sprintf("the rule %v names another port", h)
	return v
}

// local judges a connection to a loopback address.
func (w inquiry) local(v Decision) Decision {
	usual := slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, w.q.Host)
	for _, h := range w.plan.Network.Hosts {
		if usual && h.Kind == policy.HostLocal && h.First <= w.q.Port && w.q.Port <= h.Last {
			v.Allowed, v.Rule, v.Why = true, at(h.At), h.String()+", this machine's own loopback"
			return v
		}
	}
	v.Why = "the loopback inside is the server's own: nothing of this machine's listens there"
	if !usual {
		v.Never = "only localhost:PORT leads to this machine's loopback"
	}
	return v
}

// address judges a connection to an address that was not resolved from a name.
func (w inquiry) address(v Decision, a netip.Addr) Decision {
	is := policy.ClassifyAddress(a)
	var other []policy.Host
	for _, h := range w.plan.Network.Hosts {
		p, err := netip.ParsePrefix(h.Name)
		switch {
		case h.Kind != policy.HostCIDR || err != nil || !p.Contains(a):
		case h.First > w.q.Port || w.q.Port > h.Last:
			other = append(other, h)
		case is == policy.AddressPublic, is == policy.AddressPrivate && (h.Private || policy.PrivateNetwork(p)):
			return allowedBy(v, h, w.q.Port)
		default:
			v.Rule = at(h.At) // it names the address, and does not reach it
		}
	}
	switch {
	case is != policy.AddressPublic && is != policy.AddressPrivate:
		v.Why = fmt.Sprintf("it is %s, which no rule reaches", is)
		v.Never = "no rule reaches it"
	case v.Rule != "":
		v.Why = fmt.Sprintf("it is %s, in a network that is not such as a whole", is)
	case len(other) > 0:
		return otherPort(v, other[0])
	default:
		v.Why = "no rule names this address"
	}
	return v
}

// name answers a question about a name without a port, and about a tool of that name.
func (w inquiry) name() Answer {
	a := Answer{Kind: "name", Subject: w.q.Host}
	v := w.lookUp()
	if !v.Allowed && v.Never == "" {
		if h, err := policy.ParseHost(netHost(w.q.Host, httpsPort)); err != nil {
			v.Never = err.Error()
		} else {
			h.At = added
			v = w.try(v, audit.AllowName(w.q.Host), func(pol *policy.Policy) {
				pol.Network.Allow = slices.Concat(pol.Network.Allow, []policy.Host{h})
			})
		}
	}
	a.Decisions = []Decision{v}
	if w.q.Tool != "" {
		tool := w.tool()
		a.Decisions, a.Unknown = append(a.Decisions, tool.Decisions...), tool.Unknown
	}
	return a
}

// httpsPort stands for any port, where a name is asked for without one.
const httpsPort = 443

// lookUp judges the question for a name's addresses.
func (w inquiry) lookUp() Decision {
	v := Decision{Do: "look up"}
	if !w.plan.Holds(policy.LayerNamespaces) {
		v.Why = "without namespaces a server has no network at all"
		v.Never = v.Why
		return v
	}
	var long []policy.Host
	for _, h := range w.plan.Network.Hosts {
		named, tooLong := h.Names(w.q.Host)
		switch {
		case named:
			v.Allowed, v.Rule, v.Why = true, at(h.At), h.String()
			return v
		case tooLong:
			long = append(long, h)
		}
	}
	v.Why = "no rule names it"
	if strings.HasSuffix(w.q.Host, ".arpa") {
		v.Never = "names of addresses are not looked up"
	}
	if len(long) > 0 {
		v.Rule, v.Why = at(long[0].At), fmt.Sprintf("too long, or of too many labels, for the wildcard of %v", long[0])
	}
	return v
}

// variable answers a question about a variable of the environment.
func (w inquiry) variable() Answer {
	v := w.get()
	if !v.Allowed {
		v = w.try(v, audit.AllowVariable(w.q.Variable), func(pol *policy.Policy) {
			pol.Env.Pass = slices.Concat(pol.Env.Pass, []policy.EnvName{{Name: w.q.Variable, At: added}})
		})
	}
	a := Answer{Kind: "variable", Subject: w.q.Variable, Decisions: []Decision{v}}
	if v.Why == passedOn {
		a.Unknown = []string{"whether it is set where the server is started from"}
	}
	return a
}

const passedOn = "passed on"

// get judges whether the server has a variable.
func (w inquiry) get() Decision {
	v := Decision{Do: "get", Why: "no line passes or sets it"}
	for _, e := range w.Policy.Env.Pass {
		if e.Name == w.q.Variable {
			v.Allowed, v.Rule, v.Why = true, at(e.At), passedOn
		}
	}
	for _, e := range w.plan.Process.Env {
		if e.Name == w.q.Variable {
			v.Allowed, v.Rule, v.Why = true, e.At, "set"
		}
	}
	for _, e := range w.plan.Process.Secrets {
		if e.Name == w.q.Variable {
			v.Allowed, v.Rule, v.Why = true, e.At, "a secret, from "+e.From
		}
	}
	return v
}

// tool answers a question about a tool.
func (w inquiry) tool() Answer {
	table, kind := cmp.Or(w.q.Table, "tools"), strings.TrimSuffix(cmp.Or(w.q.Table, "tools"), "s")
	a := Answer{Kind: kind, Subject: w.q.Tool}
	if len(w.q.Listed) == 0 {
		a.Unknown = []string{"whether the server has a " + kind + " of this name"}
	}
	v := w.call()
	if !v.Allowed && v.Never == "" {
		v = w.try(v, audit.AllowNamed(table, w.q.Tool), func(pol *policy.Policy) {
			f := map[string]*policy.Filter{"tools": &pol.Tools.Filter, "prompts": &pol.Prompts, "resources": &pol.Resources}[table]
			f.Allow, f.Nothing = slices.Concat(f.Allow, []policy.Glob{{Pattern: w.q.Tool, At: added}}), policy.Pos{}
		})
	}
	if pins := w.plan.Tools.Pins; v.Allowed && pins != policy.PinOff && pins != policy.PinWarn {
		w.reviewed(&a, &v)
	}
	if len(w.q.Listed) > 0 {
		v.Why += "; a session listed it"
	}
	a.Decisions = []Decision{v}
	return a
}

// reviewed judges the definition of a tool whose calls no list refuses.
func (w inquiry) reviewed(a *Answer, v *Decision) {
	pins, review := w.plan.Tools.Pins, "mcpen review "+w.plan.Name
	has := func(state string) bool { return slices.Contains(w.q.Listed, state) }
	trusted := has("approved") || has("seen") && pins != policy.PinEnforce
	switch {
	case len(w.q.Listed) == 0:
		a.Unknown = append(a.Unknown, fmt.Sprintf("whether its definition waits for a review (pins = %q)", pins))
	case trusted && has("waiting"):
		a.Unknown = append(a.Unknown, "whether the server still has the definition that is trusted: another one waits ("+review+")")
	case trusted:
	case has("rejected") && !has("waiting") && !has("seen"):
		v.Allowed, v.Why, v.Hint = false, "a person rejected its definition", review
	default:
		v.Allowed, v.Why, v.Hint = false, fmt.Sprintf("its definition waits for a review (pins = %q)", pins), review
	}
}

// call judges the call of a tool.
func (w inquiry) call() Decision {
	v := Decision{Do: "call"}
	table := cmp.Or(w.q.Table, "tools")
	filter := map[string]policy.Filter{"tools": w.plan.Tools.Filter, "prompts": w.plan.Tools.Prompts, "resources": w.plan.Tools.Resources}[table]
	at, deny, hidden := filter.Hides(w.q.Tool)
	switch {
	case deny != "":
		v.Rule, v.Why, v.Never = at.String(), fmt.Sprintf("%s.deny has %q, which wins", table, deny), fmt.Sprintf("take %q out of %s.deny", deny, table)
		return v
	case hidden:
		v.Rule, v.Why = at.String(), table+".allow has no pattern that matches it"
		return v
	}
	v.Allowed, v.Why = true, "no list of "+table+" says otherwise"
	for _, g := range filter.Allow {
		if policy.Match(g.Pattern, w.q.Tool) {
			v.Rule, v.Why = g.At.String(), fmt.Sprintf("%s.allow has %q", table, g.Pattern)
			break
		}
	}
	if table != "tools" {
		return v
	}
	for _, r := range w.plan.Tools.Rules {
		if policy.Match(r.Tool, w.q.Tool) {
			v.Why += fmt.Sprintf("; its calls are bounded at %v", r.At)
		}
	}
	return v
}
