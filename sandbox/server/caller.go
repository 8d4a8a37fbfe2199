package server

import (
	"mcpen/sandbox/user"

	"mcpen/sandbox/trust"
)

// Caller is the person or program that asks for a server, and a way to ask them.
type Caller struct {
	user.Person
	// Confirm asks the person; nil if nobody can answer.
	Confirm trust.Confirm

	registries map[string]connection // found earlier
}
