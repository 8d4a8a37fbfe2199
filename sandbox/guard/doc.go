// Package guard decides about the lines of an MCP conversation: which tools, prompts
// and resources exist for the client, which definitions a person approved, which
// arguments a call may carry, and which words in a definition are meant for the model
// rather than for its user.
//
// A Guard is a state machine that is driven by lines. It does no input or
// output, starts no goroutine that outlives a call, and decides about every line by the
// lines before it: Client for a line from the client, Server for one from the server. Lines pass
// byte for byte, with these exceptions: a list from which the policy hides
// something, or whose freshness must not be trusted while something waits for
// review; the instructions and the name of a server that may not be used; the
// client's capabilities, of which a profile takes some away; and results, where text
// mode or the secrets of this run demand it.
//
// The guard trusts the first definitions of a kind (policy.PinFirstUse), or those that
// a person approved (policy.PinEnforce). It holds another definition of a name, and a
// name that comes later, until a person reviewed them. Every store of the server's words
// is bounded in bytes (bound.go): a definition for which there is no room is refused or
// held, never in use without being known.
//
// Events are bounded: of each sort so many are told within a minute, and the
// others counted, so that a server cannot push older ones out of the log.
//
// # What it does not do
//
// Pins hold definitions, not behaviour: a tool with an unchanged definition can
// do something else tomorrow. The sandbox decides how far it reaches then. Findings are a signal to a person, not a filter to rely on: words can
// always be put in another way. A resource that no list names can be read where
// the filter allows its URI and no held template matches it, as tools hand out such
// links in their results. A definition may hold another value of what the server was
// given, another day, or another count of things, without being another one. A
// secret is masked in the form in which it was injected, not when the server
// encodes it.
package guard
