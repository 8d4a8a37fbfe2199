package child

import (
	"golang.org/x/sys/unix"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"mcpen/sandbox/plan"
)

// Restrict puts a ruleset on the calling thread and nothing else, for tests
// that ask what Landlock holds with no other layer around it. The thread has to
// be locked and to have no_new_privs.
func Restrict(l plan.Landlock) error {
	fd, err := ruleset(l)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ll.LandlockRestrictSelf(fd, 0)
}
