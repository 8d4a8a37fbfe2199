// Package finding looks in texts of a server for words that are meant for the model and
// not for its user: orders, secrecy, other servers' tools, characters that nobody sees,
// text in an encoding. It is rules on text: it knows no conversation, and what is found
// holds nothing back by itself. Package guard decides what becomes of it.
//
// Findings are a signal to a person, not a filter to rely on: words can always be put in
// another way. The work on a text is bounded, because whoever writes it chooses how often
// the rules begin to match (effort.go); what was not looked through is a finding, too.
package finding
