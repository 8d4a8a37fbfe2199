package listeners

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/listeners/nettest"
)

// A machine that does not make the wire, here since its name is taken, counts as one
// without: the listeners then share the server's namespace.
func TestAWireThatIsNotMade(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked
			here, err := currentNamespace()
			if err != nil {
				t.Error(err)
				return
			}
			defer unix.Close(here)
			rt, err := tie(here, hasIPv6())
			if err != nil {
				t.Error(err)
				return
			}
			defer rt.close()
			if second, err := tie(here, true); !errors.Is(err, errNoWire) || second != nil {
				t.Errorf("a second wire: %v", err)
			}
		}()
		<-done
	})
}
