package sandbox

import (
	"fmt"
	"slices"
	"sync"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// guardOf makes the guard of one run, meanwhile: the function that it returns
// waits for it. A raw run has none.
func guardOf(p plan.Plan, o Options) func() (*guard.Guard, error) {
	if o.Raw {
		return func() (*guard.Guard, error) { return nil, nil }
	}
	wait := sync.OnceValues(func() (*guard.Guard, error) { return newGuard(p, o) })
	go wait()
	return wait
}

func newGuard(p plan.Plan, o Options) (*guard.Guard, error) {
	var pins definition.Pins
	if o.Pins != nil {
		var err error
		if pins, err = o.Pins(); err != nil {
			return nil, err
		}
	}
	var secrets []plan.Opaque
	for _, s := range p.Process.Secrets {
		secrets = append(secrets, s.Value)
	}
	g, err := guard.New(guard.Config{Server: p.Name, Tools: p.Tools, Pins: pins, More: o.Others, Given: given(p), Saw: o.Saw, Secrets: secrets, Args: p.Log.Arguments})
	if err != nil {
		return nil, fmt.Errorf("cannot guard what the server says: %w", err)
	}
	return g, nil
}

// given are the values that the server gets, by name: parameters, and with a dollar sign
// arguments and variables. Secrets are left out.
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
