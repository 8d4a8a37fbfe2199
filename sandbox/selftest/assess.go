package selftest

import (
	"fmt"
	"slices"

	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// assessor interprets the answers to a plan's attacks.
type assessor struct {
	plan plan.Plan
	here []string // this machine's addresses
}

// group assesses the attacks of one group.
func (j assessor) group(g probe.Group, outside map[string]twin, inside map[string]probe.Result) Group {
	out := Group{Name: g.Name, About: g.About}
	for _, p := range g.Probes {
		r, ran := inside[p.ID]
		if !ran {
			r = probe.Result{ID: p.ID, OK: true, Detail: "nothing is known of it"}
		}
		out.Attacks = append(out.Attacks, j.attack(p, outside[p.ID], r))
	}
	out.State = stateOf(out.Attacks)
	return out
}

// stateOf is that of a group: one attack that worked is enough, and one that was
// proved not to.
func stateOf(attacks []Attacked) State {
	state := Unproved
	for _, a := range attacks {
		switch {
		case a.State == NotHeld:
			return NotHeld
		case a.State == Held:
			state = Held
		}
	}
	return state
}

// attack assesses one attack. If it works inside it is not held, whatever it does
// outside.
func (j assessor) attack(p probe.Probe, out twin, in probe.Result) Attacked {
	a := Attacked{ID: p.ID, How: p.How, Loss: p.Loss, Outside: answer(out.Result), Inside: answer(in), State: Unproved}
	if out.why != "" {
		a.Outside = ""
	}
	want := j.want(p)
	switch {
	case in.OK && !j.ownAddress(p.ID, in):
		a.State, a.Detail = NotHeld, in.Detail
		a.Why, a.Layers = j.gone(p), p.By.String()
	case out.why != "":
		a.Why, a.Detail = out.why, out.Detail
	case !out.OK && p.Absent != "" && out.Refused(p.Absent):
		a.Why = WhyAbsent
	case !out.OK:
		a.Why, a.Detail = WhyOutside, out.Detail
	case p.ID != daemonID && !in.OK && !in.Refused(want):
		a.Why, a.Detail = WhyAnswer, fmt.Sprintf("want %s: %s", want, in.Detail)
	default:
		a.State = Held
	}
	return a
}

// want is the expected answer to an attack under this plan. If the plan allows any
// host, every address leads to mcpen, which resets connections that no rule names.
func (j assessor) want(p probe.Probe) string {
	if p.ID == "tcp-metadata" && len(j.plan.Network.Hosts) > 0 {
		return p.Want + "|ECONNRESET"
	}
	return p.Want
}

// ownAddress reports whether a found address is the sandbox's own: a sandbox with a
// network has an interface.
func (j assessor) ownAddress(id string, in probe.Result) bool {
	return (id == "interfaces" || id == "node-interfaces") && len(j.plan.Network.Hosts) > 0 && in.Detail != "" && !slices.Contains(j.here, in.Detail)
}

// gone says of an attack that worked which layer that should hold it is off.
func (j assessor) gone(p probe.Probe) Why {
	for _, l := range []struct {
		on   probe.Layers
		name policy.Layer
	}{{probe.Namespaces, policy.LayerNamespaces}, {probe.Seccomp, policy.LayerSeccomp}, {probe.Landlock, policy.LayerLandlock}, {probe.Mediation, policy.LayerMediation}} {
		if p.By&l.on != 0 && !j.plan.Holds(l.name) {
			return Why(fmt.Sprintf("the layer %s is off", l.name))
		}
	}
	return WhyHole
}

// answer is the outcome of an attack in a word.
func answer(r probe.Result) string {
	switch {
	case r.OK:
		return "works"
	case r.Errno == probe.Held:
		return "found nothing"
	}
	return r.Errno
}
