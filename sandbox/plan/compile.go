package plan

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"mcpen/sandbox/policy"
)

// Problem is one reason for which a policy cannot be carried out on a machine.
type Problem struct {
	At   string `json:"at,omitempty"` // file:line:col
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // something to paste
	// Lack is set where the machine lacks a layer, rather than the profile
	// asking for something that is not there.
	Lack policy.Layer `json:"lack,omitempty"`
}

// Problems is everything that stands between a policy and its plan.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Text
		if p.At != "" {
			lines[i] = p.At + ": " + p.Text
		}
	}
	return strings.Join(lines, "\n")
}

// Lack reports whether a machine's lack is among the problems.
func (ps Problems) Lack() bool {
	for _, p := range ps {
		if p.Lack != "" {
			return true
		}
	}
	return false
}

// Ask is a path whose facts Compile needs.
type Ask struct {
	Path     string
	Writable bool // the protected places below it are wanted too
}

// Asks lists the paths of which Compile(pol, prog, h) will read h.Paths. own are
// the directories that mcpen keeps its own files in: h.State, h.Config and
// h.Runtime. Where one of them is reached through a symlink and is left out
// here, it is refused by its name only.
//
// Whoever answers adds a fact for every place that is in the Below of another,
// by its full path.
func Asks(pol policy.Policy, prog Program, home string, own ...string) []Ask {
	var asks []Ask
	ask := func(paths ...string) {
		for _, p := range paths {
			asks = append(asks, Ask{Path: p})
		}
	}
	for _, s := range system {
		ask(s.path)
	}
	for _, dir := range append([]string{home}, own...) {
		if path.IsAbs(dir) {
			ask(upwards(dir)...)
		}
	}
	if path.IsAbs(prog.Path) {
		ask(prog.Path)
	}
	for _, n := range prog.Needs {
		ask(n.Path)
	}
	if pol.Server.Dir != "" {
		ask(pol.Server.Dir)
	}
	for _, r := range pol.Filesystem.Read {
		ask(r.Path)
	}
	for _, r := range pol.Filesystem.Write {
		asks = append(asks, Ask{Path: r.Path, Writable: true})
		for _, second := range seconds("") {
			ask(path.Join(r.Path, second))
		}
	}
	for _, r := range pol.Filesystem.Deny {
		ask(upwards(r.Path)...)
	}
	for _, r := range pol.Filesystem.Unprotect {
		ask(upwards(path.Dir(r.Path))...)
	}
	for _, s := range pol.Sockets {
		ask(s.Path)
		ask(upwards(path.Dir(s.Path))...)
	}
	return asks
}

// upwards lists a path and what it lies in: the deepest that exists tells what
// the path is once it does, too.
func upwards(p string) []string {
	var out []string
	for p = path.Clean(p); p != "/" && p != "."; p = path.Dir(p) {
		out = append(out, p)
	}
	return out
}

// EnvNames lists the variables of mcpen's own environment that the policy
// passes on: what h.Env should hold where they are set.
func EnvNames(pol policy.Policy) []string {
	names := make([]string, len(pol.Env.Pass))
	for i, e := range pol.Env.Pass {
		names[i] = e.Name
	}
	return names
}

// Compile says what is enforced when the program runs under the policy on the
// host. It returns Problems when something the policy requires cannot be had;
// what is merely missing is in the plan's Gaps.
func Compile(pol policy.Policy, prog Program, h Host) (Plan, error) {
	c := compiler{pol: pol, prog: prog, host: h}
	c.plan = Plan{
		Version: Version,
		Name:    pol.Name,
		Sources: pol.Sources,
		Runtime: h.Runtime,
		Tools:   Tools{Tools: pol.Tools, Prompts: pol.Prompts, Resources: pol.Resources},
		Relay:   Relay{MaxLine: int64(pol.Wire.MaxLine), Grace: pol.Wire.Grace.Milliseconds()},
		Log:     Log{Arguments: pol.Log.Arguments, Stop: pol.Log.OnError == "stop"},
	}
	c.layers()
	c.root()
	c.process()
	c.network()
	c.landlock()
	c.seccomp()
	c.limits()
	for _, g := range c.plan.Gaps {
		if g.Required {
			c.problem(Problem{At: at(pol.Require.At), Lack: g.Layer,
				Text: fmt.Sprintf("cannot enforce %s: want %s, have %s: %s", g.Layer, g.Want, g.Have, g.Why),
				Hint: "mcpen doctor"})
		}
	}
	if len(c.problems) > 0 {
		return Plan{}, c.problems
	}
	return c.plan, nil
}

// compiler carries one compilation.
type compiler struct {
	pol      policy.Policy
	prog     Program
	host     Host
	steps    []step // of the root, until settle puts them into the plan
	plan     Plan
	problems Problems
}

func (c *compiler) problem(p Problem) { c.problems = append(c.problems, p) }

func (c *compiler) gap(l policy.Layer, want, have, why string) {
	c.plan.Gaps = append(c.plan.Gaps, Gap{Layer: l, Want: want, Have: have, Why: why, Required: c.requires(l)})
}

