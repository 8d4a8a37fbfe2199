package plan

import (
	"fmt"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// Problem is one reason why a policy cannot be enforced on a machine.
type Problem struct {
	At   string `json:"at,omitempty"` // file:line:col
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // something to do, or a command to paste
	// Grant is the right that solves the problem. If Hint is set too, it is the
	// alternative.
	Grant *audit.Grant `json:"grant,omitempty"`
	// Refused is set if policy forbids the request.
	Refused bool `json:"refused,omitempty"`
	// Lack is set if the machine lacks a layer, as opposed to a profile that asks for
	// something absent.
	Lack policy.Layer `json:"lack,omitempty"`
}

// Advice tells a person how to solve the problem, with lines to paste; "" if there is
// no advice.
func (p Problem) Advice() string {
	switch {
	case p.Grant == nil:
		return p.Hint
	case p.Hint == "":
		return p.Grant.TOML()
	}
	return p.Hint + ", or\n" + p.Grant.TOML()
}

// Problems is every reason why a policy does not compile to a plan.
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

// Lack reports whether the machine's lack of a layer is among the problems.
func (ps Problems) Lack() bool {
	for _, p := range ps {
		if p.Lack != "" {
			return true
		}
	}
	return false
}

// Refused reports whether policy forbids part of the request.
func (ps Problems) Refused() bool {
	for _, p := range ps {
		if p.Refused {
			return true
		}
	}
	return false
}

// Compile computes the plan that is enforced when the program runs under the policy on
// the host. It returns Problems if the host cannot enforce something that the policy
// requires. A protection that is missing but not required goes into the plan's Gaps.
func Compile(pol policy.Policy, prog Program, h Host) (Plan, error) {
	c := compiler{pol: pol, prog: prog, host: h}
	c.plan = Plan{
		Version: Version,
		Name:    pol.Name,
		Sources: pol.Sources,
		Runtime: h.Runtime,
		Tools:   Tools{Tools: pol.Tools, Prompts: pol.Prompts, Resources: pol.Resources, Client: pol.Client, Given: pol.Given},
		Relay:   relay(pol.Wire),
		Without: pol.Require.Without,
		Log:     Log{Arguments: pol.Log.Arguments, Stop: pol.Log.OnError == "stop"},
	}
	c.layers()
	c.bounds()
	c.secrets()
	c.root()
	c.process()
	c.network()
	c.mediate()
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

// compiler holds the state of one compilation.
type compiler struct {
	pol      policy.Policy
	prog     Program
	host     Host
	steps    []step // of the root, until settle puts them into the plan
	plan     Plan
	problems Problems
}

// roots are the folders for which the profile has words, such as ${workspace}.
func (c *compiler) roots() audit.Roots { return roots(c.pol.Given) }

// Roots are the folders for which the profile has words, such as ${workspace}.
func (p Plan) Roots() audit.Roots { return roots(p.Tools.Given) }

func roots(given []policy.Given) audit.Roots {
	value := func(name string) string {
		for _, g := range given {
			if g.Name == name && len(g.Values) == 1 {
				return g.Values[0]
			}
		}
		return ""
	}
	return audit.Roots{Workspace: value("workspace"), State: value("state"), Home: value("home")}
}

func (c *compiler) problem(p Problem) { c.problems = append(c.problems, p) }

func (c *compiler) gap(l policy.Layer, want, have, why string) {
	c.plan.Gaps = append(c.plan.Gaps, Gap{Layer: l, Want: want, Have: have, Why: why, Required: c.requires(l)})
}

// note adds a gap that is never an error, because another layer covers it.
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

// layers decides which layers the plan enforces. It includes a layer for which the
// probe has no answer: the start itself fails if the layer turns out to be missing.
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

// seccomp selects the filter.
func (c *compiler) seccomp() {
	if !c.plan.Holds(policy.LayerSeccomp) {
		return
	}
	c.plan.Seccomp = Seccomp{
		On:      true,
		Notify:  c.host.Notify.Is == Yes,
		Opens:   c.pol.Log.Files && c.host.Notify.Is == Yes,
		Alone:   !c.plan.Holds(policy.LayerNamespaces),
		Mediate: c.plan.Holds(policy.LayerMediation),
	}
	if s := &c.plan.Seccomp; c.host.Desk != nil && s.Notify && !s.Alone && !s.Mediate {
		s.Opens, s.Trace = true, true
	}
	if !c.plan.Seccomp.Notify {
		c.note(policy.LayerSeccomp, "refused system calls in the log", "refused, but not logged", c.host.Notify.Why)
	}
	if c.pol.Log.Files && !c.plan.Seccomp.Opens {
		c.note(policy.LayerSeccomp, "refused files in the log (log.files)", "not logged", c.host.Notify.Why)
	}
}

// at formats a position for the plan; the zero position is "".
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

func relay(w policy.Wire) Relay {
	return Relay{
		MaxLine: int64(w.MaxLine),
		Finish:  w.Finish.Milliseconds(),
		Grace:   w.Grace.Milliseconds(),
		Rush:    w.Rush.Milliseconds(),
	}
}
