package child

import (
	"golang.org/x/sys/unix"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"mcpen/sandbox/plan"
)

// Restrict puts only a ruleset on the calling thread, for tests of Landlock without any
// other layer. The thread must be locked and have no_new_privs.
func Restrict(l plan.Landlock) error {
	fd, err := ruleset(l)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ll.LandlockRestrictSelf(fd, 0)
}