// note is a gap that is never an error: something that another layer holds.
func (c *compiler) note(l policy.Layer, want, have, why string) {
	c.plan.Gaps = append(c.plan.Gaps, Gap{Layer: l, Want: want, Have: have, Why: why})
}

func (c *compiler) requires(l policy.Layer) bool {
	for _, r := range c.pol.Require.Layers {
		if r == l {
			return true
		}
	}
	return false
}

// layers decides which layers are enforced. A layer that the probe could not
// answer for is planned: the start itself fails where it cannot be had.
func (c *compiler) layers() {
	h := c.host
	if h.Namespaces.Is == No {
		c.gap(policy.LayerNamespaces, "namespaces of its own", "none", h.Namespaces.Why)
	} else if c.requires(policy.LayerNamespaces) {
		c.plan.Layers = append(c.plan.Layers, policy.LayerNamespaces)
	} else {
		c.note(policy.LayerNamespaces, "namespaces of its own", "none", "the profile or the command line does without")
	}
	switch {
	case h.Landlock < 1:
		c.gap(policy.LayerLandlock, "Landlock ABI 1", "no Landlock", "the kernel does not offer it (CONFIG_SECURITY_LANDLOCK, lsm=landlock)")
	case c.requires(policy.LayerLandlock):
		c.plan.Layers = append(c.plan.Layers, policy.LayerLandlock)
	default:
		c.note(policy.LayerLandlock, "Landlock", "none", "the profile or the command line does without")
	}
	switch {
	case h.Seccomp.Is == No:
		c.gap(policy.LayerSeccomp, "a system call filter", "none", h.Seccomp.Why)
	case c.requires(policy.LayerSeccomp):
		c.plan.Layers = append(c.plan.Layers, policy.LayerSeccomp)
	default:
		c.note(policy.LayerSeccomp, "a system call filter", "none", "the profile or the command line does without")
	}
	if !c.plan.Holds(policy.LayerNamespaces) && !(c.plan.Holds(policy.LayerLandlock) && c.plan.Holds(policy.LayerSeccomp)) {
		c.problem(Problem{At: at(c.pol.Require.At), Lack: policy.LayerNamespaces,
			Text: "cannot build a boundary: without namespaces both Landlock and seccomp are needed",
			Hint: "mcpen doctor"})
	}
}

// process fills in what is executed.
func (c *compiler) process() {
	h := c.host
	p := Process{Path: c.prog.Path, Args: c.prog.Args, UID: h.UID, GID: h.GID, Umask: h.Umask, Dir: c.dir()}
	env := map[string]Env{}
	set := func(e Env) { env[e.Name] = e }
	home, tmp := c.home(), "/tmp"
	if c.plan.Scratch != "" {
		home, tmp = c.plan.Scratch, c.plan.Scratch
	}
	set(Env{Name: "HOME", Value: home})
	set(Env{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"})
	set(Env{Name: "USER", Value: c.user()})
	set(Env{Name: "LOGNAME", Value: c.user()})
	set(Env{Name: "TMPDIR", Value: tmp})
	for _, e := range c.prog.Env {
		set(e)
	}
	for _, e := range c.pol.Env.Pass {
		if v, ok := h.Env[e.Name]; ok {
			set(Env{Name: e.Name, Value: v, At: at(e.At)})
		}
	}
	for _, e := range c.pol.Env.Set {
		set(Env{Name: e.Name, Value: e.Value, At: at(e.At)})
	}
	for _, s := range c.pol.Env.Secret {
		delete(env, s.Name)
		p.Secrets = append(p.Secrets, Secret{Name: s.Name, From: s.From, At: at(s.At)})
	}
	for _, e := range env {
		p.Env = append(p.Env, e)
	}
	sort.Slice(p.Env, func(i, j int) bool { return p.Env[i].Name < p.Env[j].Name })
	c.plan.Process = p
}

// dir is the working directory: what the profile says, else the place where
// mcpen was started if a folder was declared that holds it, else the private
// home.
func (c *compiler) dir() string {
	d := c.pol.Server.Dir
	if d == "" {
		if c.host.Cwd != "" && c.declared(c.host.Cwd) {
			return c.host.Cwd
		}
		return c.home()
	}
	f, asked := c.host.Paths[d]
	where := at(c.pol.Server.At)
	for _, deny := range c.denials() {
		if deny.holds(d) || f.Exists && deny.holds(f.Real) {
			c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: it is denied at %v", d, deny.At)})
			return d
		}
	}
	switch {
	case d == c.home() || d == "/tmp":
	case !f.Exists:
		c.problem(absent(d, where, true, asked, f))
	case !f.Dir:
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: it is no directory", d)})
	case !c.visible(f.Real):
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: the profile declares no path that holds it", d),
			Hint: fmt.Sprintf("[filesystem]\nread = [%q]", d)})
	}
	return d
}

