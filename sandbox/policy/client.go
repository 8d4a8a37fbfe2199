package policy

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
