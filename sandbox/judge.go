package sandbox

import (
	"fmt"
	"slices"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// guardOf makes the guard of one run, meanwhile: the function that it returns
// waits for it. A raw run has none.
func guardOf(p plan.Plan, stdio Stdio) func() (*guard.Guard, error) {
	if stdio.Raw {
		return func() (*guard.Guard, error) { return nil, nil }
	}
	wait := sync.OnceValues(func() (*guard.Guard, error) { return newGuard(p, stdio) })
	go wait()
	return wait
}

func newGuard(p plan.Plan, stdio Stdio) (*guard.Guard, error) {
	var pins definition.Pins
	if stdio.Pins != nil {
		var err error
		if pins, err = stdio.Pins(); err != nil {
			return nil, err
		}
	}
	var secrets []plan.Opaque
	for _, s := range p.Process.Secrets {
		secrets = append(secrets, s.Value)
	}
	g, err := guard.New(guard.Config{Server: p.Name, Tools: p.Tools, Pins: pins, More: stdio.Others, Given: given(p), Saw: stdio.Saw, Secrets: secrets, Args: p.Log.Arguments})
	if err != nil {
		return nil, fmt.Errorf("cannot guard what the server says: %w", err)
	}
	return g, nil
}

// given is what the server is given, by name: parameters, and what is none, with a
// dollar sign. Secrets are not part of it.
func given(p plan.Plan) []policy.Given {
	out := slices.Clone(p.Tools.Given)
	if args := p.Process.Args; len(args) > 1 {
		out = append(out, policy.Given{Name: "$@", Values: args[1:]})
	}
	for _, e := range p.Process.Env {
		if e.At != "" && e.Value != "" { // the profile's
			out = append(out, policy.Given{Name: "$" + e.Name, Values: []string{e.Value}})
		}
	}
	return out
}

// inFlight is the request that is being answered, where there is a relay.
func (b *Box) inFlight() *audit.Request {
	if b.carrier.relay.Load() == nil {
		return nil // behind it the guard is there
	}
	return b.guard.Requests().Newest()
}

// inspect asks the guard about one line.
func (b *Box) inspect(from relay.Side, line []byte, m rpc.Message) relay.Verdict {
	var v guard.Verdict
	if from == relay.Client {
		b.changed.ask()
		v = b.guard.ClientMessage(line, m)
	} else {
		v = b.guard.ServerMessage(line, m)
	}
	b.tellAll(v.Tell)
	if v.Later != nil {
		b.later(line, v.Later)
	}
	return relay.Verdict{Forward: v.Forward, Reply: v.Reply, ToClient: v.ToClient, Events: v.Events}
}

// Pins is what was approved together with what the server said in this run, as
// seen. It is empty for a raw run.
func (b *Box) Pins() definition.Pins {
	if b.guard == nil {
		return definition.Pins{}
	}
	return b.guard.Pins()
}

// Reload takes new pins, as after a review, and has the client ask again.
func (b *Box) Reload(p definition.Pins) error {
	if b.guard == nil {
		return nil
	}
	lines, err := b.guard.Reload(p)
	if err != nil {
		return err
	}
	if r := b.carrier.relay.Load(); r != nil {
		r.Tell(lines...)
	}
	return nil
}

// tell says one event to the person at the terminal.
func (b *Box) tell(e audit.Event) {
	b.say(b.plan.Name + ": refused: " + audit.Visible(e.Subject) + ": " + audit.Visible(e.Detail))
	if advice := b.advised(e).Advice(); advice != "" {
		b.say("hint: " + audit.Visible(advice))
	}
}

// tellAll says sentences of the guard's to the person at the terminal.
func (b *Box) tellAll(sentences []string) {
	for _, t := range sentences {
		b.say(b.plan.Name + ": " + t)
	}
}

// say writes a line of mcpen's own to stderr. Behind the relay it never waits
// for whoever reads stderr.
func (b *Box) say(text string) {
	if r := b.carrier.relay.Load(); r != nil {
		r.Say("mcpen: " + text)
		return
	}
	fmt.Fprintf(b.stderr, "mcpen: %s\n", text)
}