// declared reports whether the profile declares a folder that holds p, by its
// name or by what the name leads to, and hides nothing on the way.
func (c *compiler) declared(p string) bool {
	for _, d := range c.denials() {
		if d.holds(p) {
			return false
		}
	}
	for _, r := range append(append([]policy.Path{}, c.pol.Filesystem.Read...), c.pol.Filesystem.Write...) {
		f := c.host.Paths[r.Path]
		if f.Exists && (under(p, r.Path) || under(p, f.Real)) {
			return true
		}
	}
	return false
}

// network says what the egress serves.
func (c *compiler) network() {
	n := Network{Hosts: c.pol.Network.Allow, Sockets: c.pol.Sockets, Ephemeral: Span{First: 60000, Last: 60063}}
	for _, s := range c.pol.Sockets {
		c.socket(s)
	}
	if len(n.Hosts) > 0 {
		n.Ports = spans(n.Hosts)
	}
	if count := ports(n.Ports); count > MaxPorts {
		c.problem(Problem{At: at(n.Hosts[0].At), Text: fmt.Sprintf("cannot listen for connections to %d ports (want %d at most)", count, MaxPorts),
			Hint: "name the ports that the server needs"})
	}
	c.local()
	if !c.plan.Holds(policy.LayerNamespaces) && (len(n.Hosts) > 0 || len(n.Sockets) > 0) {
		c.problem(Problem{Lack: policy.LayerNamespaces, Text: "cannot give the network: without namespaces a server has no network at all",
			Hint: "mcpen doctor"})
	}
	c.plan.Network = n
}

// MaxPorts is how many ports the rules of one profile can name together: the
// egress waits on each of them.
const MaxPorts = 1024

func ports(spans []Span) int {
	n := 0
	for _, s := range spans {
		n += int(s.Last) - int(s.First) + 1
	}
	return n
}

// local refuses a port of the sandbox's own loopback that is wanted twice: by
// the server, to listen on, and for a service of the host.
func (c *compiler) local() {
	for _, l := range c.pol.Network.Listen {
		for _, h := range c.pol.Network.Allow {
			if h.Kind == policy.HostLocal && h.First <= l.Port && l.Port <= h.Last {
				c.problem(Problem{At: at(l.At), Text: fmt.Sprintf("cannot listen on port %d: on the same port the server reaches localhost of the host (%v)", l.Port, h.At)})
			}
		}
	}
}

// socket refuses a socket that is the host itself, by its name or by where the
// name leads.
func (c *compiler) socket(s policy.Socket) {
	f := c.host.Paths[s.Path]
	if f.Exists && !f.Socket {
		c.problem(Problem{At: at(s.At), Text: fmt.Sprintf("cannot connect to %q: it is no socket", s.Path)})
	}
	real := f.Real
	if !f.Exists {
		real = path.Join(c.real(path.Dir(s.Path)), path.Base(s.Path))
	}
	for _, p := range []string{s.Path, real} {
		for _, dir := range []string{c.host.State, c.host.Config, c.host.Runtime} {
			if dir != "" && (under(p, dir) || under(p, c.real(dir))) {
				c.problem(Problem{At: at(s.At), Text: fmt.Sprintf("cannot give the socket %q: mcpen keeps its own files in %q", s.Path, dir)})
				return
			}
		}
		if why, bad := HostSocket(p); bad && s.Override == "" {
			c.problem(Problem{At: at(s.At), Text: fmt.Sprintf("cannot give the socket %q: %s", p, why),
				Hint: fmt.Sprintf("connect = [{ path = %q, override = %q }]", s.Path, policy.Override)})
			return
		}
	}
}

// spans merges the ports of the rules and adds 80 and 443, so that attempts on
// them are seen.
func spans(hosts []policy.Host) []Span {
	all := []Span{{80, 80}, {443, 443}}
	for _, h := range hosts {
		if h.Kind != policy.HostLocal {
			all = append(all, Span{h.First, h.Last})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].First < all[j].First })
	out := all[:1]
	for _, s := range all[1:] {
		last := &out[len(out)-1]
		if int(s.First) <= int(last.Last)+1 {
			last.Last = max(last.Last, s.Last)
			continue
		}
		out = append(out, s)
	}
	return out
}

// seccomp selects the filter.
func (c *compiler) seccomp() {
	if !c.plan.Holds(policy.LayerSeccomp) {
		return
	}
	c.plan.Seccomp = Seccomp{
		On:     true,
		Notify: c.host.Notify.Is == Yes,
		Opens:  c.pol.Log.Files && c.host.Notify.Is == Yes,
		NoInet: !c.plan.Holds(policy.LayerNamespaces),
		NoIPC:  !c.plan.Holds(policy.LayerNamespaces),
	}
	if !c.plan.Seccomp.Notify {
		c.note(policy.LayerSeccomp, "refused system calls in the log", "refused, but not logged", c.host.Notify.Why)
	}
	if c.pol.Log.Files && !c.plan.Seccomp.Opens {
		c.note(policy.LayerSeccomp, "refused files in the log (log.files)", "not logged", c.host.Notify.Why)
	}
}

// at is a position as the plan carries it.
func at(p policy.Pos) string {
	if p == (policy.Pos{}) {
		return ""
	}
	return p.String()
}

// under reports whether p is dir or lies below it.
func under(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
