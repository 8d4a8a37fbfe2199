// Package guard decides about the lines of an MCP conversation: which tools, prompts
// and resources exist for the client, which definitions a person approved, which
// arguments a call may carry, and which words in a definition address the model rather
// than its user.
//
// A Guard is a state machine that lines drive. It does no input or output and starts no
// goroutine that outlives a call. It decides about every line by the lines before it:
// Client for a line from the client, Server for one from the server. Lines pass byte
// for byte, with these exceptions: a list from which the policy hides something, or
// whose freshness the client must not trust while something waits for review; the
// instructions and the name of a server, if the client may not use them; the client's
// capabilities, of which a profile removes some; and results, if text mode or the
// secrets of this run demand it.
//
// The guard trusts the first definitions of a kind (policy.PinFirstUse), or those that
// a person approved (policy.PinEnforce). It holds another definition of a name, and a
// name that comes later, until a person has reviewed them. Every store of the server's
// words is bounded in bytes (bound.go): if there is no room for a definition, the guard
// refuses or holds it, and never lets it pass unknown.
//
// Events are bounded: the guard reports a limited number of each sort within a minute
// and counts the others, so that a server cannot push older ones out of the log.
//
// # What it does not do
//
// Pins hold definitions, not behaviour: a tool with an unchanged definition can do
// something else tomorrow. The sandbox decides how far it reaches then. Findings are a
// signal to a person, not a filter to rely on: words can always be put in another way.
// A client can read a resource that no list names if the filter allows its URI and no
// held template matches it, as tools return such links in their results. A definition
// may hold another value given to the server, another day, or another count of things,
// without being another one. The guard masks a secret in the form in which mcpen
// injected it, not when the server encodes it.
package guard
