package server

import (
	"mcpen/sandbox/locked"
	"mcpen/sandbox/trust"
)

// Caller is the person or program that asks for a server, with their packages, and a way
// to ask them.
type Caller struct {
	locked.Packages
	// Confirm asks the person; nil if nobody can answer.
	Confirm trust.Confirm
}
