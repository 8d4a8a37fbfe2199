package interfaces

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
)

// Without knowledge of the machine's own addresses nothing may be dialled: the next
// address could be one of them.
func TestAddressesThatCannotBeWatched(t *testing.T) {
	unheard, err := fault.Each([]uintptr{unix.SYS_SOCKET, unix.SYS_BIND}, unix.EIO, nil, func() error {
		i, err := Watch()
		if err == nil {
			i.Close()
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
	i, err := Watch()
	must(t, err)
	before, err := i.Around()
	must(t, err)
	if len(before.own) == 0 && fmt.Sprint(before) == fmt.Sprint(Surroundings{}) {
		t.Error("this machine has no address")
	}
	i.Close()
	if _, err := i.Around(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("asked behind close: %v", err)
	}
	i.Close()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
