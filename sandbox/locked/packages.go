package locked

import (
	"mcpen/sandbox/audit"
	"mcpen/sandbox/user"
)

// Packages are the packages of one person. The zero value has no environment.
type Packages struct {
	user.Person
	// Saw, if set, receives each event of an install's jobs that goes into the log. Several
	// goroutines may call it.
	Saw func(audit.Event)

	registries map[string]connection // found earlier
}
