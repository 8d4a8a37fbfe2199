package locked

import "mcpen/sandbox/user"

// Packages are the packages of one person. The zero value has no environment.
type Packages struct {
	user.Person

	registries map[string]connection // found earlier
}
