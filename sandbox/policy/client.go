package policy

import (
	"slices"
	"strings"
)

// Client lists the features of the client that the server may use, if the client offers
// them. The zero Client allows none.
type Client struct {
	Sampling    bool `json:"sampling"`
	Elicitation bool `json:"elicitation"`
	Roots       bool `json:"roots"`
	Logging     bool `json:"logging"` // the server's messages for the client's log
}

// everyRequest is the default: the client itself declares the features it offers.
func everyRequest() Client { return Client{true, true, true, true} }

// client is the [client] table of one file.
type client struct{ sampling, elicitation, roots, logging opt[bool] }

func readClient(t *table) client {
	c := client{
		sampling: read(t, "sampling", asBool), elicitation: read(t, "elicitation", asBool),
		roots: read(t, "roots", asBool), logging: read(t, "logging", asBool),
	}
	t.done()
	return c
}

func (c *client) fold(child client) {
	c.sampling.over(child.sampling)
	c.elicitation.over(child.elicitation)
	c.roots.over(child.roots)
	c.logging.over(child.logging)
}

func (c client) resolve(out *Client) {
	c.sampling.to(&out.Sampling)
	c.elicitation.to(&out.Elicitation)
	c.roots.to(&out.Roots)
	c.logging.to(&out.Logging)
}

// narrow removes the features that a baseline does not allow.
func (c *Client) narrow(bounds Client) {
	c.Sampling = c.Sampling && bounds.Sampling
	c.Elicitation = c.Elicitation && bounds.Elicitation
	c.Roots = c.Roots && bounds.Roots
	c.Logging = c.Logging && bounds.Logging
}

// Given is a value that mcpen filled in for the server, by name. Definitions may
// contain the value. Secrets are never included.
type Given struct {
	Name   string   `json:"name"` // of a parameter, or home, state, workspace
	Values []string `json:"values"`
}

// Declared reports whether the profile declares the parameter. Every profile has the
// builtin ones, and a name that begins with a dollar sign is no parameter.
func (g Given) Declared() bool {
	return !slices.Contains(builtins, g.Name) && !strings.HasPrefix(g.Name, "$")
}

// given returns the parameters with known values, sorted by name.
func (r *resolver) given() []Given {
	var out []Given
	for _, name := range r.names {
		if a := r.args[name]; a.state == known && a.kind != ParamSecret && len(a.values) > 0 {
			out = append(out, Given{name, slices.Clone(a.values)})
		}
	}
	return out
}

// narrowExcept checks the definitions that may vary against a baseline: a baseline that
// sets the pin mode also decides which definitions are exempt.
func (r *resolver) narrowExcept(t *Tools, bounds Tools, b body) {
	holds := b.pins.set && b.pins.v != PinOff && b.pins.v != PinWarn
	if !holds && !b.except.set {
		return
	}
	for _, g := range t.Except {
		if !slices.ContainsFunc(bounds.Except, func(b Glob) bool { return b.covers(g) }) {
			r.add(g.At, "tools.pins-except", "", beyond, "that "+quote(g.Pattern)+" varies")
		}
	}
}
