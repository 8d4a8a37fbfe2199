// Package finding searches a server's texts for words that target the model rather than
// its user: orders, secrecy, other servers' tools, invisible characters, encoded text.
// It consists of rules on text. It knows no conversation, and a finding by itself holds
// nothing back: package guard decides about it.
//
// Findings are a signal to a person, not a filter to rely on: an attacker can always
// choose other words. The work on a text is bounded, because its author chooses how
// often the rules begin to match (effort.go). Text beyond the bound is a finding, too.
package finding
